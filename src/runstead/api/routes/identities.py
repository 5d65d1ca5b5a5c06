"""Identities: whom of an application's own people agents and blocks are for."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import Body, Path, Response

from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, details_of
from runstead.api.routes.blocks import BlockPath, HoldersQuery, no_block
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.agents import AgentState, agent_state, wanted_relations
from runstead.api.wire.blocks import BlockState, block_state
from runstead.api.wire.identities import (
    CreateIdentity,
    IdentityBlockQuery,
    IdentityQuery,
    IdentityState,
    Properties,
    UpdateIdentity,
    changed_identity,
    identity_state,
    new_identity,
    with_properties,
)
from runstead.api.wire.paging import asked
from runstead.domain.actor import User
from runstead.domain.identity import Identity
from runstead.errors import NotFound
from runstead.ids import IdentityId, UserId
from runstead.store import agents, blocks
from runstead.store import identities as store
from runstead.store.agents import AgentFilter

router = v1_router("identities")

IdentityPath = Annotated[IdentityId, Path(pattern=f"^identity-{UUID4_PATTERN}$")]


@router.post("/identities/")
@answers(IdentityState)
async def create_identity(body: CreateIdentity, caller: Caller, parts: Parts) -> Response:
    """Make an identity."""
    return await _make(parts, caller.user, body)


@router.put("/identities/")
@answers(IdentityState)
async def upsert_identity(body: CreateIdentity, caller: Caller, parts: Parts) -> Response:
    """Make an identity, or change the one that has its key."""
    known = await parts.db.read(store.find_by_key, caller.user.id, body.identifier_key)
    if known is None:
        return await _make(parts, caller.user, body)
    change = partial(changed_identity, body=body, now=parts.clock.now())
    changed = await parts.db.write(store.change_identity, caller.user.id, known.id, change, body.agent_ids)
    return await _answer(parts, caller.user, changed, known.id)


@router.get("/identities/")
@answers(list[IdentityState])
async def list_identities(
    query: Annotated[IdentityQuery, asked(IdentityQuery)], caller: Caller, parts: Parts
) -> Response:
    """List identities, newest first unless asked otherwise."""
    found = await parts.db.read(store.list_identities, caller.user.id, query.filter(), query.page())
    return Json([identity_state(one, held, caller.user.organization_id) for one, held in found])


@router.get("/identities/count")
@answers(int)
async def count_identities(caller: Caller, parts: Parts) -> Response:
    """Count identities."""
    return Json(await parts.db.read(store.count_identities, caller.user.id))


@router.get("/identities/{identity_id}")
@answers(IdentityState)
async def retrieve_identity(identity_id: IdentityPath, caller: Caller, parts: Parts) -> Response:
    """Read an identity."""
    found = await _find(parts, caller.user.id, identity_id)
    return await _answer(parts, caller.user, found, identity_id)


@router.patch("/identities/{identity_id}")
@answers(IdentityState)
async def update_identity(
    identity_id: IdentityPath, body: UpdateIdentity, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of an identity."""
    change = partial(changed_identity, body=body, now=parts.clock.now())
    changed = await parts.db.write(store.change_identity, caller.user.id, identity_id, change, body.agent_ids)
    return await _answer(parts, caller.user, changed, identity_id)


@router.delete("/identities/{identity_id}")
@answers(type(None))
async def delete_identity(identity_id: IdentityPath, caller: Caller, parts: Parts) -> Response:
    """Delete an identity; its agents and blocks stay."""
    if not await parts.db.write(store.delete_identity, caller.user.id, identity_id):
        raise no_identity(identity_id)
    return Json(None)


@router.put("/identities/{identity_id}/properties")
@answers(type(None))
async def upsert_identity_properties(
    identity_id: IdentityPath, body: Annotated[Properties, Body()], caller: Caller, parts: Parts
) -> Response:
    """Write properties of an identity; others that it has stay."""
    change = partial(with_properties, given=body, now=parts.clock.now())
    if await parts.db.write(store.change_identity, caller.user.id, identity_id, change, None) is None:
        raise no_identity(identity_id)
    return Json(None)


