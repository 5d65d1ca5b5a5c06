"""Which messages of a conversation the model is shown, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from runstead.domain.message import Mark, Message, Role


def conversation(messages: Iterable[Message]) -> list[Message]:
    """The turns the model sees: the newest summary first, nothing that was abandoned.

    The message that a history begins with is its system prompt, which the model is given anew; those of that role that
    come later were sent by a client.
    """
    turns: list[Message] = []
    summary: Message | None = None
    answered = False
    for at, message in enumerate(messages):
        role = message.role
        if role is Role.SUMMARY:
            summary = message
        elif message.mark is not Mark.ABANDONED and not (at == 0 and is_prompt(message)):
            turns.append(message)
            answered = answered or role is Role.APPROVAL
    if answered:
        turns = _returns_first(turns)
    return turns if summary is None else [summary, *turns]


def is_prompt(message: Message) -> bool:
    """Whether a message is a system prompt as a history begins with it: nobody sent it."""
    return message.role is Role.SYSTEM and message.run_id is None


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
