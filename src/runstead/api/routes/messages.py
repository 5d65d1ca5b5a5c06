"""Talking to an agent: the four ways to make a run, which differ only in how its log is read; and cancel, and history."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

import orjson
from fastapi import Body, Header, Query, Request, Response
from pydantic import Field

from runstead.api import stream
from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath
from runstead.api.routes.runs import expired, feed
from runstead.api.services import Services
from runstead.api.wire.events import message_json, message_type
from runstead.api.wire.messages import (
    AsyncRequest,
    CancelRequest,
    MessageState,
    MessageType,
    RunAnswer,
    RunOptions,
    SendRequest,
    StreamEvent,
    StreamRequest,
)
from runstead.api.wire.paging import PageQuery
from runstead.api.wire.runs import RunState, response_json, run_state
from runstead.domain.actor import User
from runstead.domain.run import RunRequest, RunType
from runstead.domain.transcript import told
from runstead.errors import Gone, ModelError, ModelErrorKind, NotFound
from runstead.ids import AgentId
from runstead.runs.admit import NewRun
from runstead.runs.wait import Outcome, outcome
from runstead.store import agents, lines, messages
from runstead.store.messages import MessageFilter, MessagePage

router = v1_router("messages")

DEFAULT_CONVERSATION = "default"


class HistoryQuery(PageQuery):
    """Which messages of an agent shall be listed. `after` is newer than that message, `before` older, in either order."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    order_by: Literal["created_at"] = "created_at"
    group_id: str | None = None
    conversation_id: str | None = None
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_err: bool | None = None
    include_return_message_types: list[MessageType] | None = None


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
    if body.streaming:
        return await _streamed(agent_id, body, RunType.SEND, request, caller.user, parts, idempotency_key)
    new = await _new(agent_id, body, RunType.SEND, body.request(), request, caller.user, idempotency_key)
    run = await parts.admission.admit(new)
    try:
        return blocking_answer(await outcome(parts.log, run.id))
    except Gone as error:
        raise expired(parts, run.id) from error


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
    return await _streamed(agent_id, body, RunType.STREAM, request, caller.user, parts, idempotency_key)


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
    new = await _new(agent_id, body, RunType.ASYNC, body.request(), request, caller.user, idempotency_key)
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
        raise NotFound(f"Agent with ID {agent_id} not found")
    return Json(await parts.cancellation.cancel_agent(caller.user, agent_id))


@router.get("/agents/{agent_id}/messages")
@answers(list[MessageState])
async def list_messages(
    agent_id: AgentPath, query: Annotated[HistoryQuery, Query()], caller: Caller, parts: Parts
) -> Response:
    """List an agent's messages: the newest first unless asked otherwise."""
    if await parts.db.read(agents.find_agent, caller.user.id, agent_id) is None:
        raise NotFound(f"Agent with ID {agent_id} not found")
    lane = query.conversation_id
    if lane == DEFAULT_CONVERSATION:
        lane = agent_id
    where = MessageFilter(agent_id=agent_id, lane=lane, include_err=query.include_err is not False)
    page = MessagePage(query.limit, query.order == "asc", query.after, query.before)
    found = await parts.db.read(messages.list_messages, caller.user.id, where, page)
    shown = RunRequest(
        use_assistant_message=query.use_assistant_message,
        assistant_tool_name=query.assistant_message_tool_name,
        assistant_tool_argument=query.assistant_message_tool_kwarg,
    )
    types = query.include_return_message_types
    return Json(
        [
            message_json(event, run_id=message.run_id)
            for message in found
            for event in told(message, shown)
            if types is None or message_type(event) in types
        ]
    )


def blocking_answer(found: Outcome) -> Response:
    """The answer of a request that waited: the whole run, or its model's error with the status that it means."""
    if found.error is not None and (problem := model_problem(found.error)) is not None:
        raise problem
    return Response(response_json(found), media_type="application/json")


def model_problem(error: bytes) -> ModelError | None:
    """The error that a run's log tells of, where it was the model's."""
    told_of = orjson.loads(error)
    try:
        kind = ModelErrorKind(told_of["error_type"])
    except ValueError:
        return None
    return ModelError(kind, told_of["message"], cause=told_of.get("detail") or "")


async def _streamed(
    agent_id: AgentId,
    body: StreamRequest,
    kind: RunType,
    request: Request,
    user: User,
    parts: Services,
    key: str | None,
) -> Response:
    asked = body.request(stream_tokens=body.stream_tokens, include_pings=body.include_pings)
    new = await _new(agent_id, body, kind, asked, request, user, key)
    run = await parts.admission.admit(replace(new, background=body.background))
    try:
        reader = await parts.log.reader(run.id, 0, lingers=not run.background)
    except Gone as error:
        raise expired(parts, run.id) from error
    return stream.response(reader, run.id, 0, feed(parts, body.include_pings))


async def _new(
    agent_id: AgentId,
    body: RunOptions,
    kind: RunType,
    asked: RunRequest,
    request: Request,
    user: User,
    key: str | None,
) -> NewRun:
    return NewRun(
        user=user,
        agent_id=agent_id,
        type=kind,
        inputs=body.inputs(),
        request=asked,
        idempotency_key=key,
        body=await request.body() if key else b"",
        busy_policy=body.busy_policy,
    )
