"""The four dialects of `provider_server`: what each provider's stream looks like on the wire. No I/O: acts in, bytes out.

Written from the providers' published references. One dialect object lives for one answer.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from runstead.domain.step import Usage

Json = dict[str, Any]
MODEL = "gpt-4o"

# What each kind of refusal is called and says: OpenAI's code, Anthropic's type, Google's status, the text.
ERRORS: dict[str, tuple[str, str, str, str]] = {
    "bad_request": (
        "invalid_request_error",
        "invalid_request_error",
        "INVALID_ARGUMENT",
        "'temperature' is wrong.",
    ),
    "context": (
        "context_length_exceeded",
        "invalid_request_error",
        "INVALID_ARGUMENT",
        "prompt is too long: this model's maximum context length is 8192 tokens; the input token count exceeds it.",
    ),
    "auth": (
        "invalid_api_key",
        "authentication_error",
        "UNAUTHENTICATED",
        "Incorrect API key: sk-test-key-12345678.",
    ),
    "credits": (
        "insufficient_quota",
        "billing_error",
        "RESOURCE_EXHAUSTED",
        "You exceeded your current quota.",
    ),
    "rate": ("rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED", "Slow down."),
    "overloaded": ("overloaded", "overloaded_error", "UNAVAILABLE", "The model is overloaded."),
    "server": ("server_error", "api_error", "INTERNAL", "Something broke."),
}


@dataclass(frozen=True, slots=True)
class Thought:
    """A piece of thought. `signature` ends the thought; `redacted` is one that the provider hides."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call, its arguments in `pieces`."""

    name: str
    pieces: tuple[str, ...] = ("{}",)
    id: str = "call-1"


@dataclass(frozen=True, slots=True)
class Fault:
    """An error object in the middle of the stream. `kind` as in ERRORS."""

    kind: str = "server"


@dataclass(slots=True)
class Dialect(ABC):
    """How one provider speaks."""

    prefix: ClassVar[str] = ""
    opened: str | None = None
    index: int = -1
    calls: int = 0
    said: dict[int, list[str]] = field(default_factory=dict[int, list[str]])

    def begin(self, body: Json) -> None:
        """Look at the request, where the answer depends on it."""
        del body

    def opening(self) -> bytes:
        """What comes before everything else."""
        return b""

    @abstractmethod
    def text(self, text: str) -> bytes: ...

    @abstractmethod
    def thought(self, thought: Thought) -> bytes: ...

    @abstractmethod
    def call(self, call: Call) -> Iterator[bytes]: ...

    @abstractmethod
    def fault(self, fault: Fault) -> bytes: ...

    @abstractmethod
    def end(self, finish: str, usage: Usage) -> bytes: ...

    @abstractmethod
    def error(self, status: int, kind: str) -> Json: ...

    @abstractmethod
    def user_text(self, body: Json) -> str: ...

    def models(self, names: Sequence[str]) -> Json:
        return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def _frame(value: Json, event: str | None = None) -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(value)}\n\n".encode()


def _text_of(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = cast("list[Json]", content or [])
    return "".join(str(part.get("text", "")) for part in parts)


def _last_user(messages: object) -> str:
    for message in reversed(cast("list[Json]", messages or [])):
        if message.get("role") == "user":
            return _text_of(message.get("content") or message.get("parts"))
    return ""


class Chat(Dialect):
    """Chat Completions."""

    prefix = "/v1"

    def _chunk(self, delta: Json, finish: str | None = None) -> bytes:
        choice: Json = {"index": 0, "delta": delta, "finish_reason": finish}
        return _frame(
            {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": MODEL, "choices": [choice]}
        )

    def opening(self) -> bytes:
        return self._chunk({"role": "assistant", "content": ""})

    def text(self, text: str) -> bytes:
        return self._chunk({"content": text})

    def thought(self, thought: Thought) -> bytes:
        return self._chunk({"reasoning_content": thought.text}) if thought.text else b""

    def call(self, call: Call) -> Iterator[bytes]:
        index, self.calls = self.calls, self.calls + 1
        function: Json = {"name": call.name, "arguments": ""}
        yield self._chunk(
            {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": function}]}
        )
        for piece in call.pieces:
            yield self._chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})

    def fault(self, fault: Fault) -> bytes:
        return _frame(self.error(500, fault.kind))

    def end(self, finish: str, usage: Usage) -> bytes:
        counted = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
            "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        }
        last = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [], "usage": counted}
        return self._chunk({}, finish) + _frame(last) + b"data: [DONE]\n\n"

    def error(self, status: int, kind: str) -> Json:
        code, _, _, text = ERRORS[kind]
        return {"error": {"message": text, "type": code, "param": None, "code": code}}

    def user_text(self, body: Json) -> str:
        return _last_user(body.get("messages"))


