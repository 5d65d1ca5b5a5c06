"""A model server whose behaviour is told in the user's message: a real HTTP server for tests against a real Runstead.

A user message that is JSON with `turns` is a story: turn n is played when n assistant messages follow it, so the server
keeps no state between requests and a killed Runstead may ask again. A text in `known` has its turns there; any other
message is answered by repeating it. It speaks Chat Completions only and is never more clever than its story.

A turn has `reasoning` and `text`, each a list of acts, and `calls`. An act is a string (one token) or one of
`{"gate": name}` (go on when it is opened, by the test or by another story's `{"open": name}`), `{"pause_ms": n}`,
`{"silence": true}` (say nothing for ever), `{"garbage": text}` (a frame that is no JSON), `{"die": true}` (close the
connection in mid-sentence). A turn with `status` is an HTTP error.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self, cast

Json = dict[str, Any]
MODEL = "story"
PROMPT_TOKENS = 10
# Until a wait is given up: only what hangs takes so long.
WAIT_S = 45.0
_MARKED = re.compile(r"<<(\{.*\})>>", re.DOTALL)
_LENGTH = re.compile(rb"(?i)content-length:\s*(\d+)")


@dataclass(slots=True)
class Asked:
    """One request for an answer, and what became of it. Times are nanoseconds of the monotonic clock.

    `ended_ns` is taken before the last bytes go out: nothing that follows from the answer can be earlier.
    """

    body: Json
    began_ns: int
    said: int = 0
    hung_up_ns: int | None = None
    ended_ns: int | None = None

    @property
    def user_text(self) -> str:
        """The last thing the user said."""
        return _text_of(_last_user(self.body)[1])


@dataclass(slots=True)
class _Gates:
    opened: set[str] = field(default_factory=set[str])
    waiting: dict[str, asyncio.Event] = field(default_factory=dict[str, asyncio.Event])


class StoryModel:
    """The server, in a thread of its own. Use it as a context manager; `asked` records every request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.known: dict[str, list[Json]] = {}
        self.port = 0
        self._changed = threading.Condition()
        self._gates = _Gates()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="story-model", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_S), "the story model did not start"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        stop = self._stop
        assert stop is not None
        self._loop.call_soon_threadsafe(stop.set)
        self._thread.join(WAIT_S)

    @property
    def url(self) -> str:
        """The base URL to give as OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def open(self, gate: str) -> None:
        """Let everybody pass who waits, or will wait, at this gate."""
        self._loop.call_soon_threadsafe(self._open, gate)

    def wait_until(self, holds: Callable[[], bool], deadline_s: float = WAIT_S) -> None:
        """Wait until something recorded here holds. Raises `AssertionError` at the deadline."""
        with self._changed:
            assert self._changed.wait_for(holds, deadline_s), "the story model saw no such thing"

    def asked_with(self, mark: str) -> list[Asked]:
        """The requests whose last user message contains `mark`."""
        return [asked for asked in list(self.asked) if mark in asked.user_text]

    def wait_asked(self, mark: str, said: int = 0, deadline_s: float = WAIT_S) -> Asked:
        """The latest request with `mark`, once at least `said` tokens of its answer were sent."""

        def there() -> bool:
            found = self.asked_with(mark)
            return bool(found) and found[-1].said >= said

        self.wait_until(there, deadline_s)
        return self.asked_with(mark)[-1]

    # --- inside the thread -----------------------------------------------------------------------------------------

    def _open(self, gate: str) -> None:
        self._gates.opened.add(gate)
        if gate in self._gates.waiting:
            self._gates.waiting[gate].set()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (request := await _read_request(reader)) is not None:
                path, body = request
                if path == "/v1/models":
                    _send_json(writer, 200, {"object": "list", "data": [_model_entry()]})
                elif path == "/v1/chat/completions":
                    if not await self._answer(reader, writer, json.loads(body)):
                        return
                else:
                    _send_json(writer, 404, {"error": {"message": "no such path"}})
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: Json) -> bool:
        """Play the turn. False: the connection is of no more use."""
        asked = Asked(body, time.monotonic_ns())
        self._note(lambda: self.asked.append(asked))
        async with asyncio.TaskGroup() as group:
            playing = group.create_task(self._played(writer, asked, _turn_of(body, self.known)))
            hanging_up = group.create_task(_gone(reader))
            await asyncio.wait({playing, hanging_up}, return_when=asyncio.FIRST_COMPLETED)
            hung_up = not playing.done() or playing.result() is None
            playing.cancel()
            hanging_up.cancel()
        if hung_up:
            now_ns = time.monotonic_ns()
            self._note(lambda: setattr(asked, "hung_up_ns", now_ns))
        return not hung_up and not hanging_up.done() and bool(playing.result())

    async def _played(self, writer: asyncio.StreamWriter, asked: Asked, turn: Json) -> bool | None:
        """Play the turn; None where the client went away under it."""
        try:
            return await self._play(writer, asked, turn)
        except ConnectionError:
            return None

    async def _play(self, writer: asyncio.StreamWriter, asked: Asked, turn: Json) -> bool:
        if "status" in turn:
            headers = {"retry-after": str(turn["retry_after"])} if "retry_after" in turn else {}
            error = turn.get("error", {"message": "the story says so"})
            self._ends(asked)
            _send_json(writer, turn["status"], {"error": error}, headers)
            await writer.drain()
            return True
        out = _Stream(writer)
        for member, acts in (
            ("reasoning_content", turn.get("reasoning", [])),
            ("content", turn.get("text", [])),
        ):
            for act in acts:
                if not await self._act(out, asked, member, act):
                    return False
        for index, call in enumerate(turn.get("calls", [])):
            await _say_call(out, index, call)
        await out.delta({}, "tool_calls" if turn.get("calls") else turn.get("finish", "stop"))
        usage = turn.get("usage", {"prompt_tokens": PROMPT_TOKENS, "completion_tokens": out.tokens})
        total = usage["prompt_tokens"] + usage["completion_tokens"]
        self._ends(asked)
        await out.frame({**_CHUNK, "choices": [], "usage": {**usage, "total_tokens": total}})
        await out.end()
        return True

    async def _act(self, out: _Stream, asked: Asked, member: str, act: str | Json) -> bool:
        """Do one act. False: that was the end of the connection."""
        if isinstance(act, str):
            await out.delta({member: act})
            self._note(lambda: setattr(asked, "said", asked.said + 1))
        elif "gate" in act:
            await self._pass(act["gate"])
        elif "open" in act:
            self._open(act["open"])
        elif "pause_ms" in act:
            await asyncio.sleep(act["pause_ms"] / 1000)
        elif "silence" in act:
            await asyncio.Event().wait()
        elif "garbage" in act:
            await out.raw(b"data: " + act["garbage"].encode() + b"\n\n")
        elif "die" in act:
            self._ends(asked)
            return False
        return True

    async def _pass(self, gate: str) -> None:
        if gate not in self._gates.opened:
            await self._gates.waiting.setdefault(gate, asyncio.Event()).wait()

    def _ends(self, asked: Asked) -> None:
        now_ns = time.monotonic_ns()
        self._note(lambda: setattr(asked, "ended_ns", now_ns))

    def _note(self, change: Callable[[], None]) -> None:
        with self._changed:
            change()
            self._changed.notify_all()


_CHUNK: Json = {"id": "chatcmpl-story", "object": "chat.completion.chunk", "created": 1, "model": MODEL}


class _Stream:
    """A chunked answer; its head is written with the first frame."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._begun = False
        self.tokens = 0

    async def delta(self, delta: Json, finish: str | None = None) -> None:
        """One frame of the answer."""
        self.tokens += 1 if delta else 0
        await self.frame({**_CHUNK, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    async def frame(self, value: Json) -> None:
        """One frame with any JSON."""
        await self.raw(b"data: " + json.dumps(value).encode() + b"\n\n")

    async def raw(self, data: bytes) -> None:
        """Bytes as one HTTP chunk."""
        if not self._begun:
            self._begun = True
            self._writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
        self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self._writer.drain()

    async def end(self) -> None:
        """The last frame."""
        await self.raw(b"data: [DONE]\n\n")
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()


async def _gone(reader: asyncio.StreamReader) -> None:
    """Wait for the client to hang up, in order or not; or to say more than it should."""
    with suppress(ConnectionError):
        await reader.read(1)


async def _say_call(out: _Stream, index: int, call: Json) -> None:
    function = {"name": call["name"], "arguments": ""}
    head = {"index": index, "id": call.get("id", f"call_{index}"), "type": "function"}
    await out.delta({"tool_calls": [{**head, "function": function}]})
    arguments = call.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    half = len(text) // 2
    for piece in (text[:half], text[half:]):
        await out.delta({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, bytes] | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    length = _LENGTH.search(head)
    body = await reader.readexactly(int(length[1])) if length else b""
    return head.split(b" ", 2)[1].decode(), body


def _send_json(
    writer: asyncio.StreamWriter, status: int, value: Json, headers: dict[str, str] | None = None
) -> None:
    body = json.dumps(value).encode()
    more = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
    head = f"HTTP/1.1 {status} Story\r\ncontent-type: application/json\r\n{more}content-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)


def _model_entry() -> Json:
    return {"id": MODEL, "object": "model", "created": 1, "owned_by": "story"}


def _turn_of(body: Json, known: dict[str, list[Json]]) -> Json:
    at, message = _last_user(body)
    text = _text_of(message)
    # A client may put words of its own around what it was told: the story stands between marks then.
    if (marked := _MARKED.search(text)) is not None:
        text = marked[1]
    if text in known:
        return _nth(known[text], body, at)
    try:
        story = cast("object", json.loads(text))
    except ValueError:
        return {"text": ["You said: ", text]}
    if not isinstance(story, dict) or "turns" not in story:
        return {"text": ["You said: ", text]}
    return _nth(cast("list[Json]", story["turns"]), body, at)


def _nth(turns: list[Json], body: Json, at: int) -> Json:
    """The turn whose time it is: as many are over as assistant messages follow the question."""
    done = sum(1 for each in body["messages"][at + 1 :] if each["role"] == "assistant")
    return turns[done] if done < len(turns) else {"text": ["That ", "is ", "all."]}


def _last_user(body: Json) -> tuple[int, Json]:
    for at in range(len(body["messages"]) - 1, -1, -1):
        if body["messages"][at]["role"] == "user":
            return at, body["messages"][at]
    return len(body["messages"]) - 1, {"content": ""}


def _text_of(message: Json) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = cast("list[Json]", content)
        return "".join(str(part.get("text", "")) for part in parts)
    return str(content or "")
