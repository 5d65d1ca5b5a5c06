"""Admission: a request becomes a run in one commit, or is refused having changed nothing.

The id that a caller sees exists: run, input, first event and idempotency keys are durable before it is given. The same key
gives the same run. After the commit the engine is told; where that fails, its reconciler finds the run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection

from runstead.clock import Clock
from runstead.domain.actor import User
from runstead.domain.event import Ping
from runstead.domain.message import Decision, Message, Part, Role, ToolReturn
from runstead.domain.pending import OpenCalls, open_calls
from runstead.domain.run import Run, RunRequest, RunStatus, RunType
from runstead.errors import Conflict, Invalid, NotFound, PendingApproval, Unavailable
from runstead.events.log import Encoder, Entry, EventLog, Kind
from runstead.ids import AgentId, ConversationId, Ids, MessageId, RunId
from runstead.store import agents, idempotency, messages, runs
from runstead.store import commit as commits
from runstead.store.database import Database
from runstead.store.events import EventRow
from runstead.store.locks import hold, key_lock, lane_lock

Dispatch = Callable[[RunId], Awaitable[None]]

ANSWERS_LOOKED_AT = 10

_NOTHING_PENDING = (
    "Cannot process approval response: No tool call is currently awaiting approval."
    " Please send a regular message to interact with the agent."
)
_STILL_PENDING = (
    "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call."
    " Please approve or deny the pending request before continuing."
)


@dataclass(frozen=True, slots=True)
class Said:
    """One message of a request."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a pending approval. `request_id` alone (the older form) decides all calls of that message."""

    decisions: tuple[Decision, ...] = ()
    returns: tuple[ToolReturn, ...] = ()
    request_id: str | None = None
    approve_all: bool | None = None
    reason: str | None = None
    otid: str | None = None


@dataclass(frozen=True, slots=True)
class NewRun:
    """What a client asks for. `body` is what an idempotency key stands for."""

    user: User
    agent_id: str
    type: RunType
    inputs: tuple[Said | Answered, ...]
    request: RunRequest = field(default_factory=RunRequest)
    conversation_id: ConversationId | None = None
    background: bool = False
    callback_url: str | None = None
    idempotency_key: str | None = None
    body: bytes = b""

    @property
    def lane(self) -> str:
        """What only one run at a time may hold."""
        return self.conversation_id or self.agent_id


class Admission:
    """Makes runs. `stopping` says whether the server takes no more work."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        ids: Ids,
        log: EventLog,
        encode: Encoder,
        dispatch: Dispatch,
        stopping: Callable[[], bool],
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._log = log
        self._encode = encode
        self._dispatch = dispatch
        self._stopping = stopping

    async def admit(self, new: NewRun) -> Run:
        """The run of this request: a new one, or the one that its key made before.

        Raises `NotFound` (agent), `Invalid` (an answer that fits no pending call), `PendingApproval`, `Conflict` (a key
        that stood for another request) and `Unavailable` (the server is stopping).
        """
        if self._stopping():
            raise Unavailable("The server is stopping; send the request again in a moment.")
        if new.background and (missing := self._log.missing) is not None:
            raise Unavailable(
                f"{missing}, and background runs are not taken without it; send the request again in a moment,"
                " or wait for the answer."
            )
        run = self._run(new)
        first = self._first(run)
        inputs = tuple(self._message(run, given) for given in new.inputs)
        made = await self._db.write(_admit, new, run, inputs, first)
        if made is run:
            self._log.announce(run.id, Entry(1, Kind(chr(first.body[0])), first.body[1:]))
            await self._dispatch(run.id)
        return made

    def _run(self, new: NewRun) -> Run:
        now = self._clock.now()
        metadata: dict[str, object] = {
            "run_type": new.type.value,
            "job_type": new.type.value,
            "agent_id": new.agent_id,
            "background": new.background,
        }
        return Run(
            id=RunId("run-" + self._ids.uuid()),
            user_id=new.user.id,
            organization_id=new.user.organization_id,
            agent_id=AgentId(new.agent_id),
            type=new.type,
            status=RunStatus.CREATED,
            created_at=now,
            updated_at=now,
            conversation_id=new.conversation_id,
            background=new.background,
            request=new.request,
            metadata=metadata,
            last_seq=1,
            callback_url=new.callback_url,
        )

    def _first(self, run: Run) -> EventRow:
        """The ping that opens every log: it tells a client its run's id before anything else."""
        encoded = self._encode(Ping("ping-" + self._ids.uuid(), run.created_at), run, 1)
        assert encoded is not None, "pings are never filtered"
        kind, data = encoded
        return EventRow(run.id, 1, 1, 0, kind.encode() + data)

    def _message(self, run: Run, given: Said | Answered) -> Message:
        """A stored message of what was sent. An answer's decisions are filled in when it is known what it answers."""
        said = given if isinstance(given, Said) else Said(Role.APPROVAL, (), otid=given.otid)
        return Message(
            id=MessageId("message-" + self._ids.uuid()),
            user_id=run.user_id,
            agent_id=run.agent_id,
            conversation_id=run.conversation_id,
            run_id=run.id,
            role=said.role,
            created_at=run.created_at,
            parts=said.parts,
            name=said.name,
            otid=said.otid or self._ids.uuid(),
            sender_id=said.sender_id,
            group_id=said.group_id,
        )


