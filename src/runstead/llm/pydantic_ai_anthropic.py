"""Anthropic's models, asked by the Messages API, with thoughts signed and sent back.

The prompt is cached there: system, tools and history are the same from step to step, so only what is new is paid in full.
Heavy: import it lazily.
"""

from __future__ import annotations

from anthropic import AsyncAnthropic, Timeout
from pydantic_ai.models.anthropic import AnthropicModel, AnthropicModelSettings
from pydantic_ai.providers.anthropic import AnthropicProvider

from runstead.ids import Ids
from runstead.llm.provider import CONNECT_S_MAX, READ_S_MAX
from runstead.llm.pydantic_ai_models import (
    Library,
    LibraryProvider,
    client_for,
    common_settings,
    thinking_of,
)
from runstead.llm.types import ModelRequest
from runstead.outward.addresses import Reach
from runstead.settings import ProviderSettings

THINKING_TOKENS_MIN = 1024


def connect(provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> LibraryProvider:
    """See `ProviderModule.connect`."""
    del ids
    client = AsyncAnthropic(
        api_key=provider.api_key.reveal() if provider.api_key else "",
        base_url=provider.base_url,
        max_retries=0,
        timeout=Timeout(READ_S_MAX, connect=CONNECT_S_MAX),
        http_client=client_for(reach),
    )
    library = AnthropicProvider(anthropic_client=client)

    def model(name: str) -> AnthropicModel:
        return AnthropicModel(name, provider=library)

    return LibraryProvider(provider, Library("anthropic", model, settings_of, client.close))


def settings_of(request: ModelRequest) -> AnthropicModelSettings:
    """Thinking needs room below `max_tokens` and no temperature; the API rejects anything else."""
    settings = AnthropicModelSettings(**common_settings(request), anthropic_cache=True)
    thinking = thinking_of(request)
    if thinking:
        settings.pop("temperature", None)
    budget = request.settings.thinking_budget_tokens
    if thinking and budget:
        given = request.settings.max_tokens
        if given:
            budget = min(budget, given - 1)
        if budget >= THINKING_TOKENS_MIN:
            settings.pop("thinking", None)
            settings["anthropic_thinking"] = {"type": "enabled", "budget_tokens": budget}
            if not given:
                settings["max_tokens"] = budget * 2
    return settings
