"""What a model is shown of a history, and how it is made smaller: compaction, the compiled prompt, the context's sizes."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import Body, Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import Addressee, model_problem
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, find_record
from runstead.api.services import Services
from runstead.api.wire.context import ContextFacts, ContextState, context_state
from runstead.api.wire.conversations import (
    CompactionState,
    CompactRequest,
    RecompileQuery,
    SummarizeQuery,
)
from runstead.api.wire.paging import asked
from runstead.api.wire.tools import specs_of
from runstead.domain.actor import User
from runstead.domain.agent import Agent
from runstead.domain.conversation import Conversation
from runstead.domain.folder import NO_DIRECTORY, Directory, reads_files
from runstead.domain.prompt import system_prompt
from runstead.domain.run import RunRequest, RunType
from runstead.errors import NotFound
from runstead.runs.admit import NewRun
from runstead.runs.wait import outcome
from runstead.store import blocks, conversations, messages, open_files, passages
from runstead.store.passages import PassageFilter

router = v1_router("agents")


@router.post("/agents/{agent_id}/summarize")
@answers(CompactionState)
async def summarize_messages(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    _query: Annotated[SummarizeQuery, asked(SummarizeQuery)],
    body: Annotated[CompactRequest | None, Body()] = None,
) -> Response:
    """Let a summary stand for the oldest turns of an agent. It is a run: it waits its turn, it can be cancelled."""
    return await compacted(parts, caller.user, Addressee(agent_id), body)


@router.post("/agents/{agent_id}/recompile")
@router.post("/agents/{agent_id}/system-prompt/recompile")
@answers(str)
async def recompile_agent(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    _query: Annotated[RecompileQuery, asked(RecompileQuery)],
) -> Response:
    """Read the system prompt as it is now, memory included. It is compiled for every question anew, so nothing changes."""
    record = await find_record(parts, caller.user.id, agent_id)
    return Json(await compiled_prompt(parts, record.agent, None))


@router.get("/agents/{agent_id}/context")
@answers(ContextState)
async def retrieve_context(
    agent_id: AgentPath, caller: Caller, parts: Parts, conversation_id: str | None = None
) -> Response:
    """Read what fills an agent's context window, in one of its conversations or outside of all."""
    record = await find_record(parts, caller.user.id, agent_id)
    user_id, agent, held = caller.user.id, record.agent, tuple(record.blocks)
    lane = conversation_id or agent_id
    if conversation_id is not None:
        found = await parts.db.read(conversations.find_conversation, user_id, conversation_id)
        if found is None or found.agent_id != agent_id:
            raise NotFound(f"Conversation {conversation_id} not found")
        agent = found.agent_of(agent)
        held = found.blocks_of(held, await parts.db.read(conversations.own_blocks, found))
    facts = ContextFacts(
        agent=agent,
        blocks=held,
        seen=await parts.db.read(messages.in_context, lane),
        tools=specs_of(agent.tools, record.tools),
        passages=await parts.db.read(passages.count_passages, user_id, PassageFilter(agent_id=agent_id)),
        stored=await parts.db.read(messages.count_stored, user_id, lane),
        directory=await _directory(parts, agent),
    )
    return Json(context_state(facts))


async def compacted(parts: Services, user: User, to: Addressee, body: CompactRequest | None) -> Response:
    """Summarise a history's oldest turns and say what came of it. Raises the model's error where it could not."""
    settings = None if body is None else body.compaction_settings
    before = await parts.db.read(messages.count_in_context, to.lane)
    new = NewRun(
        user,
        to.agent_id,
        RunType.COMPACTION,
        (),
        RunRequest(compact=True, compaction_settings=settings, use_assistant_message=False),
        to.conversation_id,
    )
    run = await parts.admission.admit(new)
    found = await outcome(parts.log, run.id)
    if found.error is not None and (problem := model_problem(found.error)) is not None:
        raise problem
    state = CompactionState(summary="", num_messages_before=before, num_messages_after=before)
    for told in map(orjson.loads, found.messages):
        if told["message_type"] == "summary_message":
            stats = told["compaction_stats"]
            state = CompactionState(
                summary=told["summary"],
                num_messages_before=stats["messages_count_before"],
                num_messages_after=stats["messages_count_after"],
            )
    return Json(state)


async def compiled_prompt(parts: Services, agent: Agent, conversation: Conversation | None) -> str:
    """The system prompt of an agent as a question would have it now, in one of its conversations or outside of all."""
    held = await parts.db.read(blocks.blocks_of_agent, agent.user_id, agent.id)
    directory = await _directory(parts, agent)
    if conversation is None:
        return system_prompt(agent, held, directory=directory)
    own = await parts.db.read(conversations.own_blocks, conversation)
    return system_prompt(agent, conversation.blocks_of(held, own), directory=directory)


async def _directory(parts: Services, agent: Agent) -> Directory:
    """What the agent is told of its folders."""
    return await parts.db.read(open_files.directory_of, agent) if reads_files(agent) else NO_DIRECTORY