class Responses(Dialect):
    """OpenAI's Responses."""

    prefix = "/v1"

    def begin(self, body: Json) -> None:
        super().begin(body)
        self.output: list[Json] = []
        self.number = 0

    def _event(self, kind: str, **fields: object) -> bytes:
        self.number += 1
        return _frame({"type": kind, "sequence_number": self.number, **fields}, kind)

    def _response(self, status: str, usage: Json | None = None) -> Json:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "model": MODEL,
            "status": status,
            "output": self.output,
            "usage": usage,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        }

    def opening(self) -> bytes:
        return self._event("response.created", response=self._response("in_progress"))

    def _open(self, kind: str) -> bytes:
        if self.opened == kind:
            return b""
        data = self._close()
        self.opened, self.index = kind, self.index + 1
        self.said[self.index] = []
        where: Json = {"output_index": self.index, "item_id": f"{kind}_{self.index}"}
        if kind == "message":
            item: Json = {
                "id": f"message_{self.index}",
                "type": "message",
                "role": "assistant",
                "status": "in_progress",
            }
            data += self._event(
                "response.output_item.added", output_index=self.index, item=item | {"content": []}
            )
            part = {"type": "output_text", "text": "", "annotations": []}
            return data + self._event("response.content_part.added", content_index=0, part=part, **where)
        item = {"id": f"reasoning_{self.index}", "type": "reasoning", "summary": []}
        data += self._event("response.output_item.added", output_index=self.index, item=item)
        part = {"type": "summary_text", "text": ""}
        return data + self._event(
            "response.reasoning_summary_part.added", summary_index=0, part=part, **where
        )

    def _close(self, signature: str | None = None) -> bytes:
        kind, self.opened = self.opened, None
        if kind is None:
            return b""
        text = "".join(self.said[self.index])
        where: Json = {"output_index": self.index, "item_id": f"{kind}_{self.index}"}
        if kind == "message":
            part: Json = {"type": "output_text", "text": text, "annotations": []}
            item: Json = {
                "id": where["item_id"],
                "type": "message",
                "role": "assistant",
                "status": "completed",
            }
            item["content"] = [part]
            data = self._event("response.output_text.done", content_index=0, text=text, logprobs=[], **where)
            data += self._event("response.content_part.done", content_index=0, part=part, **where)
        else:
            part = {"type": "summary_text", "text": text}
            item = {
                "id": where["item_id"],
                "type": "reasoning",
                "summary": [part],
                "encrypted_content": signature,
            }
            data = self._event("response.reasoning_summary_text.done", summary_index=0, text=text, **where)
            data += self._event("response.reasoning_summary_part.done", summary_index=0, part=part, **where)
        self.output.append(item)
        return data + self._event("response.output_item.done", output_index=self.index, item=item)

    def text(self, text: str) -> bytes:
        data = self._open("message")
        self.said[self.index].append(text)
        where: Json = {"output_index": self.index, "item_id": f"message_{self.index}", "content_index": 0}
        return data + self._event("response.output_text.delta", delta=text, logprobs=[], **where)

    def thought(self, thought: Thought) -> bytes:
        data = self._open("reasoning")
        if thought.text:
            self.said[self.index].append(thought.text)
            where: Json = {
                "output_index": self.index,
                "item_id": f"reasoning_{self.index}",
                "summary_index": 0,
            }
            data += self._event("response.reasoning_summary_text.delta", delta=thought.text, **where)
        return data + (self._close(thought.signature) if thought.signature else b"")

    def call(self, call: Call) -> Iterator[bytes]:
        yield self._close()
        self.index += 1
        item: Json = {
            "id": f"fc_{self.index}",
            "type": "function_call",
            "call_id": call.id,
            "name": call.name,
        }
        begun = item | {"arguments": "", "status": "in_progress"}
        yield self._event("response.output_item.added", output_index=self.index, item=begun)
        where: Json = {"output_index": self.index, "item_id": item["id"]}
        for piece in call.pieces:
            yield self._event("response.function_call_arguments.delta", delta=piece, **where)
        text = "".join(call.pieces)
        yield self._event("response.function_call_arguments.done", arguments=text, name=call.name, **where)
        done = item | {"arguments": text, "status": "completed"}
        self.output.append(done)
        yield self._event("response.output_item.done", output_index=self.index, item=done)

    def fault(self, fault: Fault) -> bytes:
        code, _, _, text = ERRORS[fault.kind]
        return self._event("error", code=code, message=text, param=None)

    def end(self, finish: str, usage: Usage) -> bytes:
        counted: Json = {
            "input_tokens": usage.prompt_tokens,
            "input_tokens_details": {"cached_tokens": usage.cached_input_tokens},
            "output_tokens": usage.completion_tokens,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
            "total_tokens": usage.total_tokens,
        }
        status = "incomplete" if finish == "length" else "completed"
        return self._close() + self._event(f"response.{status}", response=self._response(status, counted))

    def error(self, status: int, kind: str) -> Json:
        return Chat().error(status, kind)

    def user_text(self, body: Json) -> str:
        given = body.get("input")
        return given if isinstance(given, str) else _last_user(given)