@router.get("/identities/{identity_id}/agents")
@answers(list[AgentState])
async def list_agents_for_identity(
    identity_id: IdentityPath,
    query: Annotated[HoldersQuery, asked(HoldersQuery)],
    caller: Caller,
    parts: Parts,
    sdk1: Sdk1,
) -> Response:
    """List the agents that are for an identity."""
    await _find(parts, caller.user.id, identity_id)
    where = AgentFilter(identity_id=identity_id)
    found = await parts.db.read(agents.list_records, caller.user.id, where, query.page())
    relations = wanted_relations(query.include, query.include_relationships, sdk1=sdk1)
    return Json([agent_state(each.agent, details_of(parts, each), relations) for each in found])


@router.get("/identities/{identity_id}/blocks")
@answers(list[BlockState])
async def list_blocks_for_identity(
    identity_id: IdentityPath,
    query: Annotated[IdentityBlockQuery, asked(IdentityBlockQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the blocks that are for an identity, in the order in which they were given."""
    found = await _find(parts, caller.user.id, identity_id)
    held = await parts.db.read(blocks.find_blocks, caller.user.id, found.block_ids)
    return Json([block_state(block) for block in held[: query.limit]])


@router.patch("/agents/{agent_id}/identities/attach/{identity_id}")
@answers(type(None))
async def attach_identity_to_agent(
    agent_id: AgentPath, identity_id: IdentityPath, caller: Caller, parts: Parts
) -> Response:
    """Say that an agent is for an identity."""
    found = await _find(parts, caller.user.id, identity_id)
    await parts.db.write(store.attach, found, agent_id, wanted=True)
    return Json(None)


@router.patch("/agents/{agent_id}/identities/detach/{identity_id}")
@answers(type(None))
async def detach_identity_from_agent(
    agent_id: AgentPath, identity_id: IdentityPath, caller: Caller, parts: Parts
) -> Response:
    """Say that an agent is no longer for an identity."""
    found = await _find(parts, caller.user.id, identity_id)
    await parts.db.write(store.attach, found, agent_id, wanted=False)
    return Json(None)


@router.patch("/blocks/{block_id}/identities/attach/{identity_id}")
@answers(type(None))
async def attach_identity_to_block(
    block_id: BlockPath, identity_id: IdentityPath, caller: Caller, parts: Parts
) -> Response:
    """Say that a block is for an identity."""
    return await _hold_block(parts, caller.user.id, identity_id, block_id, wanted=True)


@router.patch("/blocks/{block_id}/identities/detach/{identity_id}")
@answers(type(None))
async def detach_identity_from_block(
    block_id: BlockPath, identity_id: IdentityPath, caller: Caller, parts: Parts
) -> Response:
    """Say that a block is no longer for an identity."""
    return await _hold_block(parts, caller.user.id, identity_id, block_id, wanted=False)


def no_identity(identity_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Identity {identity_id} not found")


async def _find(parts: Services, user_id: UserId, identity_id: str) -> Identity:
    found = await parts.db.read(store.find_identity, user_id, identity_id)
    if found is None:
        raise no_identity(identity_id)
    return found


async def _make(parts: Services, user: User, body: CreateIdentity) -> Response:
    made = new_identity(body, IdentityId(f"identity-{parts.ids.uuid()}"), user.id, parts.clock.now())
    await parts.db.write(store.insert_identity, made, body.agent_ids or ())
    return await _answer(parts, user, made, made.id)


async def _answer(parts: Services, user: User, found: Identity | None, identity_id: str) -> Response:
    if found is None:
        raise no_identity(identity_id)
    held = await parts.db.read(store.agents_of, found)
    return Json(identity_state(found, held, user.organization_id))


async def _hold_block(
    parts: Services, user_id: UserId, identity_id: str, block_id: str, *, wanted: bool
) -> Response:
    if await parts.db.read(blocks.find_block, user_id, block_id) is None:
        raise no_block(block_id)
    found = await _find(parts, user_id, identity_id)
    held = [each for each in found.block_ids if each != block_id]
    body = UpdateIdentity(block_ids=[*held, block_id] if wanted else held)
    change = partial(changed_identity, body=body, now=parts.clock.now())
    await parts.db.write(store.change_identity, user_id, identity_id, change, None)
    return Json(None)
