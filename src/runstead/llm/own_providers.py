"""Providers that actors bring: found by actor and name when a model is asked, and asked for their lists. Writes nothing.

The key comes from the store each time, so a change holds in every process from the next question on. It is opened here and
goes to the provider only. What the server's environment names comes first: see `gateway`.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from runstead.domain.own_provider import MODELS_MAX, ListedModel, OwnProvider
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import UserId
from runstead.llm import failures
from runstead.llm.model_lists import ModelList, info_of
from runstead.llm.provider_types import Way, way_to
from runstead.llm.shelf import ProviderShelf
from runstead.llm.types import ModelInfo
from runstead.outward.addresses import Reach, Refused
from runstead.settings import ProviderSettings, Secret
from runstead.store import providers
from runstead.store.database import Database
from runstead.store.vault import CannotOpen, Vault

ASK_S_MAX = 10.0
MODEL_NAME_CHARS_MAX = 300
KEY_NAME = "api_key"


@dataclass(frozen=True, slots=True)
class OwnSettings:
    """How to reach an actor's provider. `version` changes whenever that does."""

    provider_id: str
    version: tuple[object, ...]
    settings: ProviderSettings


class OwnProviders:
    """The providers of all actors, each for its own actor only. `reach` says where they may be, `shelf` has connections."""

    def __init__(self, db: Database, vault: Vault, reach: Reach) -> None:
        self._db = db
        self._vault = vault
        self.reach = reach
        self.shelf = ProviderShelf()

    async def find(self, user_id: UserId, name: str) -> OwnSettings | None:
        """How to reach the provider that this actor calls so. Raises `ModelError` where its key cannot be read."""
        found = await self._db.read(providers.find_by_name, user_id, name)
        if found is None:
            return None
        version = (found.id, found.base_url, found.provider_type, found.sealed_key)
        return OwnSettings(found.id, version, self.opened(found))

    def opened(self, provider: OwnProvider) -> ProviderSettings:
        """How to reach a provider, with its key. Raises `ModelError` where it was sealed with another server's key."""
        if provider.sealed_key is None:
            return _settings(provider, None)
        try:
            key = self._vault.open(provider.id, KEY_NAME, provider.sealed_key)
        except CannotOpen:
            raise ModelError(
                ModelErrorKind.AUTHENTICATION,
                f"The key of the provider {provider.name} was sealed with another RUNSTEAD_SECRETS_KEY; give it again:"
                f" PATCH /v1/providers/{provider.id}.",
            ) from None
        return _settings(provider, key)

    async def models(self, user_id: UserId) -> list[ModelInfo]:
        """What the lists of an actor's providers said when they were last read."""
        found = await self._db.read(providers.list_providers, user_id)
        return [_listed(provider, model) for provider in found for model in provider.models]

    async def model(self, user_id: UserId, handle: str) -> ModelInfo | None:
        """What is known of one handle; None where its provider is not this actor's."""
        prefix, _, name = handle.partition("/")
        provider = await self._db.read(providers.find_by_name, user_id, prefix) if name else None
        if provider is None:
            return None
        for model in provider.models:
            if model.name == name:
                return _listed(provider, model)
        info = info_of(_settings(provider, None), name)
        return replace(info, own_type=provider.provider_type)

    async def may_reach(self, settings: ProviderSettings) -> None:
        """Raises `ModelError` with the reason where a provider is not where it may be, as it may be no longer."""
        parts = urlsplit(settings.base_url)
        try:
            await self.reach(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except Refused as why:
            raise failures.refused(why) from None

    async def ask(self, settings: ProviderSettings, way: Way) -> tuple[ListedModel, ...]:
        """What a provider has now, asked with its key. Raises `ModelError` where it does not say, or refuses the key."""
        asked = ModelList(settings, reach=self.reach)
        try:
            async with asyncio.timeout(ASK_S_MAX):
                if way.check_path is not None:
                    await asked.get(way.check_path)
                offer = await asked.ask()
        except TimeoutError:
            raise ModelError(
                ModelErrorKind.TIMEOUT, f"{settings.name} did not tell its models within {ASK_S_MAX:g} s."
            ) from None
        finally:
            asked.close()
        return tuple(
            ListedModel(info.name, info.context_window_tokens, info.output_tokens_max, info.images)
            for info in offer.models
            if len(info.name) <= MODEL_NAME_CHARS_MAX
        )[:MODELS_MAX]


def settings_of(name: str, way: Way, key: str | None) -> ProviderSettings:
    """How to reach a provider that is not kept (yet)."""
    return ProviderSettings(name, way.kind, way.base_url, Secret(key) if key else None)


def unknown(handle: str, there: list[str]) -> ModelError:
    """The error for a handle whose provider is neither the server's nor the actor's."""
    return ModelError(
        ModelErrorKind.BAD_REQUEST,
        f"No provider is configured for the model {failures.redacted(handle)!r}. A handle is 'provider/model'. There is: "
        f"{', '.join(there)}. Set a provider's key or base URL to add it, or bring your own: POST /v1/providers/.",
    )


def _settings(provider: OwnProvider, key: str | None) -> ProviderSettings:
    return settings_of(provider.name, way_to(provider.provider_type, provider.base_url), key)


def _listed(provider: OwnProvider, model: ListedModel) -> ModelInfo:
    info = info_of(_settings(provider, None), model.name)
    return replace(
        info,
        context_window_tokens=model.context_window_tokens,
        output_tokens_max=model.output_tokens_max,
        images=model.images,
        own_type=provider.provider_type,
    )
