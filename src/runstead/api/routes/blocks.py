"""Memory blocks, whoever holds them: make, read, list, change, delete, and who holds one."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import Path, Response
from pydantic import Field

from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import Include, details_of
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.agents import AgentState, agent_state, wanted_relations
from runstead.api.wire.blocks import (
    BlockState,
    BlockUpdate,
    CreateBlock,
    block_state,
    changed_block,
    new_block,
)
from runstead.api.wire.paging import PageQuery, asked
from runstead.domain.agent import Block
from runstead.errors import NotFound
from runstead.ids import BlockId, UserId
from runstead.store import agents, blocks
from runstead.store.agents import AgentFilter
from runstead.store.blocks import BlockFilter

router = v1_router("blocks")

COUNT_MAX = 2**31
BlockPath = Annotated[BlockId, Path(pattern=f"^block-{UUID4_PATTERN}$")]
Count = Annotated[int, Field(ge=-COUNT_MAX, le=COUNT_MAX)]


class BlockQuery(PageQuery):
    """Which blocks shall be listed. Without identities here, none has the one that is asked for."""

    order: Literal["asc", "desc"] = "asc"
    order_by: Literal["created_at"] = "created_at"
    label: str | None = None
    name: str | None = None
    templates_only: bool = False
    tags: list[str] | None = None
    match_all_tags: bool = False
    label_search: str | None = None
    value_search: str | None = None
    description_search: str | None = None
    connected_to_agents_count_gt: Count | None = None
    connected_to_agents_count_lt: Count | None = None
    connected_to_agents_count_eq: list[Count] | None = None
    project_id: str | None = None
    identity_id: str | None = None
    identifier_keys: list[str] | None = None

    def filter(self) -> BlockFilter:
        """The store's filter."""
        return BlockFilter(
            label=self.label,
            name=self.name,
            templates_only=self.templates_only,
            tags=tuple(self.tags or ()),
            match_all_tags=self.match_all_tags,
            label_search=self.label_search,
            value_search=self.value_search,
            description_search=self.description_search,
            agents_gt=self.connected_to_agents_count_gt,
            agents_lt=self.connected_to_agents_count_lt,
            agents_in=tuple(self.connected_to_agents_count_eq or ()),
            project_id=self.project_id,
            nothing=bool(self.identity_id or self.identifier_keys),
        )


class HoldersQuery(PageQuery):
    """Which of the agents that hold a block shall be listed."""

    order_by: Literal["created_at"] = "created_at"
    include_relationships: list[str] | None = None
    include: list[Include] = []


@router.post("/blocks/")
@answers(BlockState)
async def create_block(body: CreateBlock, caller: Caller, parts: Parts) -> Response:
    """Make a block that no agent holds yet."""
    block_id = BlockId(f"block-{parts.ids.uuid()}")
    block = new_block(body, block_id, caller.user.id, parts.clock.now())
    await parts.db.write(blocks.insert_blocks, [block])
    return Json(block_state(block))


@router.get("/blocks/")
@answers(list[BlockState])
async def list_blocks(
    query: Annotated[BlockQuery, asked(BlockQuery)], caller: Caller, parts: Parts
) -> Response:
    """List blocks, oldest first unless asked otherwise."""
    found = await parts.db.read(blocks.list_blocks, caller.user.id, query.filter(), query.page())
    return Json([block_state(block) for block in found])


@router.get("/blocks/count")
@answers(int)
async def count_blocks(
    query: Annotated[BlockQuery, asked(BlockQuery)], caller: Caller, parts: Parts
) -> Response:
    """Count blocks."""
    return Json(await parts.db.read(blocks.count_blocks, caller.user.id, query.filter()))


@router.get("/blocks/{block_id}")
@answers(BlockState)
async def retrieve_block(block_id: BlockPath, caller: Caller, parts: Parts) -> Response:
    """Read a block."""
    return Json(block_state(await _find(parts, caller.user.id, block_id)))


@router.patch("/blocks/{block_id}")
@answers(BlockState)
async def modify_block(block_id: BlockPath, body: BlockUpdate, caller: Caller, parts: Parts) -> Response:
    """Change what is given of a block."""
    change = partial(changed_block, body=body, now=parts.clock.now())
    block = await parts.db.write(blocks.change_block, caller.user.id, block_id, change)
    if block is None:
        raise no_block(block_id)
    return Json(block_state(block))


@router.delete("/blocks/{block_id}")
@answers(dict[str, str])
async def delete_block(block_id: BlockPath, caller: Caller, parts: Parts) -> Response:
    """Delete a block; the agents that held it go on without it."""
    await _find(parts, caller.user.id, block_id)
    await parts.db.write(blocks.delete_block, caller.user.id, block_id)
    return Json({"message": f"Block id={block_id} successfully deleted"})


@router.get("/blocks/{block_id}/agents")
@answers(list[AgentState])
async def list_agents_for_block(
    block_id: BlockPath,
    query: Annotated[HoldersQuery, asked(HoldersQuery)],
    caller: Caller,
    parts: Parts,
    sdk1: Sdk1,
) -> Response:
    """List the agents that hold a block."""
    await _find(parts, caller.user.id, block_id)
    where = AgentFilter(block_id=block_id)
    found = await parts.db.read(agents.list_records, caller.user.id, where, query.page())
    relations = wanted_relations(query.include, query.include_relationships, sdk1=sdk1)
    return Json([agent_state(each.agent, details_of(parts, each), relations) for each in found])


def no_block(block_id: str) -> NotFound:
    """The error that says that there is no such block."""
    return NotFound(f"Block with ID {block_id} not found")


async def _find(parts: Services, user_id: UserId, block_id: str) -> Block:
    block = await parts.db.read(blocks.find_block, user_id, block_id)
    if block is None:
        raise no_block(block_id)
    return block
