"""A model provider for tests: a real HTTP server on 127.0.0.1 that says what it was told to, in four dialects.

It speaks Chat Completions, Responses, Anthropic's Messages and Google's streamGenerateContent well enough for the real
client libraries, and misbehaves on demand. Each request takes the next answer of the script (`answers`); when there is
none left it repeats what the user said. `asked` records every request and when its caller hung up.

    async with ProviderServer() as server:
        server.answers.append(Answer("Hel", "lo"))
        …  # ask server.base_url("chat")

`python -m tests.provider_server PORT` serves until it is interrupted.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

from tests.provider_dialects import DIALECTS, Call, Dialect, Fault, Json, Thought, dialect_of

from runstead.domain.step import Usage


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after `seconds`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are not the dialect, as they go on the wire."""

    data: bytes = b"event: content_block_delta\ndata: {this is not JSON\n\n"


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing more, until the caller hangs up."""


@dataclass(frozen=True, slots=True)
class Death:
    """Close the connection in mid-sentence."""


Act = str | Thought | Call | Fault | Pause | Garbage | Silence | Death | asyncio.Event


class Answer:
    """An answer as a sequence of acts. A string is a token; an event is waited for. `finish` as in `types.Finish`."""

    def __init__(
        self, *acts: Act, usage: Usage | None = None, finish: str | None = None, ends: bool = True
    ) -> None:
        self.acts = acts
        self.usage = usage or Usage(11, 7)
        calls = any(isinstance(act, Call) for act in acts)
        self.finish = finish or ("tool_calls" if calls else "stop")
        self.ends = ends


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error. `kind` is what the body says in the dialect's words: see `provider_dialects.ERRORS`."""

    status: int
    kind: str = "server"
    headers: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Asked:
    """One request, and what became of it. Times are nanoseconds of the monotonic clock."""

    method: str
    path: str
    headers: dict[str, str]
    body: Json
    began_ns: int
    hung_up_ns: int | None = None
    finished: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)


COLOURS = (("red", "crimson", "scarlet"), ("blue", "azure", "navy"), ("green", "olive", "emerald"))


def embed_colours(text: str) -> list[float]:
    """A vector of a length other than 1, in which colours of one kind are one direction whatever they are called."""
    words = text.casefold().split()
    return [0.25, *(2.0 * sum(word in kind for word in words) for kind in COLOURS)]


class HungUpError(Exception):
    """The caller closed the connection."""


