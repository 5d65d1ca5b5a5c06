"""Conversations: histories of their own with an agent. Make, read, change, delete, fork; talk in them, follow, cancel.

In the place of a conversation's id may stand an agent's, or `default` with an `agent_id` beside it: both mean what the agent
said outside of all conversations.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import Body, Header, Path, Query, Request, Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import Addressee, Sending, follow, history, stream_answer, wait_for_answer
from runstead.api.quiet import when_quiet
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import find_model, no_agent
from runstead.api.routes.compaction import compacted, compiled_prompt
from runstead.api.routes.runs import NO_RUN, NOT_BACKGROUND
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.conversations import (
    CompactionState,
    CompactRequest,
    ConversationQuery,
    ConversationState,
    CreateConversation,
    RecompileQuery,
    UpdateConversation,
    changed_conversation,
    conversation_state,
    new_conversation,
)
from runstead.api.wire.first_messages import first_messages
from runstead.api.wire.messages import (
    ConversationHistoryQuery,
    ConversationRequest,
    MessageState,
    RunAnswer,
)
from runstead.api.wire.paging import asked
from runstead.api.wire.runs import ResumeRequest
from runstead.domain.agent import Agent, Block
from runstead.domain.conversation import Conversation
from runstead.domain.message import Message
from runstead.domain.pending import open_in, refused
from runstead.domain.run import Run, RunType
from runstead.errors import Invalid, NotFound
from runstead.ids import AgentId, BlockId, ConversationId, Ids, MessageId, UserId
from runstead.runs.refuse import close_conversation
from runstead.store import agents, blocks, messages, runs
from runstead.store import conversations as store
from runstead.store.conversations import ConversationRecord
from runstead.store.messages import MessageFilter

router = v1_router("conversations")

DEFAULT = "default"
FORKED_REASON = "it was asked before this conversation was forked; the answer is given there"
ConversationPath = Annotated[
    ConversationId, Path(pattern=f"^conv-{UUID4_PATTERN}$", description="The id of a conversation.")
]
# Where an agent's own history may be meant, too.
LanePath = Annotated[
    str,
    Path(
        pattern=f"^({DEFAULT}|(conv|agent)-{UUID4_PATTERN})$",
        description="The id of a conversation or agent, or `default` with an agent_id.",
    ),
]
OfAgent = Annotated[str | None, Query(description="Whose default conversation is meant.")]


@router.post("/conversations/")
@answers(ConversationState)
async def create_conversation(
    agent_id: Annotated[AgentId, Query(pattern=f"^agent-{UUID4_PATTERN}$")],
    caller: Caller,
    parts: Parts,
    body: Annotated[CreateConversation | None, Body()] = None,
) -> Response:
    """Begin a conversation with an agent."""
    wanted = body or CreateConversation()
    agent = await _agent(parts, caller.user.id, agent_id)
    model = None if wanted.model is None else await find_model(parts, caller.user.id, wanted.model)
    labels = list(dict.fromkeys(wanted.isolated_block_labels or ()))
    held = await parts.db.read(blocks.blocks_of_agent, caller.user.id, agent_id)
    now = parts.clock.now()
    own = _isolated([block for block in held if block.label in labels], parts.ids, now)
    if missing := set(labels).difference(block.label for block in own):
        raise Invalid(f"Agent {agent_id} has no block with the label {', '.join(sorted(missing))}.")
    made = new_conversation(
        wanted, _new_id(parts), agent, model, now, {block.label: block.id for block in own}
    )
    record = await parts.db.write(store.make_conversation, made, own, _begins_with(agent, made, parts.ids))
    return Json(conversation_state(record))


@router.get("/conversations/")
@answers(list[ConversationState])
async def list_conversations(
    query: Annotated[ConversationQuery, asked(ConversationQuery)], caller: Caller, parts: Parts
) -> Response:
    """List conversations, newest first unless asked otherwise."""
    page = query.page(query.order_by)
    found = await parts.db.read(store.list_records, caller.user.id, query.filter(), page)
    return Json([conversation_state(record) for record in found])


@router.get("/conversations/{conversation_id}")
@answers(ConversationState)
async def retrieve_conversation(conversation_id: ConversationPath, caller: Caller, parts: Parts) -> Response:
    """Read a conversation."""
    return Json(conversation_state(await _record(parts, caller.user.id, conversation_id)))


@router.patch("/conversations/{conversation_id}")
@answers(ConversationState)
async def update_conversation(
    conversation_id: ConversationPath, body: UpdateConversation, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of a conversation."""
    found = await _record(parts, caller.user.id, conversation_id)
    agent = await _agent(parts, caller.user.id, found.conversation.agent_id)
    model = None if body.model is None else await find_model(parts, caller.user.id, body.model)
    change = partial(changed_conversation, body=body, agent=agent, model=model, now=parts.clock.now())
    record = await parts.db.write(store.change_conversation, caller.user.id, conversation_id, change)
    if record is None:
        raise no_conversation(conversation_id)
    return Json(conversation_state(record))


