"""The only place where a run's status changes: a table, and one pure function that reads it.

`transition(run, input, now)` gives the run as it will be, or raises `IllegalTransition`; it does no I/O and knows no clock.
What is final stays final: no row leaves a final status. The drawing in docs/state_machine.md is generated from `TABLE`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from runstead.domain.agent import Block
from runstead.domain.event import RunEvent
from runstead.domain.message import Message
from runstead.domain.run import Run, RunStatus, StopReason
from runstead.domain.step import Step, Usage
from runstead.domain.trace import ProviderTrace
from runstead.ids import MessageId


@dataclass(frozen=True, slots=True)
class Claimed:
    """A process takes the run: it has no owner, or its owner's lease is over, or it is taken away from one."""

    owner: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Advanced:
    """The owner goes on: tokens used and steps done since the last commit, and the first token's time where it is new."""

    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    ttft_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The run ends, for `reason`. `error` is kept in its metadata.

    `asks` is the message that waits for an answer, until `asks_until`.
    """

    reason: StopReason
    usage: Usage = field(default_factory=Usage)
    steps: int = 0
    ttft_ns: int | None = None
    error: Mapping[str, object] | None = None
    result: Mapping[str, object] | None = None
    asks: MessageId | None = None
    asks_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested:
    """Somebody wants it to stop. The owner will end it; without an owner the caller claims it first."""


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The owner lets go (its process stops): whoever claims next goes on."""


RunInput = Claimed | Advanced | Finished | CancelRequested | HandedOver


class IllegalTransition(Exception):
    """No row of the table allows this input in this status."""


COMPLETES = frozenset(
    {StopReason.END_TURN, StopReason.MAX_STEPS, StopReason.TOOL_RULE, StopReason.REQUIRES_APPROVAL}
)


def final_status(reason: StopReason) -> RunStatus:
    """The status that a stop reason means (api-runs.md section 4)."""
    if reason in COMPLETES:
        return RunStatus.COMPLETED
    return RunStatus.CANCELLED if reason is StopReason.CANCELLED else RunStatus.FAILED


# (status, input) -> statuses that may follow. What is not here is illegal; final statuses have no row.
TABLE: Mapping[tuple[RunStatus, type[RunInput]], frozenset[RunStatus]] = {
    (RunStatus.CREATED, Claimed): frozenset({RunStatus.RUNNING}),
    (RunStatus.CREATED, CancelRequested): frozenset({RunStatus.CREATED}),
    (RunStatus.RUNNING, Claimed): frozenset({RunStatus.RUNNING}),
    (RunStatus.RUNNING, Advanced): frozenset({RunStatus.RUNNING}),
    (RunStatus.RUNNING, CancelRequested): frozenset({RunStatus.RUNNING}),
    (RunStatus.RUNNING, HandedOver): frozenset({RunStatus.RUNNING}),
    (RunStatus.RUNNING, Finished): frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED}),
}


@dataclass(frozen=True, slots=True)
class Change:
    """Everything that one commit changes, and the events that tell of it. The commit is all of it or nothing."""

    run: Run
    messages: tuple[Message, ...] = ()
    steps: tuple[Step, ...] = ()
    blocks: tuple[Block, ...] = ()
    events: tuple[RunEvent, ...] = ()
    leaves_context: tuple[MessageId, ...] = ()
    traces: tuple[ProviderTrace, ...] = ()
    callback: bool = False


def transition(run: Run, given: RunInput, now: datetime) -> Run:
    """The run after `given`. Raises `IllegalTransition` where the table has no row for it."""
    allowed = TABLE.get((run.status, type(given)))
    if allowed is None:
        raise IllegalTransition(f"{run.status} does not take {type(given).__name__}")
    after = _apply(run, given, now)
    if after.status not in allowed:
        raise IllegalTransition(f"{run.status} may not become {after.status}")
    return after


def _apply(run: Run, given: RunInput, now: datetime) -> Run:
    match given:
        case Claimed():
            return replace(
                run,
                status=RunStatus.RUNNING,
                epoch=run.epoch + 1,
                owner=given.owner,
                lease_until=now + timedelta(seconds=given.lease_s),
                updated_at=now,
            )
        case Advanced():
            return replace(_used(run, given), commits=run.commits + 1, updated_at=now)
        case CancelRequested():
            return replace(run, cancel_requested_at=run.cancel_requested_at or now, updated_at=now)
        case HandedOver():
            return replace(run, commits=run.commits + 1, owner=None, lease_until=None, updated_at=now)
        case Finished():
            return _finish(run, given, now)
        case _:
            assert_never(given)


def _used(run: Run, given: Advanced | Finished) -> Run:
    return replace(
        run,
        usage=run.usage + given.usage,
        step_count=run.step_count + given.steps,
        ttft_ns=given.ttft_ns if run.ttft_ns is None else run.ttft_ns,
    )


def _finish(run: Run, given: Finished, now: datetime) -> Run:
    metadata = dict(run.metadata)
    if given.error is not None:
        metadata["error"] = dict(given.error)
    if given.result is not None:
        metadata["result"] = dict(given.result)
    return replace(
        _used(run, given),
        commits=run.commits + 1,
        status=final_status(given.reason),
        stop_reason=given.reason,
        metadata=metadata,
        completed_at=now,
        updated_at=now,
        owner=None,
        lease_until=None,
        duration_ns=int((now - run.created_at).total_seconds() * 1e9),
        asks=given.asks,
        asks_until=given.asks_until,
    )


def drawing() -> str:
    """The machine as a Mermaid state diagram, generated from the table."""
    lines = ["stateDiagram-v2", "    [*] --> created: admitted"]
    for (status, given), after in TABLE.items():
        lines += [f"    {status} --> {to}: {given.__name__}" for to in sorted(after)]
    lines += [f"    {status} --> [*]" for status in RunStatus if status.final]
    return "\n".join(lines) + "\n"
