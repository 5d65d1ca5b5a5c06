"""A small real HTTP server that plays four model providers, one scripted `Reply` a request. Only for tests.

It never thinks: what it answers is queued with `then`, or decided by a function of the request. It notes every
request and the moment its caller hung up, so that a test can say how soon a cancelled question was let go of.

    async with ProviderServer() as server:
        server.then(Reply(text=("Hel", "lo")))
        ...                                     # ask server.base_url("chat")
        await server.hung_up(server.seen[0])

`in_thread()` runs one beside a synchronous test; `python -m tests.provider_server PORT` runs one that says hello
to everybody.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self, cast

from tests.provider_dialects import Called, Counts, Frame, Reply, dialect_of, error_body, frames, garbage

__all__ = ["Called", "Counts", "ProviderServer", "Reply", "Seen", "in_thread"]

WAIT_S_MAX = 5.0
MODELS = ("gpt-4o-mini", "text-embedding-3-small")
HELLO = Reply(text=("Hello ", "from ", "the ", "provider."))

Script = Callable[["Seen"], Reply]


@dataclass(slots=True)
class Seen:
    """A request as it came. Times are of the monotonic clock, in nanoseconds; `said` counts the pieces sent so far.

    `ended_ns`: the answer was given whole. `closed_ns`: the caller hung up, or the connection ended, before that.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    dialect: str | None
    connection: int
    arrived_ns: int
    said: int = 0
    ended_ns: int | None = None
    closed_ns: int | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def model(self) -> str:
        """The model that was asked for."""
        named = self.body.get("model")
        return named if isinstance(named, str) else self.path.rpartition("/")[2].partition(":")[0]


