"""An agent's memory: the blocks that it holds, by label. The blocks themselves, whoever holds them, are `blocks`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, answer_agent, find_record
from runstead.api.routes.blocks import BlockPath, no_block
from runstead.api.services import Services
from runstead.api.wire.agents import AgentState, MemoryState, memory_state
from runstead.api.wire.blocks import BlockState, BlockUpdate, block_state, changed_block
from runstead.api.wire.paging import Limit, PageQuery, asked
from runstead.domain.agent import Block
from runstead.errors import NotFound
from runstead.ids import AgentId, UserId
from runstead.store import blocks

router = v1_router("agents")


class HeldQuery(PageQuery):
    """Which of an agent's blocks shall be listed."""

    limit: Limit = 100
    order_by: Literal["created_at"] = "created_at"


@router.get("/agents/{agent_id}/core-memory")
@answers(MemoryState)
async def retrieve_agent_memory(agent_id: AgentPath, caller: Caller, parts: Parts) -> Response:
    """Read an agent's memory."""
    record = await find_record(parts, caller.user.id, agent_id)
    return Json(memory_state(record.agent, record.blocks, record.windows))


@router.get("/agents/{agent_id}/core-memory/blocks")
@answers(list[BlockState])
async def list_core_memory_blocks(
    agent_id: AgentPath, query: Annotated[HeldQuery, asked(HeldQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the blocks that an agent holds."""
    await find_record(parts, caller.user.id, agent_id)
    found = await parts.db.read(blocks.list_agent_blocks, caller.user.id, agent_id, query.page())
    return Json([block_state(block) for block in found])


@router.patch("/agents/{agent_id}/core-memory/blocks/attach/{block_id}")
@answers(AgentState)
async def attach_core_memory_block(
    agent_id: AgentPath, block_id: BlockPath, caller: Caller, parts: Parts
) -> Response:
    """Give an agent a block."""
    await find_record(parts, caller.user.id, agent_id)
    if not await parts.db.write(blocks.attach_to, caller.user.id, agent_id, block_id):
        raise no_block(block_id)
    return answer_agent(parts, await find_record(parts, caller.user.id, agent_id))


@router.patch("/agents/{agent_id}/core-memory/blocks/detach/{block_id}")
@answers(AgentState)
async def detach_core_memory_block(
    agent_id: AgentPath, block_id: BlockPath, caller: Caller, parts: Parts
) -> Response:
    """Take a block from an agent; the block stays."""
    await find_record(parts, caller.user.id, agent_id)
    await parts.db.write(blocks.detach, caller.user.id, agent_id, block_id)
    return answer_agent(parts, await find_record(parts, caller.user.id, agent_id))


# A label may have slashes: these stand behind the routes whose paths look like labels.
@router.get("/agents/{agent_id}/core-memory/blocks/{block_label:path}")
@answers(BlockState)
async def retrieve_core_memory_block(
    agent_id: AgentPath, block_label: str, caller: Caller, parts: Parts
) -> Response:
    """Read one of an agent's blocks."""
    return Json(block_state(await _find_block(parts, caller.user.id, agent_id, block_label)))


@router.patch("/agents/{agent_id}/core-memory/blocks/{block_label:path}")
@answers(BlockState)
async def modify_core_memory_block(
    agent_id: AgentPath, block_label: str, body: BlockUpdate, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of one of an agent's blocks."""
    change = partial(changed_block, body=body, now=parts.clock.now())
    block = await parts.db.write(blocks.change_block, caller.user.id, block_label, change, agent_id)
    return Json(block_state(block or await _find_block(parts, caller.user.id, agent_id, block_label)))


async def _find_block(parts: Services, user_id: UserId, agent_id: AgentId, label: str) -> Block:
    block = await parts.db.read(blocks.find_by_label, user_id, agent_id, label)
    if block is None:
        await find_record(parts, user_id, agent_id)
        raise NotFound(f"No block with label '{label}' found for agent '{agent_id}'")
    return block