@router.delete("/conversations/{conversation_id}")
@answers(type(None))
async def delete_conversation(conversation_id: ConversationPath, caller: Caller, parts: Parts) -> Response:
    """Delete a conversation. Its runs are cancelled first; they and its messages stay in the agent's history."""
    user = caller.user
    await _record(parts, user.id, conversation_id)
    await when_quiet(
        parts.cancellation,
        user,
        lambda: parts.db.read(runs.active_in_lane, user.id, conversation_id),
        lambda: parts.db.write(close_conversation, user.id, conversation_id, parts.clock.now(), parts.ids),
    )
    return Json(None)


@router.post("/conversations/{conversation_id}/fork")
@answers(ConversationState)
async def fork_conversation(
    conversation_id: LanePath, caller: Caller, parts: Parts, agent_id: OfAgent = None
) -> Response:
    """Begin a conversation that goes on from here: it has copies of what is seen here, and of the blocks."""
    to, source = await addressed(parts, caller.user.id, conversation_id, agent_id)
    agent = await _agent(parts, caller.user.id, to.agent_id)
    seen = await parts.db.read(messages.in_context, to.lane)
    now, fork_id = parts.clock.now(), _new_id(parts)
    if source is None:
        fork = Conversation(fork_id, agent.user_id, agent.id, now, now)
        own: list[Block] = []
    else:
        own = _isolated(await parts.db.read(store.own_blocks, source), parts.ids, now)
        isolated = {block.label: block.id for block in own}
        fork = replace(source, id=fork_id, created_at=now, updated_at=now, isolated=isolated)
    copies = _copied([m for m in seen if m.user_id == caller.user.id], fork, parts.ids)
    if (asked := open_in(copies)) is not None:
        copies += refused(asked, FORKED_REASON, now, parts.ids.uuid)
    return Json(conversation_state(await parts.db.write(store.make_conversation, fork, own, copies)))


