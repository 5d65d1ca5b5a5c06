"""Admission: a request becomes a run in one commit, or is refused having changed nothing.

The id that a caller sees exists: run, input, first event and idempotency keys are durable before it is given. The same key
gives the same run. After the commit the engine is told; where that fails, its reconciler finds the run.

A busy lane: the run stands in line, is refused, or ends what is before it, by its `BusyPolicy`. An answer to an approval is
no new message: it brings the conversation on, so it is never refused, ends nothing, and stands in line like the others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from runstead.clock import Clock
from runstead.domain.actor import User
from runstead.domain.approval import ApprovalTerms
from runstead.domain.event import Ping
from runstead.domain.message import Message, Part, Role
from runstead.domain.pending import OpenCalls, open_calls, refused
from runstead.domain.run import BusyPolicy, Run, RunRequest, RunStatus, RunType
from runstead.errors import Busy, Invalid, NotFound, PendingApproval, Unavailable
from runstead.events.log import Encoder, Entry, EventLog, Kind
from runstead.ids import AgentId, ConversationId, Ids, MessageId, RunId
from runstead.runs.answers import Answered, answered_before, filled, under_way
from runstead.store import actors, agents, approvals, conversations, idempotency, messages, runs
from runstead.store import commit as commits
from runstead.store.database import Database
from runstead.store.events import EventRow
from runstead.store.locks import hold, key_lock, lane_lock

Dispatch = Callable[[RunId], Awaitable[None]]
# Told of runs whose cancel is written: see to it that they end.
EndSoon = Callable[[Sequence[RunId]], None]

KEY_CHARS_MAX = 255

SUPERSEDED_REASON = "a new message was sent instead of an answer"
_STILL_PENDING = (
    "CONFLICT: Cannot send a new message: The agent is waiting for approval on a tool call."
    " Please approve or deny the pending request before continuing."
)
_BUSY = (
    "CONFLICT: Cannot send a new message: Another request (run_id={}) is currently being processed for this conversation."
    " Please wait for it to complete."
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
class NewRun:
    """What a client asks for. `body` is what an idempotency key stands for; `busy_policy` None is the server's.

    `traceparent` is the caller's place in a trace, if it has one.
    """

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
    busy_policy: BusyPolicy | None = None
    traceparent: str | None = None

    @property
    def lane(self) -> str:
        """What only one run at a time may hold."""
        return self.conversation_id or self.agent_id


@dataclass(frozen=True, slots=True)
class _Admitted:
    """The run of a request, and the runs that were told to end for it."""

    run: Run
    interrupted: Sequence[RunId] = ()


class Admission:
    """Makes runs. `stopping` says whether the server takes no more work; `busy_policy` holds where a request names none.

    `traced` is around each admission, and gives the run with its place in a trace.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        ids: Ids,
        log: EventLog,
        encode: Encoder,
        dispatch: Dispatch,
        stopping: Callable[[], bool],
        *,
        end_soon: EndSoon,
        busy_policy: BusyPolicy = BusyPolicy.WAIT,
        traced: Callable[[Run], AbstractContextManager[Run]] = nullcontext,
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._log = log
        self._encode = encode
        self._dispatch = dispatch
        self._stopping = stopping
        self._end_soon = end_soon
        self._busy_policy = busy_policy
        self._traced = traced

    async def admit(self, new: NewRun) -> Run:
        """The run of this request: a new one, or the one that its key made before.

        Raises `NotFound` (agent, conversation), `Invalid` (an answer that fits no pending call, a key that is too long),
        `Busy`, `PendingApproval`, `Conflict` (a key that stood for another request) and `Unavailable` (the server is
        stopping).
        """
        if self._stopping():
            raise Unavailable("The server is stopping; send the request again in a moment.")
        if new.background and (missing := self._log.missing) is not None:
            raise Unavailable(
                f"{missing}, and background runs are not taken without it; send the request again in a moment,"
                " or wait for the answer."
            )
        if len(new.idempotency_key or "") > KEY_CHARS_MAX:
            raise Invalid(f"An Idempotency-Key may have at most {KEY_CHARS_MAX} characters.")
        new = replace(new, busy_policy=new.busy_policy or self._busy_policy)
        with self._traced(self._run(new)) as run:
            return await self._admitted(new, run)

    async def _admitted(self, new: NewRun, run: Run) -> Run:
        first = self._first(run)
        inputs = tuple(self._message(run, given) for given in new.inputs)
        try:
            made = await self._db.write(_admit, new, run, inputs, first, self._ids)
        except IntegrityError:
            # Another process admitted the same key in the same moment, and was first: now its run is there to be found.
            made = await self._db.write(_admit, new, run, inputs, first, self._ids)
        if made.run is run:
            self._end_soon(made.interrupted)
            await self._begin(run, first)
        return made.run

    async def expire(self, asking: Run, terms: ApprovalTerms) -> Run | None:
        """Answer what a run asks, as nobody did in time: the run that this makes, or None where somebody was quicker.

        It is what a person's answer would have made, for the same client: with its tools, its limits and its view.
        """
        if self._stopping() or self._log.missing is not None:
            return None
        user = await self._db.read(actors.find_user, asking.user_id)
        if user is None:
            return None
        new = NewRun(
            user=user,
            agent_id=asking.agent_id,
            type=RunType.ASYNC,
            inputs=(),
            request=asking.request,
            conversation_id=asking.conversation_id,
            background=True,
        )
        run = self._run(new)
        answer, first = self._message(run, Answered()), self._first(run)
        if not await self._db.write(_expire, asking, terms, run, answer, first):
            return None
        await self._begin(run, first)
        return run

    async def _begin(self, run: Run, first: EventRow) -> None:
        """Tell readers and the engine of a run that is durable."""
        self._log.announce(run.id, Entry(1, Kind(chr(first.body[0])), first.body[1:]))
        await self._dispatch(run.id)

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
            request=replace(new.request, traceparent=new.traceparent) if new.traceparent else new.request,
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


