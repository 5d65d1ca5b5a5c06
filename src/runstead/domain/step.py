"""A step: one call of the model and the tools it asked for, with what it cost. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from runstead.ids import AgentId, RunId, StepId, UserId


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens. `prompt` is all that was sent, `cached_input`, `cache_write` are parts of it, `reasoning` of `completion`."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
        )


class StepStatus(StrEnum):
    """How far a step is. `pending`: the model has answered, tools are still to be run."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class ToolTime:
    """When a tool call ran: how long after the model's answer it began, and for how long, in nanoseconds."""

    call_id: str
    name: str
    status: str
    after_ns: int
    took_ns: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run. Times in nanoseconds; `attempt` counts from 1, higher where another began again.

    `retries`: how often its model was asked again because it failed before it said anything.
    `begun_calls` are the ids of its calls that were begun and must not be begun again (`ToolSpec.on_interrupt`).
    """

    id: StepId
    run_id: RunId | None
    user_id: UserId
    agent_id: AgentId
    created_at: datetime
    model_handle: str
    status: StepStatus = StepStatus.PENDING
    usage: Usage = field(default_factory=Usage)
    stop_reason: str | None = None
    context_window_tokens: int = 0
    model_endpoint: str | None = None
    error_type: str | None = None
    error_data: Mapping[str, object] | None = None
    model_ns: int | None = None
    tools_ns: int | None = None
    ttft_ns: int | None = None
    attempt: int = 1
    retries: int = 0
    trace_id: str | None = None
    request_id: str | None = None
    feedback: str | None = None
    tags: tuple[str, ...] = ()
    begun_calls: tuple[str, ...] = ()
    tool_times: tuple[ToolTime, ...] = ()

    def ended(self, status: StepStatus, stop_reason: str | None) -> Step:
        """The same step, over."""
        return replace(self, status=status, stop_reason=stop_reason)
