"""One exchange with an agent: a request becomes a run, and the run's log becomes the answer, in whichever way it is read.

Every route that makes a run or follows one goes through here; none of them knows what a run does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import orjson
from fastapi import Request, Response

from runstead.api import stream
from runstead.api.services import Services
from runstead.api.wire.events import message_json, message_type
from runstead.api.wire.messages import HistoryQuery, RunOptions, StreamRequest
from runstead.api.wire.paging import PageQuery
from runstead.api.wire.runs import ResumeRequest, response_json
from runstead.domain.actor import User
from runstead.domain.message import Message
from runstead.domain.run import Run, RunRequest, RunType
from runstead.domain.transcript import told
from runstead.errors import Gone, ModelError, ModelErrorKind
from runstead.ids import AgentId, ConversationId, RunId, UserId
from runstead.runs.admit import NewRun
from runstead.runs.wait import Outcome, outcome
from runstead.store import messages
from runstead.store.messages import MessageFilter, MessagePage
from runstead.telemetry.traces import traceparent_of

_UNITS_S = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a request speaks to: an agent, in its own history or in a conversation."""

    agent_id: AgentId
    conversation_id: ConversationId | None = None

    @property
    def lane(self) -> str:
        """The history that is meant."""
        return self.conversation_id or self.agent_id


@dataclass(frozen=True, slots=True)
class Sending:
    """Who sends what: the caller, the request as it came, and its idempotency key."""

    user: User
    request: Request
    key: str | None


async def new_run(
    to: Addressee, body: RunOptions, kind: RunType, asked: RunRequest, sending: Sending
) -> NewRun:
    """What is admitted for a request. Raises `Unprocessable` where it says nothing that can be sent."""
    return NewRun(
        user=sending.user,
        agent_id=to.agent_id,
        conversation_id=to.conversation_id,
        type=kind,
        inputs=body.inputs(),
        request=asked,
        idempotency_key=sending.key,
        body=await sending.request.body() if sending.key else b"",
        busy_policy=body.busy_policy,
        traceparent=traceparent_of(sending.request.headers.get("traceparent")),
    )


async def wait_for_answer(
    parts: Services, to: Addressee, body: RunOptions, kind: RunType, sending: Sending
) -> Response:
    """Make a run and answer when it is over."""
    new = await new_run(to, body, kind, body.request(), sending)
    run = await parts.admission.admit(new)
    try:
        return blocking_answer(await outcome(parts.log, run.id))
    except Gone as error:
        raise expired(parts, run.id) from error


async def stream_answer(
    parts: Services, to: Addressee, body: StreamRequest, kind: RunType, sending: Sending
) -> Response:
    """Make a run and answer with its stream. Leaving the stream does not end the run."""
    asked = body.request(stream_tokens=body.stream_tokens, include_pings=body.include_pings)
    new = await new_run(to, body, kind, asked, sending)
    run = await parts.admission.admit(replace(new, background=body.background))
    try:
        reader = await parts.log.reader(run.id, 0, lingers=not run.background)
    except Gone as error:
        raise expired(parts, run.id) from error
    return stream.response(reader, run.id, 0, feed(parts, body.include_pings))


async def follow(parts: Services, run: Run, after: int, asked: ResumeRequest) -> Response:
    """The stream of a run from number `after` on. Raises `Gone` where its events are no longer kept."""
    try:
        reader = await parts.log.reader(run.id, after)
    except Gone as error:
        raise expired(parts, run.id) from error
    wanted = asked.include_pings is not False
    return stream.response(reader, run.id, after, feed(parts, wanted, asked.batch_size))


def expired(parts: Services, run_id: RunId) -> Gone:
    """The error of a run that is over and whose events are no longer kept: it says where its messages are."""
    return Gone(
        f"Run was created more than {_duration(parts.settings.events_keep_s)} ago, and is now expired."
        f" Its messages are still at /v1/runs/{run_id}/messages."
    )


def feed(parts: Services, include_pings: bool, batch_size: int | None = None) -> stream.Feed:
    """How a client is told."""
    return stream.Feed(
        parts.clock,
        parts.ids,
        parts.settings.keepalive_s,
        include_pings,
        max(batch_size or 0, stream.FRAMES_PER_WRITE_MAX),
        parts.meter,
    )


async def history(
    parts: Services,
    user_id: UserId,
    where: MessageFilter,
    query: HistoryQuery,
    *,
    chronological: bool = False,
    oldest_first: bool = False,
) -> list[dict[str, object]]:
    """A page of stored messages as JSON.

    `chronological`: `after` is newer and `before` older, whatever the order of the list. `oldest_first`: the order says
    which page, and the page begins with its oldest. Raises `NotFound` for an unknown cursor.
    """
    page = message_page(query)
    if chronological:
        page = replace(page, after=query.after, before=query.before)
    where = replace(where, include_err=query.include_err is not False)
    found = await parts.db.read(messages.list_messages, user_id, where, page)
    if oldest_first and not page.ascending:
        found.reverse()
    shown = RunRequest(
        use_assistant_message=query.use_assistant_message,
        assistant_tool_name=query.assistant_message_tool_name,
        assistant_tool_argument=query.assistant_message_tool_kwarg,
    )
    return shown_messages(found, shown, query.include_return_message_types)


def message_page(query: PageQuery) -> MessagePage:
    """The page of stored messages that a query asks for.

    Newest first, what comes behind a message is older, and clients ask for it by either name: `after` in the order of the
    list, `before` in that of time. Given together they are the two ends of a time.
    """
    after, before = query.after, query.before
    if query.order == "desc" and before is None:
        after, before = None, after
    return MessagePage(query.limit, query.order == "asc", after, before)


def shown_messages(
    found: Iterable[Message], shown: RunRequest, types: Iterable[str] | None = None
) -> list[dict[str, object]]:
    """Stored messages as JSON, those of the wanted types; all where none are named."""
    wanted = None if types is None else set(types)
    return [
        message_json(event, run_id=message.run_id)
        for message in found
        for event in told(message, shown)
        if wanted is None or message_type(event) in wanted
    ]


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


def _duration(seconds: float) -> str:
    for unit, size in _UNITS_S:
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"
