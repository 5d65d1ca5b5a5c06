"""Google's Gemini models, asked by streamGenerateContent. Heavy: import it lazily.

What a reader would get wrong: the signature of a thought stands at the part that follows it, so it is kept with the call.
And the provider's library lets go of a broken-off answer only when it is collected, so the answer is closed here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from contextvars import ContextVar
from typing import Any

import httpx2
from google.genai.types import HttpRetryOptions
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.providers.google import GoogleProvider

from runstead.ids import Ids
from runstead.llm.provider import CONNECT_S_MAX, READ_S_MAX
from runstead.llm.pydantic_ai_models import (
    Library,
    LibraryProvider,
    common_settings,
    thinking_of,
)
from runstead.llm.types import Delta, ModelRequest
from runstead.outward.addresses import Reach
from runstead.outward.transport import CONNECTIONS_MAX, OutwardTransport
from runstead.settings import ProviderSettings

_opened: ContextVar[list[httpx2.Response] | None] = ContextVar("_opened", default=None)


class _Client(httpx2.AsyncClient):
    """A client that tells the question it works for which answers it opened."""

    async def send(self, request: httpx2.Request, **given: Any) -> httpx2.Response:
        response = await super().send(request, **given)
        opened = _opened.get()
        if opened is not None:
            opened.append(response)
        return response


class GoogleModels(LibraryProvider):
    """As any other, but it hangs up by itself."""

    async def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        """See `Provider.stream`."""
        opened: list[httpx2.Response] = []
        _opened.set(opened)
        try:
            async with aclosing(super().stream(request, name)) as answer:
                async for delta in answer:
                    yield delta
        finally:
            for response in opened:
                await response.aclose()


def connect(provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> LibraryProvider:
    """See `ProviderModule.connect`."""
    del ids
    client = _Client(
        timeout=httpx2.Timeout(READ_S_MAX, connect=CONNECT_S_MAX),
        limits=httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        transport=None if reach is None else OutwardTransport(reach),
    )
    library = GoogleProvider(
        api_key=provider.api_key.reveal() if provider.api_key else "",
        base_url=provider.base_url,
        http_client=client,
        retry_options=HttpRetryOptions(attempts=1),
    )

    def model(name: str) -> GoogleModel:
        return GoogleModel(name, provider=library)

    return GoogleModels(provider, Library("google", model, settings_of, client.aclose))


def settings_of(request: ModelRequest) -> GoogleModelSettings:
    """A budget of thoughts is given as it is; without one the model decides."""
    settings = GoogleModelSettings(**common_settings(request))
    budget = request.settings.thinking_budget_tokens
    if thinking_of(request) and budget:
        settings.pop("thinking", None)
        settings["google_thinking_config"] = {"include_thoughts": True, "thinking_budget": budget}
    return settings
