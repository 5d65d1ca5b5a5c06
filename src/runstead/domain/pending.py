"""What a transcript still waits for: tool calls without a return, and who owes it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from runstead.domain.message import Decision, Message, Role, ToolCall, ToolReturn
from runstead.ids import MessageId

DENIED_TEXT = "Error: request to call tool denied. User reason: "


@dataclass(frozen=True, slots=True)
class OpenCalls:
    """The calls of the newest assistant message that have no return yet.

    `waiting` need a person or the client; `ready` can be run by the server.
    """

    request: Message
    waiting: tuple[ToolCall, ...]
    ready: tuple[ToolCall, ...]


def open_calls(request: Message | None, after: Iterable[Message]) -> OpenCalls | None:
    """What is open of `request`, given the messages after it; None where nothing is.

    A call that a person approved is ready; one that was denied has its return already.
    """
    if request is None or not request.tool_calls:
        return None
    after = list(after)
    returned = {m.tool_return.call_id for m in after if m.tool_return is not None}
    left = [call for call in request.tool_calls if call.id not in returned]
    if not left:
        return None
    approved = _approved(after)
    waiting = tuple(call for call in left if call.client or (call.needs_approval and call.id not in approved))
    return OpenCalls(request, waiting, tuple(call for call in left if call not in waiting))


def _approved(messages: Iterable[Message]) -> set[str]:
    """The calls that a person approved."""
    decisions = [d for m in messages if m.role is Role.APPROVAL for d in m.decisions]
    return {decision.call_id for decision in decisions if decision.approve}


def open_in(messages: list[Message]) -> OpenCalls | None:
    """What is open at the end of a transcript."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role is Role.ASSISTANT:
            return open_calls(messages[index], messages[index + 1 :])
    return None


def refused(calls: OpenCalls, reason: str, at: datetime, new_id: Callable[[], str]) -> tuple[Message, ...]:
    """The messages that close open calls without running any: an answer that denies those that wait, and every return.

    They belong to the run that asked: no other one is made for them.
    """
    asked = calls.request

    def message(role: Role) -> Message:
        return Message(
            id=MessageId("message-" + new_id()),
            user_id=asked.user_id,
            agent_id=asked.agent_id,
            conversation_id=asked.conversation_id,
            run_id=asked.run_id,
            role=role,
            created_at=at,
        )

    answer = replace(
        message(Role.APPROVAL),
        decisions=tuple(Decision(call.id, approve=False, reason=reason) for call in calls.waiting),
        answers=asked.id,
    )
    returns = (
        replace(
            message(Role.TOOL),
            step_id=asked.step_id,
            name=call.name,
            tool_return=ToolReturn(call.id, call.name, "error", DENIED_TEXT + reason),
        )
        for call in asked.tool_calls
        if call in calls.waiting or call in calls.ready
    )
    return (answer, *returns)
