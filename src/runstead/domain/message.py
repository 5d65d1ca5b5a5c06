"""A message as it is stored and as the model's side sees it. One stored message can be several on the wire.

Never mutated. `position` is the store's running number (0 until stored); it orders a transcript and nothing else does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runstead.ids import AgentId, ConversationId, MessageId, RunId, StepId, UserId


class Role(StrEnum):
    """Who speaks. `approval` is a person's answer to a tool call, `summary` stands for turns that left the context."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"
    APPROVAL = "approval"
    SUMMARY = "summary"


class Mark(StrEnum):
    """Why a message is not a plain part of the transcript."""

    CANCELLED = "cancelled"  # said until the run was cancelled
    ABANDONED = "abandoned"  # said by an attempt that was given up; the model does not see it
    FAILED = "failed"  # said until the model's side failed


@dataclass(frozen=True, slots=True)
class TextPart:
    """Plain text."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image, by URL or as base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What the model thought. `redacted` holds what the provider hides; `signature` and `provider` let it be sent back."""

    text: str
    signature: str | None = None
    redacted: str | None = None
    provider: Mapping[str, object] | None = None


Part = TextPart | ImagePart | ReasoningPart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call the model asks for. `arguments` is JSON text as the model wrote it, perhaps malformed.

    `needs_approval`: it waits for a person; `client`: the client runs it.
    """

    id: str
    name: str
    arguments: str
    needs_approval: bool = False
    client: bool = False
    provider: Mapping[str, object] | None = None

    @property
    def waits(self) -> bool:
        """Whether a person or the client must answer it."""
        return self.needs_approval or self.client


@dataclass(frozen=True, slots=True)
class ToolReturn:
    """What came of a call. `status` is `success` or `error`."""

    call_id: str
    name: str | None
    status: str
    text: str
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's answer to one tool call."""

    call_id: str
    approve: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One stored message.

    `parts` in the order they were said; `tool_calls` only with role assistant; `tool_return` only with role tool;
    `decisions`, `client_returns` (results of the client's own tools) and `answers` (the id of what asked) only with role
    approval. `otid` is the client's own id. `edited_at`: somebody gave it other words then.
    """

    id: MessageId
    user_id: UserId
    agent_id: AgentId
    role: Role
    created_at: datetime
    parts: tuple[Part, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    tool_return: ToolReturn | None = None
    decisions: tuple[Decision, ...] = ()
    client_returns: tuple[ToolReturn, ...] = ()
    answers: MessageId | None = None
    conversation_id: ConversationId | None = None
    run_id: RunId | None = None
    step_id: StepId | None = None
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    group_id: str | None = None
    is_err: bool | None = None
    mark: Mark | None = None
    in_context: bool = True
    compaction: Mapping[str, object] | None = None
    edited_at: datetime | None = None
    position: int = 0

    @property
    def text(self) -> str:
        """All its text, without thoughts."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def awaits_approval(self) -> bool:
        """Whether it holds a call that a person or the client must answer."""
        return any(call.waits for call in self.tool_calls)
