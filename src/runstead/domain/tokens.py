"""How many tokens a thing takes, about: four characters each, the same everywhere. Pure; a provider's count is its own."""

from __future__ import annotations

from collections.abc import Iterable

from runstead.domain.message import ImagePart, Message
from runstead.domain.tool import ToolSpec

CHARS_PER_TOKEN = 4
IMAGE_TOKENS = 800
MESSAGE_OVERHEAD_TOKENS = 4


def tokens_of_text(text: str) -> int:
    """About how many tokens a text takes."""
    return len(text) // CHARS_PER_TOKEN


def tokens_of(message: Message) -> int:
    """About how many tokens a message takes."""
    chars = len(message.text)
    chars += sum(len(call.arguments) + len(call.name) for call in message.tool_calls)
    if message.tool_return is not None:
        chars += len(message.tool_return.text)
    images = sum(isinstance(part, ImagePart) for part in message.parts)
    return chars // CHARS_PER_TOKEN + images * IMAGE_TOKENS + MESSAGE_OVERHEAD_TOKENS


def chars_of_tools(tools: Iterable[ToolSpec]) -> int:
    """How many characters the definitions of tools take."""
    return sum(len(str(tool.parameters)) + len(tool.description) for tool in tools)
