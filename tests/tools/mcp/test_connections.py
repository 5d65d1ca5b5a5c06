"""Connections to real MCP servers: kept, given up when they hang, opened again, bounded in number, closed when idle."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from tests.mcp_server import Program, stdio_command
from tests.ports import free_port
from tests.world import wait_until

from runstead.domain.mcp_server import McpSecrets, McpServer
from runstead.errors import Unavailable
from runstead.ids import DEFAULT_USER, McpServerId
from runstead.settings import Settings
from runstead.tools.mcp.connections import Connections, wire_module
from runstead.tools.mcp.failure import McpFailure, McpLost
from runstead.tools.mcp.permission import Permission

pytestmark = pytest.mark.slow
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTINGS = Settings(mcp_allow_hosts="127.0.0.1", mcp_connect_timeout_s=40, mcp_call_timeout_s=40)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A server that listens, shared by the tests of this file."""
    with Program("streamable-http", free_port(), tmp_path_factory.mktemp("mcp") / "asked") as program:
        yield program


def server_at(url: str, name: str = "m") -> McpServer:
    """A registration."""
    return McpServer(McpServerId(name), DEFAULT_USER, name, "streamable_http", NOW, NOW, url=url)


@asynccontextmanager
async def held(settings: Settings) -> AsyncGenerator[Connections]:
    """Connections, while the block is open."""
    connections = Connections(Permission(settings))
    running = asyncio.ensure_future(connections.run())
    await asyncio.sleep(0)
    try:
        yield connections
    finally:
        running.cancel()
        await asyncio.wait({running})


async def call(connections: Connections, server: McpServer, name: str, **arguments: object) -> str:
    """The text of one call."""
    wire = await wire_module()

    async def ask(client: Any) -> str:
        outcome = await wire.called(client, name, arguments, "call-1")
        return cast("str", outcome.text)

    return await connections.ask(server, McpSecrets, ask)


async def test_a_server_that_hangs_is_given_up(program: Program) -> None:
    """After the time that a call may take; the next call has a new connection."""
    server = server_at(program.url)
    async with held(replace(SETTINGS, mcp_call_timeout_s=5)) as connections:
        assert await call(connections, server, "add", a=1, b=2) == "3"
        with pytest.raises(McpFailure, match="did not answer within 5 s"):
            await call(connections, server, "hang")
        assert await call(connections, server, "add", a=1, b=2) == "3"


async def test_a_server_that_does_not_speak_is_given_up() -> None:
    """One that takes connections and never answers costs no more than the time that connecting may take."""
    await wire_module()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = server_at(f"http://127.0.0.1:{silent.getsockname()[1]}/mcp")
        async with held(replace(SETTINGS, mcp_connect_timeout_s=0.3)) as connections:
            with pytest.raises(McpFailure, match=r"could not be connected to within 0.3 s"):
                await call(connections, server, "add")


async def test_what_is_too_large_ends_in_an_error(program: Program, tmp_path: Path) -> None:
    """More than an answer may have: over HTTP and from a program; the next call works."""
    command = stdio_command(tmp_path / "asked")
    own = replace(
        server_at("", "program"), transport="stdio", command=command[0], arguments=tuple(command[1:])
    )
    async with held(replace(SETTINGS, mcp_stdio_commands=command[0])) as connections:
        for server in (server_at(program.url), own):
            assert len(await call(connections, server, "flood", characters=2_000_000)) <= 1_000_100
            with pytest.raises(McpFailure):
                await call(connections, server, "flood", characters=12_000_000)
            assert await call(connections, server, "add", a=1, b=2) == "3"


async def test_a_request_that_was_lost_is_made_once(program: Program) -> None:
    """A call that the server had is not made again; one that it cannot have seen is."""
    server = server_at(program.url)
    async with held(SETTINGS) as connections:
        assert await call(connections, server, "add", a=5, b=5) == "10"
        hanging = asyncio.ensure_future(call(connections, server, "hang"))
        before = program.lines.count("hang")
        await wait_until(lambda: program.lines.count("hang") > before or hanging.done(), "the call")
        program.kill()
        with pytest.raises(McpLost):
            await hanging
        with pytest.raises(McpFailure, match="cannot be reached"):
            await call(connections, server, "add", a=5, b=6)
        await asyncio.to_thread(program.start)
        assert await call(connections, server, "add", a=5, b=7) == "12"
        assert [line for line in program.lines if line.startswith("add 5 ")] == ["add 5 5", "add 5 7"]


async def test_connections_are_bounded_and_end_when_idle(program: Program) -> None:
    """The one that was idle the longest makes room; where all are busy, one more is refused."""
    one, two = server_at(program.url, "one"), server_at(program.url, "two")
    async with held(replace(SETTINGS, mcp_connections_max=1)) as connections:
        assert await call(connections, one, "add", a=1, b=2) == "3"
        assert await call(connections, two, "add", a=1, b=2) == "3"
        before = program.lines.count("hang")
        hanging = asyncio.ensure_future(call(connections, two, "hang"))
        await wait_until(lambda: program.lines.count("hang") > before, "the call")
        with pytest.raises(McpFailure, match="all are busy"):
            await call(connections, one, "add", a=1, b=2)
        hanging.cancel()
        await asyncio.wait({hanging})
    tasks = asyncio.all_tasks()
    async with held(replace(SETTINGS, mcp_idle_s=0.001)) as connections:
        # Opening it takes longer than it may be idle, which it is not meanwhile.
        assert await call(connections, one, "add", a=1, b=2) == "3"
        await wait_until(lambda: len(asyncio.all_tasks() - tasks) <= 1, "the connection's end")
        assert await call(connections, one, "add", a=1, b=2) == "3"


async def test_nothing_is_asked_before_the_start_or_after_the_end(program: Program) -> None:
    """Then the server is not ready: 503."""
    with pytest.raises(Unavailable):
        await call(Connections(Permission(SETTINGS)), server_at(program.url), "add")
