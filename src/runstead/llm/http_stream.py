"""A client for one HTTP/1.1 server whose answers are streams: a socket, a parser, kept-alive connections, nothing else.

It never follows a redirect, never asks for compression and never goes through a proxy. It exists because a general client
costs 80 to 135 µs for every piece of a streamed answer and this one about 20 (docs/decisions/0002). What a reader would get
wrong: closing an answer before its end aborts the TCP connection, because that is how a model is told to stop.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

import httptools

from runstead.errors import ModelError
from runstead.llm import failures
from runstead.outward.addresses import Reach, Refused

CONNECT_S_MAX = 10.0
IDLE_CONNECTIONS_MAX = 1000
BUFFERED_BYTES_MAX = 1024 * 1024
DRAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class WholeAnswer:
    """An answer that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpOrigin:
    """One server. `base_url` may have a path; `headers` go with every request; `name` is what errors call it.

    `reach` says which addresses the host's name may stand for; without it the name is connected to as it is.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        headers: Mapping[str, str],
        *,
        key: str | None = None,
        reach: Reach | None = None,
    ) -> None:
        url = urlsplit(base_url)
        secure = url.scheme == "https"
        self.name = name
        self.key = key
        self._reach = reach
        self._host = url.hostname or "localhost"
        self._port = url.port or (443 if secure else 80)
        self._path = url.path.rstrip("/")
        self._ssl = ssl.create_default_context() if secure else None
        host = f"[{self._host}]" if ":" in self._host else self._host
        lines = {
            "host": f"{host}:{self._port}" if url.port else host,
            "accept-encoding": "identity",
            **headers,
        }
        self._head = "".join(f"{k}: {v}\r\n" for k, v in lines.items())
        self._idle: list[_Connection] = []
        self._open: set[_Connection] = set()

    async def send(self, method: str, path: str, body: bytes = b"") -> HttpAnswer:
        """Send one request and wait for the head of the answer.

        Raises `ModelError` UNREACHABLE where there is no connection, OTHER where it dies before the head.
        """
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._head}"
        if body:
            head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        message = head.encode("latin-1") + b"\r\n" + body
        while self._idle:
            connection = self._idle.pop()
            # A server may close an idle connection at the moment it is used again: then nothing was read, and asking
            # again on a fresh one is not a second question.
            if connection.usable and await connection.ask(message):
                return HttpAnswer(self, connection)
        connection = await self._connect()
        if not await connection.ask(message):
            connection.abort()
            raise connection.failure or failures.incomplete(self.name)
        return HttpAnswer(self, connection)

    async def ask(self, method: str, path: str, body: bytes = b"", *, bytes_max: int) -> WholeAnswer:
        """Send one request and read its answer to the end, or its first `bytes_max`. Raises `ModelError`."""
        answer = await self.send(method, path, body)
        finished = False
        try:
            said = await answer.whole(bytes_max=bytes_max)
            finished = True
        finally:
            answer.close(finished=finished)
        return WholeAnswer(answer.status, answer.headers, said)

    def keep(self, connection: _Connection) -> None:
        """Take back a connection whose answer was read to its end."""
        if connection.usable and len(self._idle) < IDLE_CONNECTIONS_MAX:
            self._idle.append(connection)
        else:
            connection.abort()

    def forget(self, connection: _Connection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)

    def close(self) -> None:
        """Close every connection, whatever it is doing."""
        for connection in tuple(self._open):
            connection.abort()
        self._idle.clear()

    async def _connect(self) -> _Connection:
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                connection = await self._connected()
        except Refused as why:
            raise failures.refused(why) from None
        except TimeoutError:
            raise failures.unreachable(self.name, f"no connection within {CONNECT_S_MAX:g} s") from None
        except OSError as error:
            raise failures.unreachable(self.name, str(error) or type(error).__name__, key=self.key) from None
        self._open.add(connection)
        return connection

    async def _connected(self) -> _Connection:
        """A connection to the first address that takes one. Raises the last one's `OSError`."""
        loop = asyncio.get_running_loop()
        hosts = [self._host] if self._reach is None else await self._reach(self._host, self._port)
        name = self._host if self._ssl is not None else None
        for left in range(len(hosts) - 1, -1, -1):
            try:
                _, connection = await loop.create_connection(
                    lambda: _Connection(self),
                    hosts[-1 - left],
                    self._port,
                    ssl=self._ssl,
                    server_hostname=name,
                )
                return connection
            except OSError:
                if not left:
                    raise
        raise OSError("it has no address")


