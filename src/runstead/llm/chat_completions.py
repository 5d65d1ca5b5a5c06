"""Servers that speak OpenAI's Chat Completions, asked directly: the way of every compatible server, and the fast way.

It never retries and holds no conversation. Bodies are made by `chat_messages`, answers read by `chat_stream`, bytes moved by
`http_stream`; this file only joins them. Why not a library: docs/decisions/0002.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from runstead.ids import Ids
from runstead.llm import failures
from runstead.llm.chat_messages import ChatBodies
from runstead.llm.chat_stream import ChatStream
from runstead.llm.http_stream import HttpOrigin
from runstead.llm.types import Delta, ModelRequest
from runstead.outward.addresses import Reach
from runstead.settings import ProviderSettings

ERROR_BYTES_MAX = 64 * 1024
WHOLE_BYTES_MAX = 16 * 1024 * 1024


class ChatCompletions:
    """One compatible server. Connections are kept for the next question."""

    def __init__(self, provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> None:
        self._provider = provider
        self._ids = ids
        self._key = provider.api_key.reveal() if provider.api_key else None
        headers = {"accept": "text/event-stream, application/json", "user-agent": "runstead"}
        if self._key:
            headers["authorization"] = f"Bearer {self._key}"
        self._origin = HttpOrigin(provider.name, provider.base_url, headers, key=self._key, reach=reach)
        self._bodies = ChatBodies()

    async def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        """See `Provider.stream`."""
        answer = await self._origin.send("POST", "/chat/completions", self._bodies.body(request, name))
        reader = ChatStream(self._provider.name, self._ids, key=self._key)
        try:
            if answer.status != 200:
                body = await answer.whole(bytes_max=ERROR_BYTES_MAX)
                again = answer.headers.get("retry-after")
                raise failures.from_status(
                    self._provider.name, answer.status, body, retry_after=again, key=self._key
                )
            if answer.headers.get("content-type", "").startswith("application/json"):
                for delta in reader.whole(await answer.whole(bytes_max=WHOLE_BYTES_MAX)):
                    yield delta
                return
            while not reader.done and (data := await answer.read()):
                for delta in reader.feed(data):
                    yield delta
                if reader.failure is not None:
                    raise reader.failure
            yield reader.finish()
        finally:
            answer.close(finished=reader.done)

    async def close(self) -> None:
        """See `Provider.close`."""
        self._origin.close()


def connect(provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> ChatCompletions:
    """See `ProviderModule.connect`."""
    return ChatCompletions(provider, ids=ids, reach=reach)
