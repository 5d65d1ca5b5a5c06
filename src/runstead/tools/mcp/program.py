"""An MCP server that is a program: run with the server, spoken to on its standard streams, ended with its connection.

It is a process group of its own with a clean environment, and it dies with the server however that ends. Lines that are not
of the protocol are passed over; one that is too long ends the connection. What it prints to standard error goes nowhere: it
may hold its secrets. Loaded with the SDK.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from mcp.client import Transport
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from runstead.settings import bare_environment
from runstead.tools.mcp import child

LINE_BYTES_MAX = 8 * 1024 * 1024
# After its standard input is closed, and again after SIGTERM.
GRACE_S = 1.5
REAP_S = 5.0

Incoming = SessionMessage | Exception


def program_transport(command: Sequence[str], environment: Mapping[str, str]) -> Transport:
    """How the SDK speaks with a program. `command` begins with a full path."""
    return _running(command, environment)


@asynccontextmanager
async def _running(
    command: Sequence[str], environment: Mapping[str, str]
) -> AsyncGenerator[tuple[MemoryObjectReceiveStream[Incoming], MemoryObjectSendStream[SessionMessage]]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", str(child.__file__), str(os.getpid()), *command,
        stdin=PIPE, stdout=PIPE, stderr=DEVNULL,
        env=bare_environment(environment), cwd=tempfile.gettempdir(),
        start_new_session=True, limit=LINE_BYTES_MAX,
    )  # fmt: skip
    try:
        into, read = anyio.create_memory_object_stream[Incoming](0)
        write, out = anyio.create_memory_object_stream[SessionMessage](0)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_hear, process, into)
            tasks.start_soon(_say, process, out, into)
            with into, read, write, out:
                yield read, write
            tasks.cancel_scope.cancel()
    finally:
        with anyio.CancelScope(shield=True):
            await _end(process)


async def _hear(process: Process, into: MemoryObjectSendStream[Incoming]) -> None:
    """Give on what the program says, until it says no more."""
    assert process.stdout is not None, "it was started with pipes"
    with into, suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, ConnectionError):
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                return  # the line is longer than the limit
            if not line:
                return
            try:
                message = jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError:
                continue
            await into.send(SessionMessage(message))


async def _say(
    process: Process, out: MemoryObjectReceiveStream[SessionMessage], into: MemoryObjectSendStream[Incoming]
) -> None:
    """Tell the program what there is to tell; where it does not listen any more, nothing more is heard of it."""
    assert process.stdin is not None, "it was started with pipes"
    try:
        with out:
            async for message in out:
                text = message.message.model_dump_json(by_alias=True, exclude_unset=True)
                process.stdin.write(text.encode() + b"\n")
                await process.stdin.drain()
    except (ConnectionError, RuntimeError):  # uvloop's word for a pipe that is closed already
        into.close()


async def _end(process: Process) -> None:
    """Let the program end, then make it; with it, what it started."""
    assert process.stdin is not None, "it was started with pipes"
    process.stdin.close()
    async with anyio.create_task_group() as tasks:
        # Its end is seen when its pipe is empty.
        tasks.start_soon(_drain, process)
        if not await _gone(process, GRACE_S):
            _signal(process, signal.SIGTERM)
            await _gone(process, GRACE_S)
        _signal(process, signal.SIGKILL)
        await _gone(process, REAP_S)
        tasks.cancel_scope.cancel()


async def _drain(process: Process) -> None:
    assert process.stdout is not None, "it was started with pipes"
    with suppress(ConnectionError):
        while await process.stdout.read(LINE_BYTES_MAX):
            pass


async def _gone(process: Process, within_s: float) -> bool:
    """Whether it ends within so many seconds."""
    with anyio.move_on_after(within_s):
        await process.wait()
        return True
    return False


def _signal(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
