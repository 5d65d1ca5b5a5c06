"""One scripted reply in the words of four providers: Chat Completions, Responses, Anthropic, Google. No I/O, only bytes.

Written from the providers' public descriptions of their streams; it says as much as their client libraries need and no more.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast


@dataclass(frozen=True, slots=True)
class Called:
    """A tool call in a reply: its arguments are sent in the pieces given here."""

    name: str
    pieces: tuple[str, ...]
    id: str = "call_1"

    @property
    def arguments(self) -> str:
        """The arguments' JSON, whole."""
        return "".join(self.pieces)


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens that a reply reports. `prompt` holds `cached` and `written`, `completion` holds `reasoning`."""

    prompt: int = 20
    completion: int = 7
    cached: int = 0
    written: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server does with one request.

    `status` other than 200 is an error with `message`. The three `…_after` count the pieces said before the
    answer turns into garbage, its connection dies, or it goes silent for ever.
    """

    text: tuple[str, ...] = ()
    thoughts: tuple[str, ...] = ()
    calls: tuple[Called, ...] = ()
    counts: Counts = Counts()
    signature: str | None = None
    redacted: str | None = None
    finish: str | None = None
    first_s: float = 0.0
    delay_s: float = 0.0
    status: int = 200
    message: str = ""
    code: str | None = None
    retry_after: str | None = None
    garbage_after: int | None = None
    dies_after: int | None = None
    silent_after: int | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Bytes to send. `said`: they hold a piece of the answer, so delays and faults count them."""

    data: bytes
    said: bool = False


Dialect = Callable[[Reply, str], Iterator[Frame]]


def dialect_of(path: str) -> str | None:
    """Which provider's API a path belongs to: `chat`, `openai`, `anthropic`, `google`, None for none."""
    bare = path.partition("?")[0]
    for ending, name in _ENDINGS:
        if bare.endswith(ending):
            return name
    return None


def frames(dialect: str, reply: Reply, model: str) -> Iterator[Frame]:
    """A whole answer."""
    return _DIALECTS[dialect](reply, model)


def error_body(dialect: str, reply: Reply) -> bytes:
    """The body of an error answer."""
    if dialect == "google":
        error: dict[str, object] = {
            "code": reply.status,
            "message": reply.message,
            "status": reply.code or "UNKNOWN",
        }
        return _json({"error": error})
    if dialect == "anthropic":
        return _json(
            {"type": "error", "error": {"type": reply.code or "api_error", "message": reply.message}}
        )
    return _json({"error": {"message": reply.message, "type": reply.code or "error", "code": reply.code}})


def garbage(dialect: str) -> bytes:
    """A frame that no client can read."""
    return b"event: message_delta\ndata: {not json\n\n" if dialect == "anthropic" else b"data: {not json\n\n"


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


# --- Chat Completions


def _chat(reply: Reply, model: str) -> Iterator[Frame]:
    def frame(
        delta: Mapping[str, object] | None, *, finish: str | None = None, said: bool = False, **more: object
    ) -> Frame:
        choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
        chunk = {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": model,
            "choices": choices,
        }
        return Frame(b"data: " + _json({**chunk, **more}) + b"\n\n", said)

    yield frame({"role": "assistant", "content": ""})
    for thought in reply.thoughts:
        yield frame({"reasoning_content": thought}, said=True)
    for token in reply.text:
        yield frame({"content": token}, said=True)
    for index, call in enumerate(reply.calls):
        head = {"name": call.name, "arguments": ""}
        yield frame(
            {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": head}]}, said=True
        )
        for piece in call.pieces:
            yield frame({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}, said=True)
    yield frame({}, finish=reply.finish or ("tool_calls" if reply.calls else "stop"))
    counts = reply.counts
    usage = {
        "prompt_tokens": counts.prompt,
        "completion_tokens": counts.completion,
        "total_tokens": counts.prompt + counts.completion,
        "prompt_tokens_details": {"cached_tokens": counts.cached},
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning},
    }
    yield frame(None, usage=usage)
    yield Frame(b"data: [DONE]\n\n")


