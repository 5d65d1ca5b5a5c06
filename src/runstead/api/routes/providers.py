"""The providers of models: those of the server's environment, for all actors alike, and those that each actor brings.

A key comes in and never goes out: it is sealed before it is stored, and opened where the provider is asked.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Annotated

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.paging import asked
from runstead.api.wire.providers import (
    CheckProvider,
    CheckState,
    CreateProvider,
    ProviderQuery,
    ProviderState,
    UpdateProvider,
    base_state,
    changed_provider,
    own_state,
    synced,
)
from runstead.domain.own_provider import OwnProvider
from runstead.errors import Conflict, Invalid, ModelError, NotFound
from runstead.ids import ProviderId, UserId, stable_id
from runstead.llm.gateway import names_taken
from runstead.llm.own_providers import KEY_NAME, settings_of
from runstead.llm.provider_types import Way, way_to
from runstead.outward.addresses import Refused, host_and_port
from runstead.settings import ProviderSettings
from runstead.store import providers as store

router = v1_router("providers")


@router.post("/providers/")
@answers(ProviderState)
async def create_provider(body: CreateProvider, caller: Caller, parts: Parts) -> Response:
    """Bring a provider: its models are the actor's, by handles that begin with its name. Its list is read at once."""
    if body.name in names_taken(parts.settings.providers):
        raise Conflict(
            f"The name {body.name!r} is that of a provider of this server; give yours another name, its models' handles"
            " begin with it."
        )
    way = await _way(parts, body.provider_type, body.base_url)
    now = parts.clock.now()
    provider_id = ProviderId(f"provider-{parts.ids.uuid()}")
    made = OwnProvider(
        id=provider_id,
        user_id=caller.user.id,
        name=body.name,
        provider_type=body.provider_type,
        created_at=now,
        updated_at=now,
        base_url=body.base_url,
        sealed_key=_sealed(parts, provider_id, body.api_key),
        region=body.region,
        api_version=body.api_version,
    )
    await parts.db.write(store.insert_provider, made)
    with suppress(ModelError):  # it is kept without models where it does not tell them now
        made = await _list_read(parts, made, settings_of(body.name, way, body.api_key), way) or made
    return Json(own_state(made, caller.user.organization_id))


@router.get("/providers/")
@answers(list[ProviderState])
async def list_providers(
    query: Annotated[ProviderQuery, asked(ProviderQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the providers that this server was set up with, and the actor's own."""
    base = [base_state(each) for each in sorted(parts.settings.providers, key=lambda each: each.name)]
    found = await parts.db.read(store.list_providers, caller.user.id)
    return Json(query.cut(base, [own_state(each, caller.user.organization_id) for each in found]))


@router.post("/providers/check")
@answers(CheckState)
async def check_provider(body: CheckProvider, _caller: Caller, parts: Parts) -> Response:
    """Ask a provider for its models, with a key that is not kept; its refusal is the answer."""
    way = await _way(parts, body.provider_type, body.base_url)
    await parts.own_providers.ask(settings_of(body.provider_type, way, body.api_key), way)
    return Json(_valid(body.provider_type))


@router.get("/providers/{provider_id}")
@answers(ProviderState)
async def retrieve_provider(provider_id: str, caller: Caller, parts: Parts) -> Response:
    """Read one provider."""
    for each in parts.settings.providers:
        state = base_state(each)
        if state["id"] == provider_id:
            return Json(state)
    found = await _find(parts, caller.user.id, provider_id)
    return Json(own_state(found, caller.user.organization_id))


@router.patch("/providers/{provider_id}")
@answers(ProviderState)
async def modify_provider(provider_id: str, body: UpdateProvider, caller: Caller, parts: Parts) -> Response:
    """Give a provider another key or address; runs use it from their next question on."""
    found = await _find(parts, caller.user.id, provider_id)
    if body.base_url is not None:
        await _way(parts, found.provider_type, body.base_url)
    sealed = _sealed(parts, found.id, body.api_key)
    change = partial(changed_provider, body=body, sealed_key=sealed, now=parts.clock.now())
    changed = await parts.db.write(store.change_provider, caller.user.id, provider_id, change)
    await parts.own_providers.shelf.forget(found.id)
    if changed is None:
        raise no_provider(provider_id)
    return Json(own_state(changed, caller.user.organization_id))


@router.delete("/providers/{provider_id}")
@answers(CheckState)
async def delete_provider(provider_id: str, caller: Caller, parts: Parts) -> Response:
    """Delete a provider with its key. Agents with its models stay; their runs fail until they are given another model."""
    found = await _find(parts, caller.user.id, provider_id)
    await parts.db.write(store.delete_provider, caller.user.id, found.id)
    await parts.own_providers.shelf.forget(found.id)
    return Json(CheckState(message=f"Provider {found.name} deleted"))


@router.post("/providers/{provider_id}/check")
@answers(CheckState)
async def check_existing_provider(provider_id: str, caller: Caller, parts: Parts) -> Response:
    """Ask a provider for its models with the key that is kept; its refusal is the answer."""
    found = await _find(parts, caller.user.id, provider_id)
    way = way_to(found.provider_type, found.base_url)
    await parts.own_providers.ask(parts.own_providers.opened(found), way)
    return Json(_valid(found.name))


@router.patch("/providers/{provider_id}/refresh")
@answers(ProviderState)
async def refresh_provider(provider_id: str, caller: Caller, parts: Parts) -> Response:
    """Read a provider's list of models anew."""
    found = await _find(parts, caller.user.id, provider_id)
    way = way_to(found.provider_type, found.base_url)
    changed = await _list_read(parts, found, parts.own_providers.opened(found), way)
    if changed is None:
        raise no_provider(provider_id)
    return Json(own_state(changed, caller.user.organization_id))


def no_provider(provider_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Provider {provider_id[:100]} not found")


async def _find(parts: Services, user_id: UserId, provider_id: str) -> OwnProvider:
    """A provider of this actor. Raises `NotFound`, and `Conflict` for one of the server's."""
    if any(stable_id("provider", each.name) == provider_id for each in parts.settings.providers):
        raise Conflict("This provider is one of the server's; it is changed in the server's environment.")
    found = await parts.db.read(store.find_provider, user_id, provider_id)
    if found is None:
        raise no_provider(provider_id)
    return found


async def _way(parts: Services, provider_type: str, base_url: str | None) -> Way:
    """How a provider is reached. Raises `Invalid` where it may not be there, or where it is not anywhere."""
    way = way_to(provider_type, base_url)
    if base_url is None:
        return way
    try:
        await parts.own_providers.reach(*host_and_port(base_url))
    except Refused as why:
        raise Invalid(f"base_url: {why}") from None
    return way


async def _list_read(
    parts: Services, provider: OwnProvider, settings: ProviderSettings, way: Way
) -> OwnProvider | None:
    """The provider with the models that it has now; None where it is gone. Raises `ModelError` where it does not tell."""
    models = await parts.own_providers.ask(settings, way)
    change = partial(synced, models=models, now=parts.clock.now())
    return await parts.db.write(store.change_provider, provider.user_id, provider.id, change)


def _sealed(parts: Services, provider_id: str, key: str) -> bytes | None:
    return parts.workshop.vault.seal(provider_id, KEY_NAME, key) if key else None


def _valid(name: str) -> CheckState:
    return CheckState(message=f"Valid API key for {name}")
