"""The Chat Completions dialect, as far as an agent can speak it: requests in, one answer or its pieces out.

An agent remembers for itself, so of a request only what the user said last is new to it. Its model, prompt and tools are its
own; what a request says of them is taken and not used.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import orjson
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.domain.message import ImagePart, Part, Role, TextPart
from runstead.domain.run import StopReason
from runstead.errors import Invalid
from runstead.events.log import Entry, Kind
from runstead.runs.admit import Said
from runstead.runs.wait import Outcome

MESSAGES_MAX = 10_000
_LENGTH = {StopReason.MAX_STEPS.value, StopReason.MAX_TOKENS_EXCEEDED.value}
Finish = Literal["stop", "length"]


class ImageUrl(BaseModel):
    """Where an image is; a `data:` URL holds it."""

    url: str
    detail: str | None = None


class ChatPart(BaseModel):
    """One part of a message. Text and images are taken."""

    type: str
    text: str | None = None
    image_url: ImageUrl | None = None


class ChatMessage(BaseModel):
    """A message of the request."""

    role: Literal["developer", "system", "user", "assistant", "tool", "function"]
    content: str | list[ChatPart] | None = None
    name: str | None = None


class StreamOptions(BaseModel):
    """What a streamed answer shall have beside its pieces."""

    include_usage: bool | None = None


class ChatRequest(BaseModel):
    """A request. `model` is the id of an agent."""

    model: str
    messages: list[ChatMessage] = Field(min_length=1, max_length=MESSAGES_MAX)
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    n: int | None = Field(1, ge=1, le=1)
    stop: str | list[str] | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    user: str | None = None

    @property
    def wants_usage(self) -> bool:
        """Whether the pieces shall end with what the run cost."""
        return self.stream_options is not None and bool(self.stream_options.include_usage)

    def inputs(self) -> tuple[Said, ...]:
        """What the user said since the assistant last did. Raises `Invalid` where that is nothing."""
        newest: list[Said] = []
        for message in reversed(self.messages):
            if message.role == "assistant":
                break
            if message.role == "user":
                newest.append(Said(Role.USER, _parts(message.content), message.name))
        if not newest:
            raise Invalid("The last message must be a user's: an agent remembers what was said before.")
        return tuple(reversed(newest))


class ChatAnswerMessage(TypedDict):
    """What the agent said."""

    role: Literal["assistant"]
    content: str
    refusal: str | None


class ChatChoice(TypedDict):
    """The one answer."""

    index: int
    message: ChatAnswerMessage
    finish_reason: Finish
    logprobs: None


class ChatUsage(TypedDict):
    """What the whole run cost, in tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChatState(TypedDict):
    """A whole answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChatChoice]
    usage: ChatUsage | None
    system_fingerprint: str | None
    service_tier: str | None


def chat_state(run_id: str, agent_id: str, at: datetime, found: Outcome) -> ChatState:
    """A finished run as one answer."""
    said = [orjson.loads(message) for message in found.messages]
    texts = [_text(m["content"]) for m in said if m["message_type"] == "assistant_message"]
    return {
        "id": _id(run_id),
        "object": "chat.completion",
        "created": int(at.timestamp()),
        "model": agent_id,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "\n".join(texts), "refusal": None},
                "finish_reason": _finish(orjson.loads(found.stop)),
                "logprobs": None,
            }
        ],
        "usage": _usage(found.usage),
        "system_fingerprint": None,
        "service_tier": None,
    }


class Pieces:
    """A run's events as the pieces of one answer, in the order they come. Texts of different messages stand on lines.

    With `usage` the last piece has no choice, but what the run cost; all others say that it is not known yet.
    """

    def __init__(self, run_id: str, agent_id: str, at: datetime, *, usage: bool = False) -> None:
        self._about = {
            "id": _id(run_id),
            "object": "chat.completion.chunk",
            "created": int(at.timestamp()),
            "model": agent_id,
        }
        self._usage = usage
        self._message_id: str | None = None

    def tell(self, entry: Entry) -> list[bytes]:
        """The pieces that an event comes to."""
        match entry.kind:
            case Kind.MESSAGE:
                return self._said(orjson.loads(entry.data))
            case Kind.STOP:
                return [self._piece({}, _finish(orjson.loads(entry.data)))]
            case Kind.ERROR:
                error = orjson.loads(entry.data)
                told = {"message": error["message"], "type": error["error_type"], "code": None}
                return [orjson.dumps({"error": told})]
            case Kind.USAGE if self._usage:
                return [orjson.dumps({**self._about, "choices": [], "usage": _usage(entry.data)})]
            case _:
                return []

    def _said(self, message: dict[str, Any]) -> list[bytes]:
        if message["message_type"] != "assistant_message":
            return []
        delta: dict[str, object] = {"content": _text(message["content"])}
        if self._message_id is None:
            delta = {"role": "assistant", **delta}
        elif self._message_id != message["id"]:
            delta["content"] = f"\n{delta['content']}"
        self._message_id = message["id"]
        return [self._piece(delta, None)]

    def _piece(self, delta: dict[str, object], finish: Finish | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        usage = {"usage": None} if self._usage else {}
        return orjson.dumps({**self._about, "choices": [choice], **usage})


def _id(run_id: str) -> str:
    return "chatcmpl-" + run_id.removeprefix("run-")


def _usage(event: bytes) -> ChatUsage:
    used: dict[str, int] = orjson.loads(event) or {}
    return {
        "prompt_tokens": used.get("prompt_tokens", 0),
        "completion_tokens": used.get("completion_tokens", 0),
        "total_tokens": used.get("total_tokens", 0),
    }


def _finish(stop: dict[str, Any] | None) -> Finish:
    return "length" if stop is not None and stop["stop_reason"] in _LENGTH else "stop"


def _text(content: str | list[dict[str, Any]]) -> str:
    if isinstance(content, str):
        return content
    return "".join(str(part.get("text", "")) for part in content)


def _parts(content: str | list[ChatPart] | None) -> tuple[Part, ...]:
    if not isinstance(content, list):
        return (TextPart(content or ""),)
    return tuple(_part(part) for part in content)


def _part(part: ChatPart) -> Part:
    if part.type == "text":
        return TextPart(part.text or "")
    if part.type == "image_url" and part.image_url is not None:
        url, detail = part.image_url.url, part.image_url.detail
        head, comma, data = url.partition(";base64,")
        if comma and head.startswith("data:"):
            return ImagePart(None, data, head.removeprefix("data:"), detail)
        return ImagePart(url, detail=detail)
    raise Invalid(f"Content of type {part.type[:50]!r} cannot be sent; send text or image_url.")
