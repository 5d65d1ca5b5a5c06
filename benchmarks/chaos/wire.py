"""HTTP as the chaos clients speak it: one request a connection, by hand, so that hundreds of clients cost little.

Everything that goes wrong on the way is an `OSError`; a server that says nothing for too long is one too.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

CONNECT_S = 3.0
SILENCE_S = 5.0


@dataclass(frozen=True, slots=True)
class Head:
    """The first of an answer."""

    status: int
    headers: Mapping[str, str]


class Lost(OSError):
    """The connection ended too early, or nothing came on it."""


class Answer:
    """An answer that is being read."""

    def __init__(self, head: Head, reader: asyncio.StreamReader) -> None:
        self.head = head
        self._reader = reader

    @property
    def status(self) -> int:
        """Its status code."""
        return self.head.status

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises `Lost` where it breaks off."""
        try:
            if self.head.headers.get("transfer-encoding") != "chunked":
                async with asyncio.timeout(SILENCE_S):
                    whole = await self._reader.readexactly(int(self.head.headers.get("content-length", "0")))
                yield whole
                return
            while True:
                async with asyncio.timeout(SILENCE_S):
                    size = int(await self._reader.readuntil(b"\r\n"), 16)
                    chunk = await self._reader.readexactly(size + 2)
                if not size:
                    return
                yield chunk[:-2]
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            raise Lost(repr(error)) from error

    async def body(self) -> bytes:
        """The whole body."""
        return b"".join([chunk async for chunk in self.chunks()])


@asynccontextmanager
async def asked(
    port: int, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[Answer]:
    """Ask a server on this machine; leaving the block drops the connection. Raises `Lost`."""
    data = b"" if body is None else json.dumps(body).encode()
    lines = {
        "host": f"127.0.0.1:{port}",
        "connection": "close",
        "content-type": "application/json",
        "content-length": str(len(data)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    try:
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except (OSError, TimeoutError) as error:
        raise Lost(repr(error)) from error
    try:
        writer.write(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + data)
        yield Answer(await _head(reader), reader)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def said(port: int, method: str, path: str, body: object = None) -> tuple[int, bytes]:
    """Status and body of a short answer. Raises `Lost`."""
    async with asked(port, method, path, body) as answer:
        return answer.status, await answer.body()


async def _head(reader: asyncio.StreamReader) -> Head:
    try:
        async with asyncio.timeout(SILENCE_S):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    except (OSError, EOFError, TimeoutError) as error:
        raise Lost(repr(error)) from error
    pairs = (line.partition(":") for line in lines[1:] if line)
    return Head(int(lines[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs})