# --- Responses


class _Responses:
    """Numbers the events of one answer of the Responses API and keeps the items it is made of."""

    def __init__(self, reply: Reply, model: str) -> None:
        self._reply = reply
        self._model = model
        self._number = -1
        self._items: list[Mapping[str, object]] = []

    def frames(self) -> Iterator[Frame]:
        yield self._event("response.created", response=self._response("in_progress"))
        if self._reply.thoughts:
            yield from self._reasoning()
        if self._reply.text:
            yield from self._message()
        for call in self._reply.calls:
            yield from self._call(call)
        cut = self._reply.finish == "length"
        status = "incomplete" if cut else "completed"
        yield self._event(f"response.{status}", response=self._response(status))

    def _event(self, kind: str, *, said: bool = False, **fields: object) -> Frame:
        self._number += 1
        body = _json({"type": kind, "sequence_number": self._number, **fields})
        return Frame(f"event: {kind}\ndata: ".encode() + body + b"\n\n", said)

    def _response(self, status: str) -> Mapping[str, object]:
        counts = self._reply.counts
        usage = {
            "input_tokens": counts.prompt,
            "output_tokens": counts.completion,
            "total_tokens": counts.prompt + counts.completion,
            "input_tokens_details": {"cached_tokens": counts.cached, "cache_write_tokens": counts.written},
            "output_tokens_details": {"reasoning_tokens": counts.reasoning},
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": status,
            "model": self._model,
            "error": None,
            "output": self._items,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "usage": None if status == "in_progress" else usage,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        }

    def _added(self, item: Mapping[str, object]) -> Frame:
        return self._event("response.output_item.added", output_index=len(self._items), item=item)

    def _done(self, item: Mapping[str, object]) -> Frame:
        self._items.append(item)
        return self._event("response.output_item.done", output_index=len(self._items) - 1, item=item)

    def _reasoning(self) -> Iterator[Frame]:
        item = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": self._reply.signature}
        where: dict[str, Any] = {"item_id": "rs_1", "output_index": len(self._items), "summary_index": 0}
        yield self._added(item)
        yield self._event(
            "response.reasoning_summary_part.added", **where, part={"type": "summary_text", "text": ""}
        )
        for thought in self._reply.thoughts:
            yield self._event("response.reasoning_summary_text.delta", said=True, **where, delta=thought)
        text = "".join(self._reply.thoughts)
        yield self._event("response.reasoning_summary_text.done", **where, text=text)
        yield self._event(
            "response.reasoning_summary_part.done", **where, part={"type": "summary_text", "text": text}
        )
        yield self._done({**item, "summary": [{"type": "summary_text", "text": text}]})

    def _message(self) -> Iterator[Frame]:
        item: dict[str, object] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "in_progress",
            "content": [],
        }
        where: dict[str, Any] = {"item_id": "msg_1", "output_index": len(self._items), "content_index": 0}
        part = {"type": "output_text", "text": "", "annotations": []}
        yield self._added(item)
        yield self._event("response.content_part.added", **where, part=part)
        for token in self._reply.text:
            yield self._event("response.output_text.delta", said=True, **where, delta=token, logprobs=[])
        whole = {**part, "text": "".join(self._reply.text)}
        yield self._event("response.output_text.done", **where, text=whole["text"], logprobs=[])
        yield self._event("response.content_part.done", **where, part=whole)
        yield self._done({**item, "status": "completed", "content": [whole]})

    def _call(self, call: Called) -> Iterator[Frame]:
        at = len(self._items)
        item_id = f"fc_{at}"
        item = {
            "id": item_id,
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
            "arguments": "",
        }
        yield self._added({**item, "status": "in_progress"})
        for piece in call.pieces:
            kind = "response.function_call_arguments.delta"
            yield self._event(kind, said=True, item_id=item_id, output_index=at, delta=piece)
        whole: dict[str, Any] = {"arguments": call.arguments, "name": call.name}
        yield self._event("response.function_call_arguments.done", item_id=item_id, output_index=at, **whole)
        yield self._done({**item, "status": "completed", "arguments": call.arguments})


