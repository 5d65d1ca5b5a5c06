"""Which messages of a conversation the model is shown, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from runstead.domain.message import Mark, Message, Role


def conversation(messages: Iterable[Message]) -> list[Message]:
    """The turns the model sees: the newest summary first, no system messages, nothing that was abandoned."""
    turns: list[Message] = []
    summary: Message | None = None
    answered = False
    for message in messages:
        role = message.role
        if role is Role.SUMMARY:
            summary = message
        elif role is not Role.SYSTEM and message.mark is not Mark.ABANDONED:
            turns.append(message)
            answered = answered or role is Role.APPROVAL
    if answered:
        turns = _returns_first(turns)
    return turns if summary is None else [summary, *turns]


def _returns_first(turns: list[Message]) -> list[Message]:
    """A call's return right behind the call, although a person's answer came between them."""
    returns = {m.tool_return.call_id: m for m in turns if m.tool_return is not None}
    placed: list[Message] = []
    for message in turns:
        if message.tool_return is None and message.role is not Role.APPROVAL:
            placed.append(message)
        elif message.tool_return is not None and message.tool_return.call_id in returns:
            placed.append(returns.pop(message.tool_return.call_id))
        placed += [returns.pop(call.id) for call in message.tool_calls if call.id in returns]
    return placed
