"""Other words for a stored message, in the union of both generations' forms."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from runstead.api.wire.messages import Content, content_parts
from runstead.domain.edit import edited
from runstead.domain.message import Message, Role, TextPart
from runstead.errors import Unprocessable

_KIND_OF = {Role.SYSTEM: "system_message", Role.USER: "user_message"}


class MessageEdit(BaseModel):
    """What a message shall say: `content`, or `reasoning` for a thought. Left out, the type follows from these."""

    message_type: (
        Literal["system_message", "user_message", "assistant_message", "reasoning_message"] | None
    ) = None
    content: Content | None = None
    reasoning: str | None = None

    def of(self, message: Message) -> tuple[str, Message]:
        """The type that is edited, and the message afterwards. Raises `Unprocessable` or `Invalid` where it does not fit."""
        kind = self.message_type
        if kind is None and self.reasoning is not None:
            kind = "reasoning_message"
        if kind is None:
            kind = _KIND_OF.get(message.role, "assistant_message")
        if kind == "reasoning_message":
            if self.reasoning is None:
                raise Unprocessable("Give the new thought in reasoning.")
            return kind, edited(message, kind, (TextPart(self.reasoning),))
        if self.content is None:
            raise Unprocessable("Give the new words in content.")
        return kind, edited(message, kind, content_parts(self.content))