def _responses(reply: Reply, model: str) -> Iterator[Frame]:
    return _Responses(reply, model).frames()


# --- Anthropic


def _anthropic(reply: Reply, model: str) -> Iterator[Frame]:
    def event(kind: str, *, said: bool = False, **fields: object) -> Frame:
        return Frame(f"event: {kind}\ndata: ".encode() + _json({"type": kind, **fields}) + b"\n\n", said)

    def block(start: Mapping[str, object], *deltas: Mapping[str, object]) -> Iterator[Frame]:
        nonlocal index
        yield event("content_block_start", index=index, content_block=start)
        for delta in deltas:
            yield event(
                "content_block_delta", said=delta["type"] != "signature_delta", index=index, delta=delta
            )
        yield event("content_block_stop", index=index)
        index += 1

    index = 0
    counts = reply.counts
    given = {
        "input_tokens": counts.prompt - counts.cached - counts.written,
        "cache_read_input_tokens": counts.cached,
        "cache_creation_input_tokens": counts.written,
        "output_tokens": 1,
    }
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "usage": given,
    }
    yield event("message_start", message={**message, "stop_reason": None, "stop_sequence": None})
    if reply.redacted is not None:
        yield from block({"type": "redacted_thinking", "data": reply.redacted})
    if reply.thoughts:
        thoughts: list[Mapping[str, object]] = [
            {"type": "thinking_delta", "thinking": t} for t in reply.thoughts
        ]
        signed = {"type": "signature_delta", "signature": reply.signature or ""}
        yield from block({"type": "thinking", "thinking": "", "signature": ""}, *thoughts, signed)
    if reply.text:
        yield from block(
            {"type": "text", "text": ""}, *({"type": "text_delta", "text": t} for t in reply.text)
        )
    for call in reply.calls:
        pieces = ({"type": "input_json_delta", "partial_json": piece} for piece in call.pieces)
        yield from block({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, *pieces)
    reasons = {"length": "max_tokens", "content_filter": "refusal"}
    reason = reasons.get(reply.finish or "", "tool_use" if reply.calls else "end_turn")
    ended = {"stop_reason": reason, "stop_sequence": None}
    yield event("message_delta", delta=ended, usage={"output_tokens": counts.completion})
    yield event("message_stop")


# --- Google


def _google(reply: Reply, model: str) -> Iterator[Frame]:
    counts = reply.counts
    usage = {
        "promptTokenCount": counts.prompt,
        "candidatesTokenCount": counts.completion - counts.reasoning,
        "thoughtsTokenCount": counts.reasoning,
        "cachedContentTokenCount": counts.cached,
        "totalTokenCount": counts.prompt + counts.completion,
    }

    def frame(parts: list[Mapping[str, object]], *, said: bool = False, finish: str | None = None) -> Frame:
        candidate: dict[str, object] = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish is not None:
            candidate["finishReason"] = finish
        chunk = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": model,
            "responseId": "google-1",
        }
        return Frame(b"data: " + _json(chunk) + b"\r\n\r\n", said)

    signature = base64.b64encode(reply.signature.encode()).decode() if reply.signature else None
    for thought in reply.thoughts:
        yield frame([{"text": thought, "thought": True}], said=True)
    for token in reply.text:
        yield frame([{"text": token}], said=True)
    for number, call in enumerate(reply.calls):
        arguments = cast("object", json.loads(call.arguments))
        part: dict[str, object] = {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}
        if signature and number == 0:
            part["thoughtSignature"] = signature
        yield frame([part], said=True)
    reasons = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}
    yield frame([{"text": ""}], finish=reasons.get(reply.finish or "", "STOP"))


_ENDINGS = (
    ("/chat/completions", "chat"),
    ("/responses", "openai"),
    ("/messages", "anthropic"),
    (":streamGenerateContent", "google"),
)
_DIALECTS: Mapping[str, Dialect] = {
    "chat": _chat,
    "openai": _responses,
    "anthropic": _anthropic,
    "google": _google,
}