class ProviderServer:
    """The server. `seen` holds every question put to a model; `listed` counts questions for the list of models."""

    def __init__(self, script: Script | None = None, *, port: int = 0) -> None:
        self._script = script
        self._replies: deque[Reply] = deque()
        self._port = port
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._connections = 0
        self.seen: list[Seen] = []
        self.listed = 0
        self.models: tuple[str, ...] = MODELS
        self.arrived = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", self._port)
        self._port = cast("tuple[str, int]", self._server.sockets[0].getsockname())[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        tasks = [task for task in self._open.values() if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://127.0.0.1:{self._port}"

    def base_url(self, kind: str) -> str:
        """The base URL as the settings of a provider of that kind have it."""
        return self.url + ("/v1" if kind in {"chat", "openai"} else "")

    def then(self, *replies: Reply) -> None:
        """Queue what the next requests are answered. With nothing queued and no script, everybody is told HELLO."""
        self._replies.extend(replies)

    async def request(self, number: int = 0) -> Seen:
        """The request of that number, once it has come."""
        async with asyncio.timeout(WAIT_S_MAX):
            while len(self.seen) <= number:
                self.arrived.clear()
                await self.arrived.wait()
        return self.seen[number]

    async def has_said(self, seen: Seen, pieces: int) -> None:
        """Wait until that many pieces of an answer were sent."""
        await self._until(seen, lambda: seen.said >= pieces)

    async def hung_up(self, seen: Seen) -> int:
        """Wait until the caller of a request hung up; when that was."""
        await self._until(seen, lambda: seen.closed_ns is not None)
        assert seen.closed_ns is not None
        return seen.closed_ns

    async def _until(self, seen: Seen, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S_MAX):
            while not true():
                seen.changed.clear()
                await seen.changed.wait()

    # --- one connection

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        self._open[writer] = asyncio.current_task()
        try:
            while (seen := await _request(reader, number)) is not None:
                await self._serve(seen, reader, writer)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the caller is gone, or the server stops: both end the connection
        finally:
            del self._open[writer]
            writer.close()

    async def _serve(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if seen.method == "GET" and seen.path.partition("?")[0].endswith("/models"):
            self.listed += 1
            _answer(writer, 200, self._list(seen))
        elif seen.dialect is None:
            _answer(writer, 404, b'{"error": {"message": "no such path"}}')
        else:
            self.seen.append(seen)
            self.arrived.set()
            async with _noting_hang_up(seen, reader, writer):
                await self._reply(seen, writer)
        await writer.drain()

    def _list(self, seen: Seen) -> bytes:
        if seen.path.startswith("/v1beta/"):
            entries = [
                {"name": f"models/{name}", "inputTokenLimit": 5000, "outputTokenLimit": 500}
                for name in self.models
            ]
            return json.dumps({"models": entries}).encode()
        data = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in self.models]
        return json.dumps({"object": "list", "data": data, "has_more": False}).encode()

    async def _reply(self, seen: Seen, writer: asyncio.StreamWriter) -> None:
        reply = (
            self._script(seen)
            if self._script is not None
            else self._replies.popleft()
            if self._replies
            else HELLO
        )
        assert seen.dialect is not None
        if reply.first_s:
            await asyncio.sleep(reply.first_s)
        if reply.status != 200:
            more = {"retry-after": reply.retry_after} if reply.retry_after else {}
            _answer(writer, reply.status, error_body(seen.dialect, reply), **more)
            seen.ended_ns = time.monotonic_ns()
            return
        writer.write(_head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for frame in frames(seen.dialect, reply, seen.model):
            if frame.said and not await self._may_say(seen, reply, writer):
                return
            await self._write(seen, frame, writer)
        writer.write(b"0\r\n\r\n")
        seen.ended_ns = time.monotonic_ns()
        seen.changed.set()

    async def _may_say(self, seen: Seen, reply: Reply, writer: asyncio.StreamWriter) -> bool:
        """Wait for the next piece's time; False where a fault takes its place and ends the answer."""
        assert seen.dialect is not None
        if seen.said == reply.silent_after:
            await asyncio.Event().wait()
        if seen.said == reply.dies_after:
            writer.close()
            return False
        if seen.said == reply.garbage_after:
            writer.write(_chunk(garbage(seen.dialect)))
        if reply.delay_s and seen.said:
            await asyncio.sleep(reply.delay_s)
        return True

    async def _write(self, seen: Seen, frame: Frame, writer: asyncio.StreamWriter) -> None:
        writer.write(_chunk(frame.data))
        await writer.drain()
        if frame.said:
            seen.said += 1
            seen.changed.set()


@asynccontextmanager
async def _noting_hang_up(
    seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> AsyncGenerator[None]:
    """Watch the connection while it is answered: end the answer, and note when, if the caller leaves."""
    answering = asyncio.current_task()
    assert answering is not None

    async def watch() -> None:
        # Nobody sends a second request before the answer, so whatever is read here is the end of the connection.
        with suppress(ConnectionError):  # a reset is a hang-up too
            await reader.read(1)
        seen.closed_ns = time.monotonic_ns()
        seen.changed.set()
        writer.close()
        answering.cancel()

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()


async def _request(reader: asyncio.StreamReader, connection: int) -> Seen | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, path, _ = first.split(" ", 2)
    parsed: dict[str, Any] = json.loads(body) if body else {}
    return Seen(method, path, headers, parsed, dialect_of(path), connection, time.monotonic_ns())


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Scripted\r\n{lines}\r\n".encode()


def _answer(writer: asyncio.StreamWriter, status: int, body: bytes, **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    writer.write(
        _head(status, {"content-type": "application/json", "content-length": str(len(body)), **named}) + body
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextmanager
def in_thread(script: Script | None = None) -> Generator[ProviderServer]:
    """A server in a thread of its own, for a test that has no event loop. Use only `then`, `url`, `seen` from outside."""
    ready = threading.Event()
    found: list[tuple[ProviderServer, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        async with ProviderServer(script) as server:
            found.append((server, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="provider-server")
    thread.start()
    assert ready.wait(WAIT_S_MAX)
    server, loop, stop = found[0]
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def _serve_for_ever(port: int) -> None:
    async with ProviderServer(port=port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve_for_ever(int(sys.argv[1])))
