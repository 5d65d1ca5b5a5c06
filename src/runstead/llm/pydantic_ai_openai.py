"""OpenAI's own models, asked by the Responses API. Never for other servers: those speak Chat Completions.

Nothing is stored at OpenAI: thoughts come back encrypted and are sent again with the next turn. Heavy: import it lazily.
"""

from __future__ import annotations

from openai import AsyncOpenAI, Timeout
from pydantic_ai.models.openai import OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider

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


def connect(provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> LibraryProvider:
    """See `ProviderModule.connect`."""
    del ids
    client = AsyncOpenAI(
        api_key=provider.api_key.reveal() if provider.api_key else "",
        base_url=provider.base_url,
        max_retries=0,
        timeout=Timeout(READ_S_MAX, connect=CONNECT_S_MAX),
        http_client=client_for(reach),
    )
    library = OpenAIProvider(openai_client=client)

    def model(name: str) -> OpenAIResponsesModel:
        return OpenAIResponsesModel(name, provider=library)

    return LibraryProvider(provider, Library("openai", model, settings_of, client.close))


def settings_of(request: ModelRequest) -> OpenAIResponsesModelSettings:
    """Summaries of thoughts are asked for only where thinking is: not every account may have them."""
    settings = OpenAIResponsesModelSettings(**common_settings(request), openai_store=False)
    if thinking_of(request):
        settings["openai_reasoning_summary"] = "auto"
    return settings
