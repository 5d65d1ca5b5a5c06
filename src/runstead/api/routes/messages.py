"""Talking to an agent: the four ways to make a run, which differ only in how its log is read; and cancel, and history."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Body, Header, Request, Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import (
    Addressee,
    Sending,
    history,
    new_run,
    shown_messages,
    stream_answer,
    wait_for_answer,
)
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, no_agent
from runstead.api.wire.message_edit import MessageEdit
from runstead.api.wire.messages import (
    AgentHistoryQuery,
    AsyncRequest,
    CancelRequest,
    MessageState,
    RunAnswer,
    SendRequest,
    StreamEvent,
    StreamRequest,
)
from runstead.api.wire.paging import asked
from runstead.api.wire.runs import RunState, run_state
from runstead.domain.run import RunRequest, RunType
from runstead.errors import NotFound
from runstead.store import agents, lines
from runstead.store import messages as store
from runstead.store.messages import MessageFilter

router = v1_router("messages")

DEFAULT_CONVERSATION = "default"


@router.post("/agents/{agent_id}/messages")
@answers(RunAnswer)
async def send_message(
    agent_id: AgentPath,
    body: SendRequest,
    request: Request,
    caller: Caller,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Send messages and wait for the whole answer, or, with `streaming`, follow it as it is said.

    Leaving does not end the run. The same `Idempotency-Key` gives the same run again.
    """
    sending = Sending(caller.user, request, idempotency_key)
    answer = stream_answer if body.streaming else wait_for_answer
    return await answer(parts, Addressee(agent_id), body, RunType.SEND, sending)


@router.post("/agents/{agent_id}/messages/stream")
@answers(StreamEvent)
async def stream_message(
    agent_id: AgentPath,
    body: StreamRequest,
    request: Request,
    caller: Caller,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Send messages and follow the run as server-sent events. With `background`, anybody may re-attach later."""
    sending = Sending(caller.user, request, idempotency_key)
    return await stream_answer(parts, Addressee(agent_id), body, RunType.STREAM, sending)


@router.post("/agents/{agent_id}/messages/async")
@answers(RunState)
async def send_message_async(
    agent_id: AgentPath,
    body: AsyncRequest,
    request: Request,
    caller: Caller,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Send messages and get the run at once. Its end can be polled, followed, or told to `callback_url`."""
    sending = Sending(caller.user, request, idempotency_key)
    new = await new_run(Addressee(agent_id), body, RunType.ASYNC, body.request(), sending)
    run = await parts.admission.admit(replace(new, background=True, callback_url=body.callback_url))
    _, place = await parts.db.read(lines.find_placed, caller.user.id, run.id) or (run, lines.FIRST)
    return Json(run_state(run, place))


@router.post("/agents/{agent_id}/messages/cancel")
@answers(dict[str, str])
async def cancel_message(
    agent_id: AgentPath,
    caller: Caller,
    parts: Parts,
    body: Annotated[CancelRequest | None, Body()] = None,
) -> Response:
    """End runs of an agent: those named, or all that are not over. Answers what became of each."""
    if body is not None and body.run_ids:
        return Json(await parts.cancellation.cancel_runs(caller.user, body.run_ids))
    if await parts.db.read(agents.find_agent, caller.user.id, agent_id) is None:
        raise no_agent(agent_id)
    return Json(await parts.cancellation.cancel_agent(caller.user, agent_id))


@router.get("/agents/{agent_id}/messages")
@answers(list[MessageState])
async def list_messages(
    agent_id: AgentPath,
    query: Annotated[AgentHistoryQuery, asked(AgentHistoryQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List an agent's messages: the newest page unless `order` is `asc`. Either begins with its oldest message."""
    if await parts.db.read(agents.find_agent, caller.user.id, agent_id) is None:
        raise no_agent(agent_id)
    lane = query.conversation_id
    if lane == DEFAULT_CONVERSATION:
        lane = agent_id
    where = MessageFilter(agent_id=agent_id, lane=lane)
    return Json(await history(parts, caller.user.id, where, query, chronological=True, oldest_first=True))


@router.patch("/agents/{agent_id}/messages/{message_id}")
@answers(MessageState)
async def modify_message(
    agent_id: AgentPath, message_id: str, body: MessageEdit, caller: Caller, parts: Parts
) -> Response:
    """Give a stored message other words: the model sees them from its next question on. What was streamed stays as it was.

    409 while a run of its conversation is not over. Calls of tools, their returns and approvals are not changed.
    """
    now = parts.clock.now()
    after = await parts.db.write(
        store.edit_message, caller.user.id, agent_id, message_id, lambda found: body.of(found)[1], now
    )
    if after is None:
        raise NotFound(f"Message {message_id} not found")
    shown = shown_messages([after], RunRequest())
    kind, _ = body.of(after)
    return Json(next((each for each in shown if each["message_type"] == kind), shown[0]))
