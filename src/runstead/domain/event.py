"""The closed union of what a run can say. Objects only: text is made of them once, by `api/wire/events.py`.

An event has no number of its own: the log gives it one. Several events may share a message's id (api-runs.md section 13).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runstead.domain.message import Decision, Part, ToolReturn
from runstead.domain.run import StopReason
from runstead.domain.step import Usage
from runstead.ids import MessageId, RunId, StepId


@dataclass(frozen=True, slots=True)
class Head:
    """What every message on the wire carries."""

    id: MessageId
    date: datetime
    otid: str | None = None
    step_id: StepId | None = None
    name: str | None = None
    sender_id: str | None = None
    is_err: bool | None = None


@dataclass(frozen=True, slots=True)
class Ping:
    """A sign of life, or the news that an attempt was given up: `superseded` names its messages, `attempt` the new one."""

    id: str
    date: datetime
    superseded: tuple[MessageId, ...] = ()
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class SystemSaid:
    """A system message (lists only)."""

    head: Head
    text: str


@dataclass(frozen=True, slots=True)
class UserSaid:
    """What a user sent (lists only)."""

    head: Head
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class AssistantSaid:
    """Text of the model: all of it, or the next piece."""

    head: Head
    text: str


@dataclass(frozen=True, slots=True)
class Reasoned:
    """The model's thoughts: all of them, or the next piece."""

    head: Head
    text: str
    signature: str | None = None


@dataclass(frozen=True, slots=True)
class ReasonedHidden:
    """Thoughts that the provider hides. `state` is `redacted` or `omitted`."""

    head: Head
    state: str
    hidden: str | None = None


@dataclass(frozen=True, slots=True)
class CallPiece:
    """One tool call, whole or a piece: in a piece only what is new is not None (`call_id` may repeat)."""

    call_id: str | None
    name: str | None
    arguments: str | None


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """Calls that the server runs. `delta`: a piece of one call while tokens stream."""

    head: Head
    calls: tuple[CallPiece, ...]
    delta: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """Calls that wait for a person or for the client. `delta` as in `ToolCalled`."""

    head: Head
    calls: tuple[CallPiece, ...]
    delta: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalAnswered:
    """A person's answer; `returns` are results that the client brings for its own tools."""

    head: Head
    decisions: tuple[Decision, ...]
    returns: tuple[ToolReturn, ...] = ()
    request_id: MessageId | None = None


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """What came of a call."""

    head: Head
    result: ToolReturn


@dataclass(frozen=True, slots=True)
class Summarised:
    """A summary took the place of the oldest turns."""

    head: Head
    summary: str
    stats: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class CompactionHappened:
    """The notice of it, for clients that ask for compaction messages."""

    head: Head
    data: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Failed:
    """The run's error, for the stream's `event: error`."""

    error_type: str
    message: str
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why the run ended. Follows everything but usage."""

    reason: StopReason


@dataclass(frozen=True, slots=True)
class Used:
    """What the run cost. The last event of every run."""

    usage: Usage
    step_count: int
    run_id: RunId
    context_tokens: int | None = None


MessageEvent = (
    SystemSaid
    | UserSaid
    | AssistantSaid
    | Reasoned
    | ReasonedHidden
    | ToolCalled
    | ApprovalRequested
    | ApprovalAnswered
    | ToolReturned
    | Summarised
    | CompactionHappened
)
RunEvent = MessageEvent | Ping | Failed | Stopped | Used