@router.get("/conversations/{conversation_id}/messages")
@answers(list[MessageState])
async def list_conversation_messages(
    conversation_id: LanePath,
    query: Annotated[ConversationHistoryQuery, asked(ConversationHistoryQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the messages of a conversation: the newest first unless asked otherwise."""
    to, _ = await addressed(parts, caller.user.id, conversation_id, query.agent_id)
    where = MessageFilter(agent_id=to.agent_id, lane=to.lane)
    return Json(await history(parts, caller.user.id, where, query, chronological=True))


@router.post("/conversations/{conversation_id}/messages")
@answers(RunAnswer)
async def send_conversation_message(
    conversation_id: LanePath,
    body: ConversationRequest,
    request: Request,
    caller: Caller,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Send messages to a conversation and follow the run; with `streaming` false, wait for the whole answer."""
    to, _ = await addressed(parts, caller.user.id, conversation_id, body.agent_id)
    sending = Sending(caller.user, request, idempotency_key)
    answer = stream_answer if body.streaming else wait_for_answer
    return await answer(parts, to, body, RunType.CONVERSATION, sending)


@router.post("/conversations/{conversation_id}/stream")
@answers(dict[str, object])
async def retrieve_conversation_stream(
    conversation_id: LanePath,
    caller: Caller,
    parts: Parts,
    body: Annotated[ResumeRequest | None, Body()] = None,
) -> Response:
    """Follow a run of a conversation from any event on: the named one, that of a message, or else the newest active one."""
    wanted = body or ResumeRequest()
    to, _ = await addressed(parts, caller.user.id, conversation_id, wanted.agent_id)
    run = await _run_to_follow(parts, caller.user.id, to, wanted)
    return await follow(parts, run, wanted.starting_after, wanted)


@router.post("/conversations/{conversation_id}/cancel")
@answers(dict[str, str])
async def cancel_conversation(
    conversation_id: LanePath, caller: Caller, parts: Parts, agent_id: OfAgent = None
) -> Response:
    """End every run of a conversation that is not over. Answers what became of each."""
    to, _ = await addressed(parts, caller.user.id, conversation_id, agent_id)
    return Json(await parts.cancellation.cancel_lane(caller.user, to.lane))


@router.post("/conversations/{conversation_id}/compact")
@answers(CompactionState)
async def compact_conversation(
    conversation_id: LanePath,
    caller: Caller,
    parts: Parts,
    body: Annotated[CompactRequest | None, Body()] = None,
) -> Response:
    """Let a summary stand for the oldest turns of a conversation. It is a run: it waits its turn, it can be cancelled."""
    agent_id = None if body is None else body.agent_id
    to, _ = await addressed(parts, caller.user.id, conversation_id, agent_id)
    return await compacted(parts, caller.user, to, body)


@router.post("/conversations/{conversation_id}/recompile")
@answers(str)
async def recompile_conversation(
    conversation_id: LanePath,
    caller: Caller,
    parts: Parts,
    _query: Annotated[RecompileQuery, asked(RecompileQuery)],
    body: Annotated[CompactRequest | None, Body()] = None,
) -> Response:
    """Read the system prompt as it is now, memory included. It is compiled for every question anew, so nothing changes."""
    agent_id = None if body is None else body.agent_id
    to, found = await addressed(parts, caller.user.id, conversation_id, agent_id)
    agent = await _agent(parts, caller.user.id, to.agent_id)
    return Json(await compiled_prompt(parts, agent, found))


def no_conversation(conversation_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Conversation {conversation_id} not found")


async def _record(parts: Services, user_id: UserId, conversation_id: str) -> ConversationRecord:
    record = await parts.db.read(store.find_record, user_id, conversation_id)
    if record is None:
        raise no_conversation(conversation_id)
    return record


async def _agent(parts: Services, user_id: UserId, agent_id: str) -> Agent:
    agent = await parts.db.read(agents.find_agent, user_id, agent_id)
    if agent is None:
        raise no_agent(agent_id)
    return agent


async def addressed(
    parts: Services, user_id: UserId, named: str, agent_id: str | None
) -> tuple[Addressee, Conversation | None]:
    """Whom a path value means. Raises `NotFound`."""
    if named == DEFAULT:
        if agent_id is None:
            raise NotFound("The default conversation is an agent's: give its agent_id.")
        named = agent_id
    if named.startswith("conv-"):
        found = (await _record(parts, user_id, named)).conversation
        return Addressee(found.agent_id, found.id), found
    if not await parts.db.read(agents.is_agent, user_id, named):
        raise no_agent(named)
    return Addressee(AgentId(named)), None


async def _run_to_follow(parts: Services, user_id: UserId, to: Addressee, wanted: ResumeRequest) -> Run:
    if wanted.run_id is not None:
        run = await parts.db.read(runs.find_run, user_id, wanted.run_id)
        if run is None or run.lane != to.lane:
            raise NotFound(NO_RUN)
        return run
    if wanted.otid is not None:
        run_id = await parts.db.read(messages.run_of_otid, user_id, to.lane, wanted.otid)
        run = None if run_id is None else await parts.db.read(runs.find_run, user_id, run_id)
        if run is None:
            raise NotFound(f"No run found for otid={wanted.otid[:100]}")
        return run
    active = await parts.db.read(runs.active_in_lane, user_id, to.lane)
    if not active:
        raise Invalid("No active runs found for this conversation.")
    if not active[-1].background:
        raise Invalid(NOT_BACKGROUND)
    return active[-1]


def _new_id(parts: Services) -> ConversationId:
    return ConversationId(f"conv-{parts.ids.uuid()}")


def _begins_with(agent: Agent, made: Conversation, ids: Ids) -> tuple[Message, ...]:
    system = first_messages(agent, ids, made.created_at, system_only=True)
    return tuple(replace(message, conversation_id=made.id) for message in system)


def _isolated(found: list[Block], ids: Ids, now: datetime) -> list[Block]:
    return [
        replace(block, id=BlockId(f"block-{ids.uuid()}"), created_at=now, updated_at=now) for block in found
    ]


def _copied(seen: list[Message], fork: Conversation, ids: Ids) -> list[Message]:
    """The messages as the fork's own. They belong to no run: what the runs did, they did elsewhere."""
    named = {message.id: MessageId(f"message-{ids.uuid()}") for message in seen}
    return [
        replace(
            message,
            id=named[message.id],
            conversation_id=fork.id,
            run_id=None,
            step_id=None,
            answers=None if message.answers is None else named.get(message.answers),
        )
        for message in seen
    ]
