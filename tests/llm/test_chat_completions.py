"""Chat Completions asked directly: what the conformance suite cannot see from outside the protocol."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.provider_server import Answer, ProviderServer

from runstead.clock import SystemClock
from runstead.domain.message import Message, Role, TextPart
from runstead.ids import DEFAULT_USER, AgentId, MessageId
from runstead.llm.gateway import ProviderGateway
from runstead.llm.types import ModelRequest, TextDelta
from runstead.settings import ProviderSettings, Secret, Settings

HEAVY = ("pydantic_ai", "openai", "anthropic", "httpx", "httpx2", "aiohttp")


@pytest.mark.slow
def test_the_direct_way_loads_no_library_of_models_and_no_general_http_client() -> None:
    code = (
        "import sys, runstead.llm.gateway, runstead.llm.chat_completions;"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_connections_are_kept_and_the_request_asks_for_usage() -> None:
    async with ProviderServer() as server:
        provider = ProviderSettings("it", "chat", server.base_url("chat"), Secret("sk-one"))
        gateway = ProviderGateway(Settings(providers=(provider,)), SystemClock())
        at = SystemClock().now()
        asked = Message(MessageId("message-1"), DEFAULT_USER, AgentId("a"), Role.USER, at, (TextPart("Hi"),))
        for word in ("one", "two"):
            server.answers.append(Answer(word))
            async for _ in gateway.stream(ModelRequest("it/model-1", "Be brief.", [asked])):
                pass
        await gateway.close()
        question = server.questions[1]
    assert server.connections == 1
    assert question.headers["authorization"] == "Bearer sk-one"
    assert question.body["stream_options"] == {"include_usage": True}
    assert question.body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]


async def test_a_kept_connection_that_the_server_closed_is_replaced() -> None:
    server = ProviderServer()
    async with server:
        provider = ProviderSettings("it", "chat", server.base_url("chat"), None)
        settings = Settings(providers=(provider,), model_retries=0)
        gateway = ProviderGateway(settings, SystemClock())
        assert await words_of(gateway) == "Hi"
    async with server:
        assert await words_of(gateway) == "Hi"
        await gateway.close()
    assert server.connections == 2


async def words_of(gateway: ProviderGateway) -> str:
    """What the server says to a person who says Hi: the same."""
    asked = Message(
        MessageId("message-1"), DEFAULT_USER, AgentId("a"), Role.USER, SystemClock().now(), (TextPart("Hi"),)
    )
    deltas = [delta async for delta in gateway.stream(ModelRequest("it/model-1", "", [asked]))]
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
