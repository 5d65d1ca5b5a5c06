"""What the gateway does before it asks anybody: handles, the demonstration, and what importing it loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

from runstead.clock import ManualClock
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import CountingIds
from runstead.llm.gateway import ProviderGateway
from runstead.llm.types import Finish, ModelRequest, TextDelta
from runstead.settings import ProviderSettings, Settings

HEAVY = ("httpx", "httpx2", "openai", "anthropic", "google.genai", "pydantic_ai")


def gateway(*providers: ProviderSettings) -> ProviderGateway:
    return ProviderGateway(Settings(providers=providers), ManualClock(), ids=CountingIds(), demo_token_s=0)


async def test_an_unknown_provider_is_an_error_that_names_what_is_there() -> None:
    here = gateway(ProviderSettings("ollama", "chat", "http://127.0.0.1:1/v1"))
    with pytest.raises(ModelError) as caught:
        await anext(here.stream(ModelRequest("nobody/model", "", ())))
    assert caught.value.kind is ModelErrorKind.BAD_REQUEST
    assert "ollama/…" in caught.value.detail
    assert "runstead/demo" in caught.value.detail


@pytest.mark.parametrize("handle", ["letta/auto", "letta/letta-free", "runstead/demo"])
async def test_without_a_provider_the_demonstration_answers(handle: str) -> None:
    deltas = [delta async for delta in gateway().stream(ModelRequest(handle, "", ()))]
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    assert "demonstration model, not a language model" in text
    assert isinstance(deltas[-1], Finish)


def test_both_names_of_a_compatible_server_mean_it() -> None:
    here = gateway(ProviderSettings("openai", "chat", "http://127.0.0.1:1/v1"))
    for handle in ("openai/gpt-4o", "openai-proxy/gpt-4o"):
        info = here.model(handle)
        assert info is not None
        assert (info.handle, info.provider, info.name) == (handle, "openai", "gpt-4o")
    assert here.model("anthropic/claude") is None


@pytest.mark.slow
def test_importing_the_gateway_loads_no_providers_library() -> None:
    code = f"import sys, runstead.llm.gateway; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