def _admit(
    conn: Connection, new: NewRun, run: Run, inputs: tuple[Message, ...], first: EventRow, ids: Ids
) -> _Admitted:
    """Store the run, or give the one that was made of the same request before."""
    keys = _keys(new)
    hold(conn, lane_lock(new.lane), *(key_lock(run.user_id, key) for key in keys))
    if (before := _made_before(conn, new, keys)) is not None:
        return _Admitted(before)
    if not agents.keep_agent(conn, run.user_id, new.agent_id):
        raise NotFound(f"Agent with ID {new.agent_id} not found")
    if new.conversation_id is not None and not conversations.is_conversation(
        conn, run.user_id, new.conversation_id, new.agent_id
    ):
        raise NotFound(f"Conversation {new.conversation_id} not found")
    request, after = messages.last_assistant(conn, new.lane)
    pending = open_calls(request, after)
    answer = next((given for given in new.inputs if isinstance(given, Answered)), None)
    interrupted: Sequence[RunId] = ()
    if answer is None:
        _have_decided(conn, new, pending, run, ids)
        interrupted = _make_way(conn, new, run)
    elif (again := answered_before(conn, new.user.id, new.lane, answer, pending)) is not None:
        return _Admitted(again)
    else:
        inputs = filled(inputs, new.inputs, pending)
        _settle(conn, pending, run)
    commits.insert(conn, run, inputs, first)
    for key, fingerprint in keys.items():
        made_by = idempotency.Remembered(run.id, fingerprint)
        idempotency.remember(conn, run.user_id, key, made_by, run.created_at)
    return _Admitted(run, interrupted)


def _made_before(conn: Connection, new: NewRun, keys: dict[str, str]) -> Run | None:
    """The run that one of these keys made. Raises `Conflict` where it was of another request."""
    for key, fingerprint in keys.items():
        if (known := idempotency.recall(conn, new.user.id, key)) is not None:
            made = runs.get_run(conn, idempotency.same_request(known, fingerprint))
            # A run that is deleted just now takes its keys with it: then this request makes a new one.
            if made is not None:
                return made
    return None


def _have_decided(conn: Connection, new: NewRun, pending: OpenCalls | None, run: Run, ids: Ids) -> None:
    """See to it that no call waits for a decision that nobody has sent: with `interrupt` it is denied by this very message.

    Where an answer is about to be acted on nothing is to do: its run goes first, or closes its calls when it is interrupted.
    Raises `PendingApproval`.
    """
    if pending is None or not pending.waiting or under_way(conn, new.user.id, new.lane, pending):
        return
    if new.busy_policy is not BusyPolicy.INTERRUPT:
        raise PendingApproval(_STILL_PENDING, pending_request_id=pending.request.id)
    messages.insert_messages(conn, refused(pending, SUPERSEDED_REASON, run.created_at, ids.uuid))
    _settle(conn, pending, run)


def _settle(conn: Connection, pending: OpenCalls | None, run: Run) -> None:
    """The question was answered by this run's request."""
    if pending is not None:
        approvals.settle(conn, pending.request, run.created_at)


def _expire(
    conn: Connection,
    asking: Run,
    terms: ApprovalTerms,
    run: Run,
    answer: Message,
    first: EventRow,
) -> bool:
    """Answer for who did not answer in time. False where there is nothing to answer any more: somebody was quicker."""
    hold(conn, lane_lock(asking.lane))
    if not approvals.still_asks(conn, asking):
        return False
    agent = agents.find_agent(conn, asking.user_id, asking.agent_id)
    request, after = messages.last_assistant(conn, asking.lane)
    pending = open_calls(request, after)
    if (
        agent is None
        or not agents.keep_agent(conn, asking.user_id, asking.agent_id)
        or pending is None
        or pending.request.id != asking.asks
        or not pending.waiting
    ):
        approvals.settle_run(conn, asking, run.created_at)
        return False
    since, until = asking.completed_at or asking.updated_at, asking.asks_until or run.created_at
    decisions = terms.decisions(agent, pending.waiting, since, until)
    answer = replace(answer, decisions=decisions, answers=pending.request.id)
    commits.insert(conn, run, (answer,), first)
    approvals.settle(conn, pending.request, run.created_at)
    return True


def _make_way(conn: Connection, new: NewRun, run: Run) -> Sequence[RunId]:
    """What the policy does to a lane that is taken: gives the runs that shall end. Raises `Busy`."""
    if new.busy_policy is BusyPolicy.WAIT:
        return ()
    if new.busy_policy is BusyPolicy.INTERRUPT:
        return runs.request_cancel_lane(conn, new.user.id, new.lane, run.created_at)
    holder = runs.head_of_lane(conn, new.lane)
    if holder is not None:
        raise Busy(_BUSY.format(holder), run_id=holder)
    return ()


def _keys(new: NewRun) -> dict[str, str]:
    """What stands for this request: its Idempotency-Key, and the set of its messages' own ids; each with a fingerprint."""
    keys: dict[str, str] = {}
    if new.idempotency_key:
        whole = new.lane.encode() + b"\0" + new.body
        keys["key:" + new.idempotency_key] = hashlib.sha256(whole).hexdigest()
    otids = sorted({given.otid for given in new.inputs if given.otid})
    if otids:
        name = hashlib.sha256("\0".join([new.lane, *otids]).encode()).hexdigest()
        said = hashlib.sha256(repr(new.inputs).encode()).hexdigest()
        keys["otid:" + name] = said
    return keys