class Anthropic(Dialect):
    """Anthropic's Messages."""

    def _event(self, kind: str, **fields: object) -> bytes:
        return _frame({"type": kind, **fields}, kind)

    def opening(self) -> bytes:
        message: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": []}
        message |= {
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        }
        return self._event("message_start", message=message)

    def _open(self, kind: str, block: Json) -> bytes:
        if self.opened == kind and kind != "tool_use":
            return b""
        data = self._close()
        self.opened, self.index = kind, self.index + 1
        return data + self._event(
            "content_block_start", index=self.index, content_block={"type": kind, **block}
        )

    def _close(self) -> bytes:
        opened, self.opened = self.opened, None
        return self._event("content_block_stop", index=self.index) if opened else b""

    def _delta(self, kind: str, **fields: str) -> bytes:
        return self._event("content_block_delta", index=self.index, delta={"type": kind, **fields})

    def text(self, text: str) -> bytes:
        return self._open("text", {"text": ""}) + self._delta("text_delta", text=text)

    def thought(self, thought: Thought) -> bytes:
        if thought.redacted is not None:
            return self._open("redacted_thinking", {"data": thought.redacted}) + self._close()
        data = self._open("thinking", {"thinking": "", "signature": ""})
        if thought.text:
            data += self._delta("thinking_delta", thinking=thought.text)
        if thought.signature:
            data += self._delta("signature_delta", signature=thought.signature) + self._close()
        return data

    def call(self, call: Call) -> Iterator[bytes]:
        yield self._open("tool_use", {"id": call.id, "name": call.name, "input": {}})
        for piece in call.pieces:
            yield self._delta("input_json_delta", partial_json=piece)

    def fault(self, fault: Fault) -> bytes:
        return self._event("error", error=self.error(500, fault.kind)["error"])

    def end(self, finish: str, usage: Usage) -> bytes:
        reasons = {
            "stop": "end_turn",
            "tool_calls": "tool_use",
            "length": "max_tokens",
            "content_filter": "refusal",
        }
        fresh = usage.prompt_tokens - usage.cached_input_tokens - usage.cache_write_tokens
        counted = {
            "input_tokens": fresh,
            "output_tokens": usage.completion_tokens,
            "cache_read_input_tokens": usage.cached_input_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
        }
        delta = {"stop_reason": reasons[finish], "stop_sequence": None}
        return (
            self._close()
            + self._event("message_delta", delta=delta, usage=counted)
            + self._event("message_stop")
        )

    def error(self, status: int, kind: str) -> Json:
        return {
            "type": "error",
            "error": {"type": ERRORS[kind][1], "message": ERRORS[kind][3]},
            "request_id": "req_1",
        }

    def user_text(self, body: Json) -> str:
        return _last_user(body.get("messages"))

    def models(self, names: Sequence[str]) -> Json:
        return {
            "data": [{"id": name, "type": "model", "display_name": name} for name in names],
            "has_more": False,
        }


class Google(Dialect):
    """Google's streamGenerateContent."""

    def _chunk(self, part: Json, **more: object) -> bytes:
        candidate: Json = {"content": {"role": "model", "parts": [part] if part else []}, "index": 0}
        finish = more.pop("finishReason", None)
        if finish:
            candidate["finishReason"] = finish
        return _frame({"candidates": [candidate], "modelVersion": MODEL, "responseId": "resp_1", **more})

    def text(self, text: str) -> bytes:
        return self._chunk({"text": text})

    def thought(self, thought: Thought) -> bytes:
        part: Json = {"text": thought.text, "thought": True}
        return self._chunk(part | ({"thoughtSignature": thought.signature} if thought.signature else {}))

    def call(self, call: Call) -> Iterator[bytes]:
        arguments = json.loads("".join(call.pieces) or "{}")
        yield self._chunk({"functionCall": {"name": call.name, "args": arguments, "id": call.id}})

    def fault(self, fault: Fault) -> bytes:
        return _frame(self.error(500, fault.kind))

    def end(self, finish: str, usage: Usage) -> bytes:
        reasons = {"stop": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"}
        counted = {
            "promptTokenCount": usage.prompt_tokens,
            "candidatesTokenCount": usage.completion_tokens - usage.reasoning_tokens,
            "thoughtsTokenCount": usage.reasoning_tokens,
            "cachedContentTokenCount": usage.cached_input_tokens,
            "totalTokenCount": usage.total_tokens,
        }
        return self._chunk({}, finishReason=reasons[finish], usageMetadata=counted)

    def error(self, status: int, kind: str) -> Json:
        return {"error": {"code": status, "message": ERRORS[kind][3], "status": ERRORS[kind][2]}}

    def user_text(self, body: Json) -> str:
        return _last_user(body.get("contents"))

    def models(self, names: Sequence[str]) -> Json:
        return {"models": [{"name": f"models/{name}", "inputTokenLimit": 1_048_576} for name in names]}


DIALECTS: dict[str, type[Dialect]] = {
    "chat": Chat,
    "openai": Responses,
    "anthropic": Anthropic,
    "google": Google,
}


def dialect_of(path: str) -> Dialect:
    """The dialect of a request, by its path."""
    bare = path.split("?", 1)[0]
    if bare.endswith("/responses"):
        return Responses()
    if bare.endswith("/messages") or "limit=1000" in path:
        return Anthropic()
    return Google() if "v1beta" in bare else Chat()
