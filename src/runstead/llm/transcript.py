"""A conversation put in the order that every provider insists on: each tool call is followed by exactly one result.

What the store keeps can break that: a run cancelled between a call and its result, a message sent in between, a result whose
call left the context. Here it is mended, the same for all providers; nothing is rendered and nothing is stored.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from runstead.domain.message import Mark, Message, Role, TextPart, ToolReturn

INTERRUPTED = "interrupted: this call was given up before it had a result"
SUMMARY_HEAD = "This is a summary of earlier turns of this conversation, which are no longer shown:\n\n"

Item = Message | ToolReturn


def ordered(messages: Sequence[Message]) -> list[Item]:
    """The messages that a model is shown, with results in place.

    A message with role tool stands for a result that was stored; a bare `ToolReturn` for one that came with an approval, or
    that was never made and says INTERRUPTED. Roles: user, assistant, system, summary, tool; never approval.
    """
    order = _Order()
    for message in messages:
        order.take(message)
    order.settle()
    return order.items


def arguments_object(text: str) -> str:
    """A call's arguments as the model wrote them; wrapped where they are not a JSON object, for providers parse them."""
    try:
        if isinstance(orjson.loads(text or "{}"), dict):
            return text or "{}"
    except orjson.JSONDecodeError:
        pass
    return orjson.dumps({"malformed_arguments": text}).decode()


def summary_text(message: Message) -> str:
    """What a message of role summary says to the model."""
    return SUMMARY_HEAD + message.text


class _Order:
    """The conversation so far, the calls still without a result, and what must wait until they have one."""

    __slots__ = ("_held", "_open", "items")

    def __init__(self) -> None:
        self.items: list[Item] = []
        self._open: dict[str, str] = {}
        self._held: list[Message] = []

    def take(self, message: Message) -> None:
        role = message.role
        if role is Role.TOOL:
            if message.tool_return is not None:
                self._answer(message.tool_return.call_id, message)
        elif role is Role.APPROVAL:
            for result in message.client_returns:
                self._answer(result.call_id, result)
        elif message.mark is not Mark.ABANDONED:
            self._say(message)

    def _answer(self, call_id: str, item: Item) -> None:
        if self._open.pop(call_id, None) is None:
            return
        self.items.append(item)
        if not self._open:
            self.items.extend(self._held)
            self._held.clear()

    def _say(self, message: Message) -> None:
        if message.role is Role.ASSISTANT:
            if not (message.parts or message.tool_calls):
                return
            self.settle()
            self.items.append(message)
            if message.tool_calls:
                self._open = {call.id: call.name for call in message.tool_calls}
        elif self._open:
            self._held.append(message)
        else:
            self.items.append(message)

    def settle(self) -> None:
        """Give every open call a result that says it has none."""
        if self._open:
            for call_id, name in self._open.items():
                self.items.append(ToolReturn(call_id, name, "error", INTERRUPTED))
            self._open = {}
            self.items.extend(self._held)
            self._held.clear()


def has_words(message: Message) -> bool:
    """Whether any text of it is not empty."""
    return any(isinstance(part, TextPart) and part.text for part in message.parts)
