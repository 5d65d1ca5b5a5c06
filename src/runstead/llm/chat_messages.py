"""Domain messages as the JSON of a Chat Completions request. It never asks anything and never changes what was said.

The history is sent again with every step, so each message is rendered once and kept as bytes: a thousand of them cost less
than a millisecond. A message is known by its id and by what it says, never by its id alone, because a client may edit one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import orjson

from runstead.domain.message import ImagePart, Message, Part, Role, TextPart, ToolCall, ToolReturn
from runstead.domain.tool import ToolSpec
from runstead.llm.transcript import arguments_object, has_words, ordered, summary_text
from runstead.llm.types import ModelRequest

RENDERED_MESSAGES_MAX = 20_000
RENDERED_BYTES_MAX = 32 * 1024 * 1024

_EFFORTS = {"none", "minimal", "low", "medium", "high", "xhigh", "max"}
_SAYS = (Role.USER, Role.SUMMARY, Role.SYSTEM)


class ChatBodies:
    """Makes request bodies, remembering the messages it has rendered, at most RENDERED_BYTES_MAX of them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[Message, orjson.Fragment, int]] = OrderedDict()
        self._bytes = 0

    def body(self, request: ModelRequest, name: str) -> bytes:
        """The JSON body that asks the model `name` for a streamed answer with its usage."""
        messages: list[object] = []
        if request.system:
            messages.append({"role": "system", "content": request.system})
        kept = self._kept
        for item in ordered(request.messages):
            if isinstance(item, ToolReturn):
                messages.append(_result(item))
                continue
            known = kept.get(item.id)
            if known is not None and (known[0] is item or _says_the_same(known[0], item)):
                messages.append(known[1])
            elif (rendered := _message(item)) is not None:
                messages.append(self._keep(item, rendered))
        body: dict[str, object] = {
            "model": name,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        _add_settings(body, request)
        return orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS)

    def _keep(self, message: Message, rendered: Mapping[str, object]) -> orjson.Fragment:
        data = orjson.dumps(rendered)
        fragment = orjson.Fragment(data)
        if (old := self._kept.pop(message.id, None)) is not None:
            self._bytes -= old[2]
        self._kept[message.id] = (message, fragment, len(data))
        self._bytes += len(data)
        while len(self._kept) > RENDERED_MESSAGES_MAX or (
            self._bytes > RENDERED_BYTES_MAX and len(self._kept) > 1
        ):
            self._bytes -= self._kept.popitem(last=False)[1][2]
        return fragment


def _says_the_same(one: Message, other: Message) -> bool:
    return (
        one.role is other.role
        and one.parts == other.parts
        and one.tool_calls == other.tool_calls
        and one.tool_return == other.tool_return
    )


def _message(message: Message) -> Mapping[str, object] | None:
    """One message as the API has it, None where nothing of it can be shown."""
    if message.role is Role.TOOL:
        return None if message.tool_return is None else _result(message.tool_return)
    if message.role is Role.ASSISTANT:
        return _assistant(message)
    if message.role is Role.SUMMARY:
        return {"role": "user", "content": summary_text(message)}
    role = "system" if message.role is Role.SYSTEM else "user"
    if any(isinstance(part, ImagePart) for part in message.parts):
        return {
            "role": role,
            "content": [_part(p) for p in message.parts if isinstance(p, TextPart | ImagePart)],
        }
    return {"role": role, "content": message.text}


def _assistant(message: Message) -> Mapping[str, object] | None:
    text = message.text
    if not message.tool_calls:
        return {"role": "assistant", "content": text} if has_words(message) else None
    return {
        "role": "assistant",
        "content": text or None,
        "tool_calls": [_call(call) for call in message.tool_calls],
    }


def _call(call: ToolCall) -> Mapping[str, object]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": arguments_object(call.arguments)},
    }


def _result(result: ToolReturn) -> Mapping[str, object]:
    return {"role": "tool", "tool_call_id": result.call_id, "content": result.text}


def _part(part: Part) -> Mapping[str, object]:
    if isinstance(part, ImagePart):
        url = part.url or f"data:{part.media_type or 'image/png'};base64,{part.data or ''}"
        image = {"url": url, "detail": part.detail} if part.detail else {"url": url}
        return {"type": "image_url", "image_url": image}
    return {"type": "text", "text": part.text}


def _add_settings(body: dict[str, object], request: ModelRequest) -> None:
    settings = request.settings
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
        if settings.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = settings.parallel_tool_calls
    if settings.max_tokens:
        body["max_tokens"] = settings.max_tokens
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.reasoning_effort in _EFFORTS:
        body["reasoning_effort"] = settings.reasoning_effort
    if settings.response_format and settings.response_format.get("type") != "text":
        body["response_format"] = settings.response_format


def _tool(tool: ToolSpec) -> Mapping[str, object]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }
