"""A load balancer for tests: each connection goes to a backend that says it is ready, the next one each time.

It looks at nothing that passes through it, and never repeats a request: what a backend breaks is broken for its client.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from itertools import count
from types import TracebackType
from typing import Self

READY = b"GET /v1/ready/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
ASKED_S = 2.0
LOOK_S = 0.02
CHUNK = 65536


class ReadyProxy:
    """The proxy, in a thread of its own. A context manager."""

    def __init__(self, ports: Sequence[int]) -> None:
        self.port = 0
        self._ports = ports
        self._turn = count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="runstead-test-proxy", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        # The event loop itself holds no task: without this, one that waits may be collected.
        self._passing: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60), "the proxy did not start"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    @property
    def url(self) -> str:
        """Its base URL."""
        return f"http://127.0.0.1:{self.port}"

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._passing):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._between(reader, writer))
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_backend, to_backend = await self._backend()
        try:
            async with asyncio.TaskGroup() as group:
                asking = group.create_task(_pass_on(reader, to_backend))
                await _pass_on(from_backend, writer)
                asking.cancel()
        finally:
            writer.close()
            to_backend.close()

    async def _backend(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the next backend that is ready, as soon as there is one."""
        while True:
            for _ in self._ports:
                port = self._ports[next(self._turn) % len(self._ports)]
                with contextlib.suppress(OSError, TimeoutError):
                    if await _is_ready(port):
                        return await asyncio.open_connection("127.0.0.1", port)
            await asyncio.sleep(LOOK_S)  # the client waits: nobody is ready


async def _is_ready(port: int) -> bool:
    async with asyncio.timeout(ASKED_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(READY)
            return b" 200 " in await reader.readline()
        finally:
            writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything that comes, to the end of one side."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
