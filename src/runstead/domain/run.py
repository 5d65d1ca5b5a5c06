"""A run: one agent working on one request. What it is, not how it changes: that is `run_machine`.

A run's status is written by `run_machine.transition` alone. `epoch` counts its owners; whoever writes must hold the newest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runstead.domain.step import Usage
from runstead.domain.tool import ToolSpec
from runstead.ids import AgentId, ConversationId, MessageId, OrganizationId, RunId, UserId

MAX_STEPS_DEFAULT = 50


class RunStatus(StrEnum):
    """Where a run stands. The last three are final."""

    CREATED = "created"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return self not in ACTIVE


ACTIVE = (RunStatus.CREATED, RunStatus.RUNNING)


class StopReason(StrEnum):
    """Why a run ended (api-runs.md section 4)."""

    END_TURN = "end_turn"
    ERROR = "error"
    LLM_API_ERROR = "llm_api_error"
    INVALID_LLM_RESPONSE = "invalid_llm_response"
    INVALID_TOOL_CALL = "invalid_tool_call"
    MAX_STEPS = "max_steps"
    MAX_TOKENS_EXCEEDED = "max_tokens_exceeded"
    NO_TOOL_CALL = "no_tool_call"
    TOOL_RULE = "tool_rule"
    CANCELLED = "cancelled"
    INSUFFICIENT_CREDITS = "insufficient_credits"
    REQUIRES_APPROVAL = "requires_approval"
    CONTEXT_WINDOW_OVERFLOW = "context_window_overflow_in_system_prompt"


class BusyPolicy(StrEnum):
    """What becomes of a message to an agent or conversation that a run is working for."""

    WAIT = "wait"  # it stands in line
    REFUSE = "refuse"  # it is not taken
    INTERRUPT = "interrupt"  # all that is before it ends


class RunType(StrEnum):
    """Which operation made the run; shown in its metadata."""

    SEND = "send_message"
    STREAM = "send_message_streaming"
    ASYNC = "send_message_async"
    CONVERSATION = "send_conversation_message"
    CHAT_COMPLETION = "openai_chat_completions"
    COMPACTION = "compact_messages"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What the client asked for, kept with the run: another process must be able to go on from it.

    `include_types` None lets every message type through. `override_model` is a handle. `client_tools` are run by the client.
    `compact`: nothing is asked; the history is summarised, with `compaction_settings` or the agent's own, and the run is
    over. `traceparent` is the place in a trace that the run belongs to, as W3C Trace Context writes it.
    """

    max_steps: int = MAX_STEPS_DEFAULT
    stream_tokens: bool = False
    include_pings: bool = True
    use_assistant_message: bool = True
    assistant_tool_name: str = "send_message"
    assistant_tool_argument: str = "message"
    include_types: tuple[str, ...] | None = None
    override_model: str | None = None
    override_system: str | None = None
    client_tools: tuple[ToolSpec, ...] = ()
    include_compaction_messages: bool = False
    compact: bool = False
    compaction_settings: Mapping[str, object] | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """One run as it is stored.

    `epoch` 0: nobody has owned it yet. `owner` and `lease_until` say who works on it, until when unless renewed.
    `last_seq` is the number of its newest event that was in the log at its last commit. `commits` counts its owners'
    commits; no event beyond `reserved_seq` was given to anybody; `hot_id` names the Redis that its newest events are
    in, if any. `asks` names the message with which it ended and that nobody has answered yet, `asks_until` the time at which
    the server answers it itself (None: never). Durations in nanoseconds.
    """

    id: RunId
    user_id: UserId
    organization_id: OrganizationId
    agent_id: AgentId
    type: RunType
    status: RunStatus
    created_at: datetime
    updated_at: datetime
    conversation_id: ConversationId | None = None
    background: bool = False
    request: RunRequest = field(default_factory=RunRequest)
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    stop_reason: StopReason | None = None
    completed_at: datetime | None = None
    cancel_requested_at: datetime | None = None
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    last_seq: int = 0
    step_count: int = 0
    usage: Usage = field(default_factory=Usage)
    ttft_ns: int | None = None
    duration_ns: int | None = None
    callback_url: str | None = None
    callback_sent_at: datetime | None = None
    callback_status_code: int | None = None
    callback_error: str | None = None
    commits: int = 0
    reserved_seq: int = 0
    hot_id: str | None = None
    asks: MessageId | None = None
    asks_until: datetime | None = None
    position: int = 0

    @property
    def lane(self) -> str:
        """What only one run at a time may hold: its conversation, or else its agent."""
        return self.conversation_id or self.agent_id
