"""The providers of models that this server was set up with, for all actors alike. They are changed in its environment."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Response
from typing_extensions import TypedDict

from runstead.api.auth import Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.models import provider_type
from runstead.api.wire.paging import PageQuery, asked
from runstead.errors import NotFound
from runstead.ids import stable_id
from runstead.settings import ProviderSettings

router = v1_router("providers")


class ProviderState(TypedDict):
    """A provider. Its key and its address are the server's own business."""

    id: str | None
    name: str
    provider_type: str
    provider_category: Literal["base"]
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


class ProviderQuery(PageQuery):
    """Which providers shall be listed; they are few and have no times, so their order is that of their names."""

    order_by: Literal["created_at"] = "created_at"
    name: str | None = None
    provider_type: str | None = None

    def cut(self, found: list[ProviderState]) -> list[ProviderState]:
        """The page of all providers. An unknown cursor is an error."""
        found = [
            each
            for each in found
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


@router.get("/providers/")
@answers(list[ProviderState])
async def list_providers(query: Annotated[ProviderQuery, asked(ProviderQuery)], parts: Parts) -> Response:
    """List the providers that this server was set up with."""
    ascending = sorted(parts.settings.providers, key=lambda each: each.name)
    return Json(query.cut([provider_state(each) for each in ascending]))


@router.get("/providers/{provider_id}")
@answers(ProviderState)
async def retrieve_provider(provider_id: str, parts: Parts) -> Response:
    """Read one provider."""
    for each in parts.settings.providers:
        state = provider_state(each)
        if state["id"] == provider_id:
            return Json(state)
    raise NotFound(f"Provider {provider_id[:100]} not found")


def provider_state(provider: ProviderSettings) -> ProviderState:
    """A provider as it is answered; its id follows from its name."""
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
