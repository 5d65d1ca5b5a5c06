"""Providers as JSON, and what clients write of them. No key is ever answered: its members are null."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from runstead.api.wire.models import provider_type
from runstead.api.wire.paging import PageQuery
from runstead.domain.own_provider import ListedModel, OwnProvider
from runstead.errors import NotFound
from runstead.ids import stable_id
from runstead.llm.model_lists import shown_url
from runstead.settings import ProviderSettings

ProviderTypeName = Literal[
    "anthropic", "azure", "baseten", "bedrock", "cerebras", "chatgpt_oauth", "deepseek", "fireworks", "google_ai",
    "google_vertex", "groq", "hugging-face", "letta", "lmstudio_openai", "minimax", "mistral", "ollama", "openai",
    "together", "vllm", "sglang", "openrouter", "xai", "zai", "zai_coding",
]  # fmt: skip
PROVIDER_TYPES: tuple[str, ...] = get_args(ProviderTypeName)
# The first half of a handle, which ends at a slash.
ProviderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@ -]*$", max_length=100)]
# What can stand in a header and nothing else; empty for a server that asks for no key.
Key = Annotated[str, Field(pattern=r"^[\x21-\x7e]*$", max_length=8_192)]
BaseUrl = Annotated[str, Field(pattern=r"^https?://[\x21-\x7e]+$", max_length=2_000)]
Word = Annotated[str, Field(pattern=r"^[\x20-\x7e]*$", max_length=200)]


class ProviderState(TypedDict):
    """A provider. Its key is never told; the address of one of the server's is the server's own business."""

    id: str | None
    name: str
    provider_type: str
    provider_category: Literal["base", "byok"]
    api_key: str | None
    api_key_enc: str | None
    access_key: str | None
    access_key_enc: str | None
    base_url: str | None
    region: str | None
    api_version: str | None
    organization_id: str | None
    last_synced: datetime | None
    updated_at: datetime | None


class CheckState(TypedDict):
    """That a provider took the key."""

    message: str


class UpdateProvider(BaseModel):
    """What shall change of a provider: its key, and what else is given."""

    model_config = ConfigDict(extra="forbid")

    api_key: Key
    access_key: Key | None = None
    base_url: BaseUrl | None = None
    region: Word | None = None
    api_version: Word | None = None


class CreateProvider(UpdateProvider):
    """A new provider of the actor's own."""

    name: ProviderName
    provider_type: ProviderTypeName


class CheckProvider(BaseModel):
    """A provider that is asked once and not kept."""

    provider_type: ProviderTypeName
    api_key: Key
    access_key: Key | None = None
    base_url: BaseUrl | None = None
    region: Word | None = None
    api_version: Word | None = None


class ProviderQuery(PageQuery):
    """Which providers shall be listed. The server's have no times: they count as the oldest, by their names."""

    order_by: Literal["created_at"] = "created_at"
    name: str | None = None
    provider_type: str | None = None

    def cut(self, base: Sequence[ProviderState], own: Sequence[ProviderState]) -> list[ProviderState]:
        """The page of all providers; `own` is oldest first. An unknown cursor is an error."""
        found = [
            each
            for each in ([*base, *own] if self.order == "asc" else [*own[::-1], *base])
            if self.name in {None, each["name"]} and self.provider_type in {None, each["provider_type"]}
        ]
        ids = [each["id"] for each in found]
        for cursor in (self.after, self.before):
            if cursor is not None and cursor not in ids:
                raise NotFound(
                    f"No item with the id {cursor[:100]} is in this list; give the id of a listed item."
                )
        start = 0 if self.after is None else ids.index(self.after) + 1
        end = len(ids) if self.before is None else ids.index(self.before)
        left = found[start:end]
        return left[-self.limit :] if self.before is not None and self.after is None else left[: self.limit]


def base_state(provider: ProviderSettings) -> ProviderState:
    """A provider of the server as it is answered; its id follows from its name."""
    return {
        "id": stable_id("provider", provider.name),
        "name": provider.name,
        "provider_type": provider_type(provider.name),
        "provider_category": "base",
        "api_key": None,
        "api_key_enc": None,
        "access_key": None,
        "access_key_enc": None,
        "base_url": None,
        "region": None,
        "api_version": None,
        "organization_id": None,
        "last_synced": None,
        "updated_at": None,
    }


def own_state(provider: OwnProvider, organization_id: str) -> ProviderState:
    """An actor's own provider as it is answered."""
    return {
        "id": provider.id,
        "name": provider.name,
        "provider_type": provider.provider_type,
        "provider_category": "byok",
        "api_key": None,
        "api_key_enc": None,
        "access_key": None,
        "access_key_enc": None,
        "base_url": None if provider.base_url is None else shown_url(provider.base_url),
        "region": provider.region,
        "api_version": provider.api_version,
        "organization_id": organization_id,
        "last_synced": provider.last_synced,
        "updated_at": provider.updated_at,
    }


def changed_provider(
    before: OwnProvider, body: UpdateProvider, sealed_key: bytes | None, now: datetime
) -> OwnProvider:
    """The provider as a request wants it."""
    given = {
        name: value
        for name in ("base_url", "region", "api_version")
        if (value := getattr(body, name)) is not None
    }
    return replace(before, sealed_key=sealed_key, updated_at=now, **given)


def synced(before: OwnProvider, models: tuple[ListedModel, ...], now: datetime) -> OwnProvider:
    """The provider after its list was read."""
    return replace(before, models=models, last_synced=now)
