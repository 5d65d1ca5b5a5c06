"""Domain messages as pydantic-ai's. It never asks anything; the order of calls and results is mended by `transcript`.

Thoughts go back only to the provider they came from, and only with what proves them (a signature, or the hidden data):
without it one provider rejects them and another shows them as text. Heavy: import it lazily.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.messages import (
    BinaryContent,
    ImageUrl,
    InstructionPart,
    ModelMessage,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)
from pydantic_ai.messages import ModelRequest as LibraryRequest

from runstead.domain.message import ImagePart, Message, ReasoningPart, Role, ToolCall, ToolReturn
from runstead.domain.message import TextPart as Text
from runstead.llm.pydantic_ai_events import REDACTED
from runstead.llm.transcript import arguments_object, has_words, ordered, summary_text
from runstead.llm.types import ModelRequest


def history_of(request: ModelRequest, system: str) -> list[ModelMessage]:
    """The conversation. `system` is what the library calls the provider that is asked."""
    names: dict[str, str] = {}
    history: list[ModelMessage] = []
    asked: list[ModelRequestPart] = []
    for item in ordered(request.messages):
        if isinstance(item, ToolReturn) or item.role is not Role.ASSISTANT:
            asked.extend(_asked(item, names))
        elif parts := _answer(item, system):
            names.update((call.id, call.name) for call in item.tool_calls)
            if asked:
                history.append(LibraryRequest(asked))
                asked = []
            history.append(ModelResponse(parts, provider_name=system, timestamp=item.created_at))
    if asked or not history:
        history.append(LibraryRequest(asked))
    return history


def _asked(item: Message | ToolReturn, names: dict[str, str]) -> list[ModelRequestPart]:
    """What goes to the model of one thing that it did not say."""
    if isinstance(item, ToolReturn):
        return [_result(item, names)]
    if item.role is Role.TOOL:
        return [] if item.tool_return is None else [_result(item.tool_return, names)]
    return [UserPromptPart(_content(item), timestamp=item.created_at)]


def instructions_of(request: ModelRequest) -> list[InstructionPart] | None:
    """The system prompt."""
    return [InstructionPart(content=request.system)] if request.system else None


def _content(message: Message) -> str | list[UserContent]:
    if message.role is Role.SUMMARY:
        return summary_text(message)
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    content: list[UserContent] = []
    for part in message.parts:
        if isinstance(part, ImagePart):
            content.append(_image(part))
        elif isinstance(part, Text) and part.text:
            content.append(part.text)
    return content


def _image(part: ImagePart) -> UserContent:
    if part.url is None:
        data = base64.b64decode(part.data or "")
        return BinaryContent(data, media_type=part.media_type or "image/png")
    if part.url.startswith("data:"):
        return BinaryContent.from_data_uri(part.url)
    return ImageUrl(part.url)


def _result(result: ToolReturn, names: Mapping[str, str]) -> ToolReturnPart:
    name = result.name or names.get(result.call_id, "tool")
    outcome = "success" if result.status == "success" else "failed"
    return ToolReturnPart(name, result.text, result.call_id, outcome=outcome)


def _answer(message: Message, system: str) -> list[ModelResponsePart]:
    """What the model said, in its order. Thoughts that led to nothing, or broke off, are left out."""
    parts: list[ModelResponsePart] = []
    if not (message.tool_calls or has_words(message)):
        return parts
    for part in message.parts:
        if isinstance(part, Text):
            if part.text.strip():
                parts.append(TextPart(part.text))
        elif isinstance(part, ReasoningPart) and message.mark is None:
            if (thought := _thought(part, system)) is not None:
                parts.append(thought)
    parts.extend(_call(call, system) for call in message.tool_calls)
    return parts


def _thought(part: ReasoningPart, system: str) -> ThinkingPart | None:
    proof = part.signature if part.redacted is None else part.redacted
    back = _sent_back(part.provider, system)
    if proof is None or back is None:
        return None
    item_id = REDACTED if part.redacted is not None else back[0]
    return ThinkingPart(
        part.text, id=item_id, signature=proof, provider_name=system, provider_details=back[1]
    )


def _call(call: ToolCall, system: str) -> ToolCallPart:
    item_id, details = _sent_back(call.provider, system) or (None, None)
    return ToolCallPart(
        call.name,
        arguments_object(call.arguments),
        call.id,
        id=item_id,
        provider_name=system if item_id or details else None,
        provider_details=details,
    )


def _sent_back(
    provider: Mapping[str, object] | None, system: str
) -> tuple[str | None, dict[str, Any] | None] | None:
    """The id and the details that `pydantic_ai_events` kept, None where another provider made them."""
    if provider is None or provider.get("by") != system:
        return None
    return cast("str | None", provider.get("id")), cast("dict[str, Any] | None", provider.get("details"))