def _admit(conn: Connection, new: NewRun, run: Run, inputs: tuple[Message, ...], first: EventRow) -> Run:
    """Store the run, or give the one that was made of the same request before."""
    keys = _keys(new)
    hold(conn, lane_lock(new.lane), *(key_lock(run.user_id, key) for key in keys))
    for key, fingerprint in keys.items():
        if (known := idempotency.recall(conn, run.user_id, key)) is not None:
            made = runs.get_run(conn, idempotency.same_request(known, fingerprint))
            # A run that is deleted just now takes its keys with it: then this request makes a new one.
            if made is not None:
                return made
    if not agents.keep_agent(conn, run.user_id, new.agent_id):
        raise NotFound(f"Agent with ID {new.agent_id} not found")
    request, after = messages.last_assistant(conn, new.lane)
    pending = open_calls(request, after)
    answers = [given for given in new.inputs if isinstance(given, Answered)]
    if not answers:
        if pending is not None and pending.waiting:
            raise PendingApproval(_STILL_PENDING, pending_request_id=pending.request.id)
    elif (again := _answered_before(conn, new, answers[0], pending)) is not None:
        return again
    else:
        inputs = _filled(inputs, new.inputs, pending)
    commits.insert(conn, run, inputs, first)
    for key, fingerprint in keys.items():
        made_by = idempotency.Remembered(run.id, fingerprint)
        idempotency.remember(conn, run.user_id, key, made_by, run.created_at)
    return run


def _keys(new: NewRun) -> dict[str, str]:
    """What stands for this request: its Idempotency-Key, and the set of its messages' own ids; each with a fingerprint."""
    keys: dict[str, str] = {}
    if new.idempotency_key:
        whole = new.lane.encode() + b"\0" + new.body
        keys["key:" + new.idempotency_key] = hashlib.sha256(whole).hexdigest()
    otids = sorted(given.otid for given in new.inputs if given.otid)
    if otids:
        name = hashlib.sha256("\0".join([new.lane, *otids]).encode()).hexdigest()
        said = hashlib.sha256(repr(new.inputs).encode()).hexdigest()
        keys["otid:" + name] = said
    return keys


def _answered_before(
    conn: Connection, new: NewRun, answer: Answered, pending: OpenCalls | None
) -> Run | None:
    """The run that brought the same answer before. Raises `Conflict` where that answer said something else.

    A provider may use a call's id again in a later turn: what is pending now is never taken for what was answered before.
    """
    if pending is not None and pending.waiting:
        return None
    for message in messages.newest_approvals(conn, new.lane, ANSWERS_LOOKED_AT):
        given = _verdicts(message.decisions, message.client_returns)
        asked = _verdicts(answer.decisions, answer.returns)
        if answer.approve_all is not None:
            if answer.request_id != message.answers:
                continue
            asked = dict.fromkeys(given, answer.approve_all)
        if asked.keys() != given.keys() or message.run_id is None:
            continue
        if asked != given:
            raise Conflict("This approval was answered before, the other way; an answer is final.")
        return runs.find_run(conn, new.user.id, message.run_id)
    return None


def _verdicts(decisions: tuple[Decision, ...], returns: tuple[ToolReturn, ...]) -> dict[str, bool | str]:
    """Per call what was said of it: a person's verdict, or the client's return."""
    return {d.call_id: d.approve for d in decisions} | {r.call_id: r.text for r in returns}


def _filled(
    inputs: tuple[Message, ...], given: tuple[Said | Answered, ...], pending: OpenCalls | None
) -> tuple[Message, ...]:
    """The messages with what each answer decides. Raises `Invalid` where an answer does not fit what is pending."""
    if pending is None or not pending.waiting:
        raise Invalid(_NOTHING_PENDING)
    return tuple(
        replace(message, **_decided(each, pending)) if isinstance(each, Answered) else message
        for message, each in zip(inputs, given, strict=True)
    )


def _decided(answer: Answered, pending: OpenCalls) -> dict[str, Any]:
    waiting = [call.id for call in pending.waiting]
    decisions = answer.decisions
    if answer.approve_all is not None:
        # The older form names the message; where a client puts that id in a call's place, it means the same.
        if answer.request_id != pending.request.id:
            raise Invalid(
                f"Invalid approval request ID. Expected '{pending.request.id}'"
                f" but received '{answer.request_id}'."
            )
        decisions = tuple(Decision(id_, answer.approve_all, answer.reason) for id_ in waiting)
    answered = {each.call_id for each in (*decisions, *answer.returns)}
    if answered != set(waiting):
        raise Invalid(f"Invalid tool call IDs. Expected '{waiting}', but received '{sorted(answered)}'.")
    client = {call.id for call in pending.waiting if call.client}
    if approved := [d.call_id for d in decisions if d.approve and d.call_id in client]:
        raise Invalid(
            f"The client runs {approved[0]} itself: answer it with an item of type 'tool' that brings its return."
        )
    return {
        "decisions": decisions,
        "client_returns": answer.returns,
        "answers": pending.request.id,
    }