class ProviderServer:
    """The server. `port` 0 lets the system choose; `models` are the names that its lists give."""

    def __init__(
        self, *, port: int = 0, models: tuple[str, ...] = ("gpt-4o", "text-embedding-3-small")
    ) -> None:
        self.port = port
        self.models = models
        self.answers: deque[Answer | Refusal] = deque()
        # With a key here, a request without it is refused, as for a list so for an answer.
        self.key: str | None = None
        self.asked: list[Asked] = []
        self.connections = 0
        self.embed = embed_colours
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._left = asyncio.Event()
        self._arrived = asyncio.Event()

    async def question(self, number: int = 0) -> Asked:
        """The request for an answer of that number, once it has come."""
        while len(self.questions) <= number:
            self._arrived.clear()
            await self._arrived.wait()
        return self.questions[number]

    def base_url(self, kind: str) -> str:
        """The base URL for a provider of that kind (`settings.ProviderSettings.kind`)."""
        return f"http://127.0.0.1:{self.port}{DIALECTS[kind].prefix}"

    def embedded(self, asked: Asked) -> tuple[int, bytes]:
        """Status and body for texts that shall become vectors; `embed` may refuse one by raising `ValueError`."""
        google = "requests" in asked.body
        texts = (
            [each["content"]["parts"][0]["text"] for each in asked.body["requests"]]
            if google
            else asked.body["input"]
        )
        try:
            vectors = [self.embed(text) for text in texts]
        except ValueError as error:
            return 400, json.dumps({"error": {"message": str(error)}}).encode()
        if google:
            return 200, json.dumps({"embeddings": [{"values": each} for each in vectors]}).encode()
        rows = [{"index": number, "embedding": each} for number, each in enumerate(vectors)]
        return 200, json.dumps({"object": "list", "data": rows[::-1]}).encode()

    @property
    def questions(self) -> list[Asked]:
        """The requests for answers, without those for lists."""
        return [asked for asked in self.asked if asked.method == "POST"]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=64 * 1024 * 1024)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        server = self._server
        assert server is not None
        server.close()
        for writer in tuple(self._writers):
            writer.transport.abort()
        if self._writers:
            self._left.clear()
            await self._left.wait()
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            while (asked := await _read(reader)) is not None:
                self.asked.append(asked)
                self._arrived.set()
                if not await self._handle(asked, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            if not self._writers:
                self._left.set()

    async def _handle(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request while watching for the caller to leave. True where the connection can go on."""
        kept: list[bool] = []

        async def answer() -> None:
            kept.append(await self._answer(asked, writer))
            watching.cancel()

        async def watch() -> None:
            try:
                data = await reader.read(1)
            except ConnectionError:
                data = b""
            assert not data, "a second request before the first was answered"
            raise HungUpError

        try:
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(watch())
                group.create_task(answer())
        except* (HungUpError, ConnectionError):
            asked.hung_up_ns = time.monotonic_ns()
        asked.gone.set()
        return bool(kept and kept[0])

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        dialect = dialect_of(asked.path)
        if self.key is not None and not any(self.key in value for value in asked.headers.values()):
            _send(writer, 401, json.dumps(dialect.error(401, "auth")).encode())
            return True
        if asked.method == "GET":
            _send(writer, 200, json.dumps(dialect.models(self.models)).encode())
            return True
        if asked.path.endswith(("/embeddings", ":batchEmbedContents")):
            _send(writer, *self.embedded(asked))
            asked.finished = True
            return True
        script = self.answers.popleft() if self.answers else Answer(*_echo(dialect, asked.body))
        if isinstance(script, Refusal):
            body = json.dumps(dialect.error(script.status, script.kind)).encode()
            _send(writer, script.status, body, script.headers)
            asked.finished = True
            return True
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        writer.write(head.encode())
        dialect.begin(asked.body)
        _chunk(writer, dialect.opening())
        for act in script.acts:
            if not await _play(act, dialect, writer):
                return False
        if script.ends:
            _chunk(writer, dialect.end(script.finish, script.usage))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        asked.finished = True
        return True


async def _play(act: Act, dialect: Dialect, writer: asyncio.StreamWriter) -> bool:
    """Carry out one act; False where the connection is over."""
    match act:
        case Pause():
            await asyncio.sleep(act.seconds)
        case asyncio.Event():
            await act.wait()
        case Garbage():
            _chunk(writer, act.data)
        case Silence():
            await asyncio.Event().wait()
        case Death():
            await writer.drain()
            return False
        case Fault():
            _chunk(writer, dialect.fault(act))
        case Thought():
            _chunk(writer, dialect.thought(act))
        case Call():
            for frame in dialect.call(act):
                _chunk(writer, frame)
        case _:
            _chunk(writer, dialect.text(str(act)))
    await writer.drain()
    return True


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", "0")))
    body = cast("Json", json.loads(raw)) if raw else {}
    return Asked(method, path, headers, body, time.monotonic_ns())


def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: dict[str, str] | None = None
) -> None:
    lines = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + body)


def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _echo(dialect: Dialect, body: Json) -> list[str]:
    words = dialect.user_text(body).split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:] if any(words) else ["Hello."]


@contextmanager
def in_thread(make: Callable[[], ProviderServer] = ProviderServer) -> Generator[ProviderServer]:
    """A server with a loop of its own, for tests that have none. Touch its `answers` only between requests."""
    ready, stop = threading.Event(), threading.Event()
    servers: list[ProviderServer] = []

    async def serve() -> None:
        async with make() as server:
            servers.append(server)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), name="provider-server", daemon=True)
    thread.start()
    assert ready.wait(60), "the provider server did not start"
    try:
        yield servers[0]
    finally:
        stop.set()
        thread.join(60)


async def _main(port: int) -> None:
    async with ProviderServer(port=port) as server:
        print(f"http://127.0.0.1:{server.port}", flush=True)
        await asyncio.Event().wait()


__all__ = [
    "Act",
    "Answer",
    "Asked",
    "Call",
    "Death",
    "Fault",
    "Garbage",
    "Pause",
    "ProviderServer",
    "Refusal",
    "Silence",
    "Thought",
    "in_thread",
]

if __name__ == "__main__":
    try:
        asyncio.run(_main(int(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(0)
