"""The tools of an agent: list, attach, detach, say whether a person approves each call, and make a call without a model."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import orjson
from fastapi import Response

from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, answer_changed, find_record
from runstead.api.routes.tools import ToolPath, no_tool
from runstead.api.services import Services
from runstead.api.wire.agent_requests import REQUIRES_APPROVAL
from runstead.api.wire.agents import AgentState
from runstead.api.wire.paging import Limit, PageQuery, asked
from runstead.api.wire.tools import (
    ModifyApprovalRequest,
    ToolExecuteRequest,
    ToolExecutionResult,
    ToolState,
    execution_result,
    tool_states,
)
from runstead.domain.agent import Agent, ToolRule
from runstead.domain.message import ToolCall
from runstead.errors import NotFound, Unprocessable
from runstead.ids import RunId, ToolId, UserId
from runstead.store import agents as store
from runstead.store import blocks as block_store
from runstead.store import tools as tool_store
from runstead.store.agents import AgentRecord
from runstead.tools.catalog import builtin_name
from runstead.tools.registry import ToolContext

router = v1_router("agents")


class AgentToolQuery(PageQuery):
    """Which of an agent's tools shall be listed."""

    limit: Limit = 100
    order_by: Literal["created_at"] = "created_at"


@router.get("/agents/{agent_id}/tools")
@answers(list[ToolState])
async def list_tools_for_agent(
    agent_id: AgentPath,
    query: Annotated[AgentToolQuery, asked(AgentToolQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List an agent's tools; the one that it got last stands first, unless asked otherwise."""
    record = await find_record(parts, caller.user.id, agent_id)
    states = tool_states(record.agent.tools, record.tools)
    if query.order == "desc":
        states.reverse()
    ids = [state["id"] for state in states]
    for cursor in (query.after, query.before):
        if cursor is not None and cursor not in ids:
            raise NotFound(
                f"No item with the id {cursor[:100]} is in this list; give the id of a listed item."
            )
    begin = 0 if query.after is None else ids.index(query.after) + 1
    end = len(ids) if query.before is None else ids.index(query.before)
    if query.before is not None and query.after is None:
        begin = max(begin, end - query.limit)
    return Json(states[begin:end][: query.limit])


@router.patch("/agents/{agent_id}/tools/attach/{tool_id}")
@answers(AgentState | None)
async def attach_tool_to_agent(
    agent_id: AgentPath, tool_id: ToolPath, caller: Caller, parts: Parts, sdk1: Sdk1
) -> Response:
    """Give an agent a tool; again changes nothing."""
    name, approve = await _named(parts, caller.user.id, tool_id)
    record = await _changed(parts, caller.user.id, agent_id, partial(_attached, name=name, approve=approve))
    return answer_changed(parts, agent_id, record, sdk1)


@router.patch("/agents/{agent_id}/tools/detach/{tool_id}")
@answers(AgentState | None)
async def detach_tool_from_agent(
    agent_id: AgentPath, tool_id: ToolPath, caller: Caller, parts: Parts, sdk1: Sdk1
) -> Response:
    """Take a tool from an agent; the tool stays. One that it does not have changes nothing."""
    name, _ = await _named(parts, caller.user.id, tool_id)
    record = await _changed(parts, caller.user.id, agent_id, partial(_detached, name=name))
    return answer_changed(parts, agent_id, record, sdk1)


@router.patch("/agents/{agent_id}/tools/approval/{tool_name}")
@answers(AgentState | None)
async def modify_approval_for_tool(
    agent_id: AgentPath,
    tool_name: str,
    caller: Caller,
    parts: Parts,
    sdk1: Sdk1,
    body: ModifyApprovalRequest | None = None,
    requires_approval: bool | None = None,
) -> Response:
    """Say whether a person approves each call of a tool. The body counts before the query."""
    wanted = body.requires_approval if body is not None else requires_approval
    if wanted is None:
        raise Unprocessable("Say requires_approval: true or false, in the body or in the query.")
    change = partial(_approving, name=tool_name, wanted=wanted)
    record = await _changed(parts, caller.user.id, agent_id, change)
    return answer_changed(parts, agent_id, record, sdk1)


@router.post("/agents/{agent_id}/tools/{tool_name}/run")
@answers(ToolExecutionResult)
async def run_tool_for_agent(
    agent_id: AgentPath,
    tool_name: str,
    caller: Caller,
    parts: Parts,
    body: ToolExecuteRequest | None = None,
) -> Response:
    """Make one call of an agent's tool as the model would, without asking a model. What it changes of the memory stays."""
    record = await find_record(parts, caller.user.id, agent_id)
    _must_have(record.agent, tool_name)
    arguments = {} if body is None else body.args
    call = ToolCall("call_" + parts.ids.uuid(), tool_name, orjson.dumps(arguments).decode())
    context = ToolContext(
        user_id=caller.user.id,
        agent=record.agent,
        run_id=RunId(""),
        call_id=call.id,
        blocks=tuple(record.blocks),
        now=parts.clock.now(),
        stored=record.tools,
    )
    outcome = await parts.workshop.toolbox.run(call, context)
    for block in outcome.blocks:
        await parts.db.write(block_store.write_value, block)
    return Json(execution_result(outcome))


async def _named(parts: Services, user_id: UserId, tool_id: ToolId) -> tuple[str, bool]:
    """A tool's name, and whether a person approves its calls unless the agent says otherwise. Raises `NotFound`."""
    if (name := builtin_name(tool_id)) is not None:
        return name, False
    tool = await parts.db.read(tool_store.find_tool, user_id, tool_id)
    if tool is None:
        raise no_tool(tool_id)
    return tool.name, bool(tool.default_requires_approval)


async def _changed(
    parts: Services, user_id: UserId, agent_id: str, change: partial[Agent]
) -> AgentRecord | None:
    """An agent after a change of its tools; None where there is none."""
    now = parts.clock.now()
    return await parts.db.write(
        store.change_agent, user_id, agent_id, lambda agent: replace(change(agent), updated_at=now)
    )


def _attached(agent: Agent, *, name: str, approve: bool) -> Agent:
    if name in agent.tools:
        return agent
    rules = agent.tool_rules
    if approve and not agent.has_rule(REQUIRES_APPROVAL, name):
        rules = (*rules, ToolRule(REQUIRES_APPROVAL, name))
    return replace(agent, tools=(*agent.tools, name), tool_rules=rules)


def _detached(agent: Agent, *, name: str) -> Agent:
    return replace(agent, tools=tuple(each for each in agent.tools if each != name))


def _approving(agent: Agent, *, name: str, wanted: bool) -> Agent:
    _must_have(agent, name)
    others = tuple(r for r in agent.tool_rules if not (r.type == REQUIRES_APPROVAL and r.tool_name == name))
    return replace(agent, tool_rules=(*others, ToolRule(REQUIRES_APPROVAL, name)) if wanted else others)


def _must_have(agent: Agent, name: str) -> None:
    if name not in agent.tools:
        tools = ", ".join(agent.tools) or "none"
        raise NotFound(f"Agent {agent.id} has no tool named {name[:100]!r}. Its tools: {tools}.")
