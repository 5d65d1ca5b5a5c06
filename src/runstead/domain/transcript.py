"""How stored messages are told: one message becomes the events that a stream or a list shows. Pure.

The one place that knows which parts of a message go out in which order and with which ids (api-runs.md section 13): parts
of one message share its id, and their otids count from its uuid.
"""

from __future__ import annotations

from collections.abc import Iterable
from json import JSONDecodeError, loads
from typing import cast

from runstead.domain.event import (
    ApprovalAnswered,
    ApprovalRequested,
    AssistantSaid,
    CallPiece,
    CompactionHappened,
    Head,
    MessageEvent,
    Reasoned,
    ReasonedHidden,
    Summarised,
    SystemSaid,
    ToolCalled,
    ToolReturned,
    UserSaid,
)
from runstead.domain.message import Message, Part, ReasoningPart, Role, TextPart, ToolCall
from runstead.domain.run import RunRequest
from runstead.ids import part_otid


def told(message: Message, request: RunRequest) -> list[MessageEvent]:
    """The events of one stored message, in the order they were said."""
    match message.role:
        case Role.SYSTEM:
            return [SystemSaid(_head(message, message.otid), message.text)]
        case Role.USER:
            return [UserSaid(_head(message, message.otid), message.parts)]
        case Role.ASSISTANT:
            return _assistant(message, request)
        case Role.TOOL:
            return _tool(message, request)
        case Role.APPROVAL:
            answered = ApprovalAnswered(
                _head(message, message.otid or part_otid(message.id, 0)),
                message.decisions,
                message.client_returns,
                message.answers,
            )
            return [answered]
        case Role.SUMMARY:
            return [Summarised(_head(message, part_otid(message.id, 0)), message.text, message.compaction)]


def told_all(messages: Iterable[Message], request: RunRequest) -> list[MessageEvent]:
    """The events of several stored messages."""
    return [event for message in messages for event in told(message, request)]


def compaction_notice(summary: Message) -> CompactionHappened:
    """The notice that goes out beside a summary, for clients that ask for it."""
    return CompactionHappened(_head(summary, part_otid(summary.id, 1)), dict(summary.compaction or {}))


def spoken_argument(call: ToolCall, request: RunRequest) -> str | None:
    """The text that a call of the send-message tool says to the user; None where the call is shown as a call."""
    if not request.use_assistant_message or call.name != request.assistant_tool_name:
        return None
    try:
        arguments: object = loads(call.arguments or "{}")
    except JSONDecodeError:
        return None
    if not isinstance(arguments, dict):
        return None
    text = cast("dict[str, object]", arguments).get(request.assistant_tool_argument)
    return text if isinstance(text, str) else None


def _head(message: Message, otid: str | None, name: str | None = None) -> Head:
    return Head(
        message.id,
        message.created_at,
        otid,
        message.step_id,
        name if name is not None else message.name,
        message.sender_id,
        message.is_err,
    )


def _assistant(message: Message, request: RunRequest) -> list[MessageEvent]:
    found: list[MessageEvent] = []

    def head() -> Head:
        return _head(message, part_otid(message.id, len(found)))

    for part in message.parts:
        if (said := _said(part, head())) is not None:
            found.append(said)  # noqa: PERF401 - a part is numbered by how many came before it
    spoken = {call.id: spoken_argument(call, request) for call in message.tool_calls}
    found += [AssistantSaid(head(), text) for text in spoken.values() if text is not None]
    shown = [call for call in message.tool_calls if spoken[call.id] is None]
    waiting = tuple(_piece(call) for call in shown if call.waits)
    running = tuple(_piece(call) for call in shown if not call.waits)
    if running:
        found.append(ToolCalled(head(), running))
    if waiting:
        found.append(ApprovalRequested(_head(message, message.id), waiting))
    return found


def _said(part: Part, head: Head) -> MessageEvent | None:
    """What a part of an answer says; None where that is nothing."""
    if isinstance(part, TextPart):
        return AssistantSaid(head, part.text) if part.text else None
    if not isinstance(part, ReasoningPart):
        return None
    if part.redacted is not None:
        return ReasonedHidden(head, "redacted", part.redacted)
    return Reasoned(head, part.text, part.signature) if part.text or part.signature else None


def _tool(message: Message, request: RunRequest) -> list[MessageEvent]:
    result = message.tool_return
    assert result is not None, "a tool message has a return"
    if request.use_assistant_message and result.name == request.assistant_tool_name:
        return []
    return [ToolReturned(_head(message, part_otid(message.id, 0), result.name), result)]


def _piece(call: ToolCall) -> CallPiece:
    return CallPiece(call.id, call.name, call.arguments)
