"""Google's Gemini models, asked by streamGenerateContent. Heavy: import it lazily.

What a reader would get wrong: the signature of a thought stands at the part that follows it, so it is kept with the call.
"""

from __future__ import annotations

from google.genai.types import HttpRetryOptions
from pydantic_ai.models.google import GoogleModel, GoogleModelSettings
from pydantic_ai.providers.google import GoogleProvider

from runstead.ids import Ids
from runstead.llm.pydantic_ai_models import Library, LibraryProvider, common_settings, thinking_of
from runstead.llm.types import ModelRequest
from runstead.settings import ProviderSettings


def connect(provider: ProviderSettings, *, ids: Ids) -> LibraryProvider:
    """See `ProviderModule.connect`."""
    del ids
    library = GoogleProvider(
        api_key=provider.api_key.reveal() if provider.api_key else "",
        base_url=provider.base_url,
        retry_options=HttpRetryOptions(attempts=1),
    )

    def model(name: str) -> GoogleModel:
        return GoogleModel(name, provider=library)

    return LibraryProvider(provider, Library("google", model, settings_of, library.client.aio.aclose))


def settings_of(request: ModelRequest) -> GoogleModelSettings:
    """A budget of thoughts is given as it is; without one the model decides."""
    settings = GoogleModelSettings(**common_settings(request))
    budget = request.settings.thinking_budget_tokens
    if thinking_of(request) and budget:
        settings.pop("thinking", None)
        settings["google_thinking_config"] = {"include_thoughts": True, "thinking_budget": budget}
    return settings
