"""The bytes of a streamed Chat Completions answer, turned into deltas. No I/O: bytes in, deltas out.

Servers that call themselves compatible differ in small things (where thoughts stand, whether calls are numbered, whether a
`finish_reason` comes); all of that is met here. Called once for every piece of the network, so it is written for speed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import orjson

from runstead.domain.step import Usage
from runstead.errors import ModelError
from runstead.ids import Ids
from runstead.llm import failures
from runstead.llm.types import CallDelta, Delta, Finish, ReasoningDelta, TextDelta

LINE_BYTES_MAX = 16 * 1024 * 1024

_REASONS = {
    "stop": "stop",
    "end_turn": "stop",
    "eos": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
    "error": "error",
}
# What a chunk of the wrong shape makes the reading below raise; all of them mean the same.
_MISSHAPEN = (TypeError, KeyError, AttributeError, IndexError, ValueError)


class ChatStream:
    """One answer being read. `provider` is what errors call the server, `key` what they must not show."""

    def __init__(self, provider: str, ids: Ids, *, key: str | None = None) -> None:
        self._provider = provider
        self._ids = ids
        self._key = key
        self._rest = b""
        self._out: list[Delta] = []
        self._calls: dict[int, tuple[int, str]] = {}
        self._calls_seen = 0
        self._last_call = 0
        self._reason: str | None = None
        self._usage = Usage()
        self._response_id: str | None = None
        self.done = False
        self.failure: ModelError | None = None

    def feed(self, data: bytes) -> Sequence[Delta]:
        """The deltas in the next bytes.

        An error object, and what is not the protocol, becomes `failure`: raise it once the deltas before it were given.
        """
        lines = (self._rest + data if self._rest else data).split(b"\n")
        self._rest = lines.pop()
        self._out = []
        try:
            for line in lines:
                if line.startswith(b"data:"):
                    self._data(line[5:])
        except ModelError as error:
            self.failure = error
        if len(self._rest) > LINE_BYTES_MAX:
            self.failure = failures.malformed(self._provider, "a line that does not end", key=self._key)
        return self._out

    def whole(self, data: bytes) -> Sequence[Delta]:
        """The deltas of an answer that came as one JSON object although a stream was asked for."""
        self._out = []
        self._data(data)
        self.done = True
        return [*self._out, self.finish()]

    def finish(self) -> Finish:
        """The last delta. Raises `ModelError` ("stream incomplete") where the answer never said that it is over."""
        if self._rest.startswith(b"data:"):
            self._out = []
            rest, self._rest = self._rest, b""
            self._data(rest[5:])
        reason = self._reason
        if reason is None:
            if not self.done:
                raise failures.incomplete(self._provider)
            reason = "stop"
        if reason == "error":
            raise failures.from_stream(
                self._provider, {"message": "the answer ended with an error"}, key=self._key
            )
        if reason == "stop" and self._calls_seen:
            reason = "tool_calls"
        return Finish(reason, self._usage, self._response_id)

    def _data(self, data: bytes) -> None:
        try:
            chunk: Any = orjson.loads(data)
        except orjson.JSONDecodeError:
            text = data.strip()
            if text == b"[DONE]":
                self.done = True
            elif text:
                raise failures.malformed(
                    self._provider, text.decode("utf-8", "replace")[:200], key=self._key
                ) from None
            return
        try:
            self._chunk(cast("dict[str, Any]", chunk))
        except _MISSHAPEN:
            said = data.decode("utf-8", "replace").strip()[:200]
            raise failures.malformed(self._provider, said, key=self._key) from None

    def _chunk(self, chunk: dict[str, Any]) -> None:
        choices = chunk.get("choices")
        if choices:
            choice = choices[0]
            delta = choice.get("delta") or choice.get("message")
            if delta:
                self._delta(delta)
            if reason := choice.get("finish_reason"):
                self._reason = _REASONS.get(reason, "stop")
                self._response_id = chunk.get("id") or None
        if usage := chunk.get("usage"):
            self._usage = usage_of(usage)
        if error := chunk.get("error"):
            raise self._failure(error)
        if choices is None and not usage and "object" not in chunk:
            raise ValueError

    def _failure(self, error: object) -> ModelError:
        return failures.from_stream(self._provider, error, key=self._key)

    def _delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if content:
            if type(content) is str:
                self._out.append(TextDelta(content))
            else:
                self._parts(content)
        thoughts = delta.get("reasoning_content") or delta.get("reasoning")
        if thoughts:
            self._out.append(ReasoningDelta(_text(thoughts)))
        calls = delta.get("tool_calls")
        if calls:
            for call in calls:
                self._call(call)

    def _parts(self, content: list[dict[str, Any]]) -> None:
        """Content as a list of parts, as some servers stream it beside thoughts."""
        for part in content:
            if part.get("type") == "thinking":
                self._out.extend(ReasoningDelta(_text(p["text"])) for p in part["thinking"] if p.get("text"))
            elif part.get("text"):
                self._out.append(TextDelta(_text(part["text"])))

    def _call(self, call: dict[str, Any]) -> None:
        function = cast("dict[str, Any]", call.get("function") or {})
        given = call.get("id") or ""
        name = function.get("name")
        number = call.get("index")
        # Servers that do not number their calls send each whole, or go on with the last one.
        if number is None:
            number = len(self._calls) if name and given else self._last_call
        self._last_call = number
        known = self._calls.get(number)
        arguments = _arguments(function.get("arguments"))
        # Some number every call 0; a new id with a name is then a new call.
        if known is None or (name and given and given != known[1]):
            if not name:
                raise ValueError
            index, self._calls_seen = self._calls_seen, self._calls_seen + 1
            self._calls[number] = (index, given)
            self._out.append(CallDelta(index, given or f"call_{self._ids.uuid()}", _text(name), arguments))
        elif arguments:
            self._out.append(CallDelta(known[0], arguments=arguments))


def usage_of(usage: dict[str, Any]) -> Usage:
    """Tokens as Chat Completions counts them: cached ones are part of the prompt, reasoning part of the completion."""
    prompt = cast("dict[str, Any]", usage.get("prompt_tokens_details") or {})
    completion = cast("dict[str, Any]", usage.get("completion_tokens_details") or {})
    return Usage(
        int(usage.get("prompt_tokens") or 0),
        int(usage.get("completion_tokens") or 0),
        int(prompt.get("cached_tokens") or usage.get("prompt_cache_hit_tokens") or 0),
        int(prompt.get("cache_write_tokens") or 0),
        int(completion.get("reasoning_tokens") or 0),
    )


def _arguments(value: object) -> str | None:
    """A piece of a call's arguments as text. Some servers send the whole as an object."""
    if value is None or type(value) is str:
        return value or None
    return orjson.dumps(value).decode()


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError
    return value