class HttpAnswer:
    """The answer to one request. Close it, always."""

    def __init__(self, origin: HttpOrigin, connection: _Connection) -> None:
        self._origin = origin
        self._connection = connection
        self.status = connection.status
        self.headers = connection.headers

    async def read(self) -> bytes:
        """What has come since the last read, waiting for at least a byte; empty at the end.

        Raises `ModelError` OTHER ("stream incomplete") where the connection died before the end.
        """
        return await self._connection.read()

    async def whole(self, *, bytes_max: int) -> bytes:
        """All that is left of the answer, or its first `bytes_max`."""
        parts: list[bytes] = []
        size = 0
        while size < bytes_max and (data := await self.read()):
            parts.append(data)
            size += len(data)
        return b"".join(parts)[:bytes_max]

    def close(self, *, finished: bool = False) -> None:
        """Let go. `finished`: all that matters was read, so the connection may be used again once its last bytes came."""
        self._connection.release(finished=finished)


class _Connection(asyncio.Protocol):
    """One socket. Callbacks of the parser write into it; one reader at a time waits on it."""

    def __init__(self, origin: HttpOrigin) -> None:
        self._origin = origin
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drain: asyncio.TimerHandle | None = None
        self._asked = False
        self._head_done = False
        self._complete = False
        self._keep_alive = False
        self._lost = False
        self.failure: ModelError | None = None
        self.status = 0
        self.headers: dict[str, str] = {}

    @property
    def usable(self) -> bool:
        """Whether another request may be sent on it."""
        return (
            not self._lost
            and self.failure is None
            and self._transport is not None
            and not self._transport.is_closing()
        )

    async def ask(self, message: bytes) -> bool:
        """Send a request; True once the head of the answer is here, False where the connection ended before it."""
        assert self._transport is not None
        self._parser = httptools.HttpResponseParser(self)
        self._chunks.clear()
        self._buffered = 0
        self._asked, self._head_done, self._complete = True, False, False
        self.headers = {}
        self._transport.write(message)
        try:
            while not self._head_done:
                if self._lost or self.failure is not None:
                    return False
                await self._wait()
        except asyncio.CancelledError:
            self.abort()
            raise
        return True

    async def read(self) -> bytes:
        """See `HttpAnswer.read`."""
        while not self._chunks:
            if self.failure is not None:
                raise self.failure
            if self._complete:
                return b""
            if self._lost:
                raise failures.incomplete(self._origin.name)
            await self._wait()
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._buffered = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def release(self, *, finished: bool) -> None:
        """Back to the pool where the answer is over (or about to be), else hang up."""
        self._asked = False
        if self._complete and self.usable and self._keep_alive and not self._paused:
            self._origin.keep(self)
        elif finished and self.usable and not self._complete:
            loop = asyncio.get_running_loop()
            self._drain = loop.call_later(DRAIN_S, self.abort)
        else:
            self.abort()

    def abort(self) -> None:
        """Hang up now."""
        self._lost = True
        self._stop_drain()
        self._origin.forget(self)
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _stop_drain(self) -> None:
        if self._drain is not None:
            self._drain.cancel()
            self._drain = None

    # --- what the transport says

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.failure = failures.malformed(self._origin.name, f"not HTTP ({error})")
        if self._buffered > BUFFERED_BYTES_MAX and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        # An answer without a length ends with its connection; any other that ends so was cut short.
        unbounded = "content-length" not in self.headers and "transfer-encoding" not in self.headers
        if self._head_done and unbounded and exc is None:
            self._complete = True
        self._lost = True
        self._stop_drain()
        self._origin.forget(self)
        self._wake()

    # --- what the parser says

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._head_done = True

    def on_body(self, body: bytes) -> None:
        if self._asked:
            self._chunks.append(body)
            self._buffered += len(body)

    def on_message_complete(self) -> None:
        self._complete = True
        # The parser knows this only now: asked any later it says no.
        self._keep_alive = self._parser.should_keep_alive()
        if self._drain is not None:
            self._stop_drain()
            if self._keep_alive:
                self._origin.keep(self)
            else:
                self.abort()
