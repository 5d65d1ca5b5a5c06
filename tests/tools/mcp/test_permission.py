"""Which MCP servers may be used: commands that were allowed, addresses that are public or allowed; each refusal says why."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest

from runstead.domain.mcp_server import McpSecrets, McpServer
from runstead.errors import Forbidden, Invalid, RunsteadError
from runstead.ids import DEFAULT_USER, McpServerId
from runstead.settings import Settings
from runstead.tools.mcp.permission import Permission

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def running(command: str, *arguments: str) -> McpServer:
    """A server that is a program."""
    return McpServer(
        McpServerId("m"), DEFAULT_USER, "m", "stdio", NOW, NOW, command=command, arguments=arguments
    )


def at(url: str) -> McpServer:
    """A server that is reached over HTTP."""
    return McpServer(McpServerId("m"), DEFAULT_USER, "m", "sse", NOW, NOW, url=url)


@pytest.mark.parametrize(
    ("allowed", "given", "may"),
    [
        ("", (sys.executable,), False),
        (sys.executable, (sys.executable,), True),
        (sys.executable, (sys.executable, "-c", "print()"), True),
        (f"npx, {sys.executable} -m tool", (sys.executable, "-m", "tool", "--more"), True),
        (f"npx, {sys.executable} -m tool", (sys.executable, "-m", "tools"), False),
        (f"npx, {sys.executable} -m tool", (sys.executable,), False),
        ("'a b' c", ("a b", "d"), False),
        (sys.executable, ("sh",), False),
    ],
)
def test_a_command_begins_as_it_was_allowed(allowed: str, given: tuple[str, ...], may: bool) -> None:
    """Word by word; an entry of the setting may name arguments."""
    settings = Settings(mcp_stdio_commands=allowed)
    server = running(*given)
    if may:
        assert Permission(settings).program(server, McpSecrets()) == list(given)
        return
    with pytest.raises(Forbidden, match="RUNSTEAD_MCP_STDIO_COMMANDS"):
        Permission(settings).program(server, McpSecrets())


@pytest.mark.parametrize(
    "name", ["PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_OPTIONS", "BASH_ENV"]
)
def test_variables_that_steer_a_program_are_refused(name: str) -> None:
    """What an allowed program loads is its operator's business."""
    secrets = McpSecrets(environment={name: "x"})
    with pytest.raises(Forbidden, match=name):
        Permission(Settings(mcp_stdio_commands=sys.executable)).program(running(sys.executable), secrets)
    ordinary = McpSecrets(environment={"API_KEY": "x", "LOG_LEVEL": "y", "ENVIRONMENT": "z"})
    assert Permission(Settings(mcp_stdio_commands=sys.executable)).program(running(sys.executable), ordinary)


def test_a_program_that_is_not_there_is_told() -> None:
    """Allowed, but not installed."""
    with pytest.raises(Invalid, match="no program"):
        Permission(Settings(mcp_stdio_commands="no-such-program")).program(
            running("no-such-program"), McpSecrets()
        )


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:9/mcp", Forbidden),
        ("http://169.254.169.254/latest", Forbidden),
        ("http://[::1]/", Forbidden),
        ("file:///etc/passwd", Invalid),
        ("http://user:word@8.8.8.8/", Invalid),
    ],
)
async def test_an_address_inside_is_refused(url: str, error: type[RunsteadError]) -> None:
    """Loopback, metadata and what is no HTTP; allowing another host or network changes nothing."""
    with pytest.raises(error):
        await Permission(Settings(mcp_allow_hosts="127.0.0.2, 127.0.0.1:10, 10.0.0.0/8")).check(
            at(url), McpSecrets()
        )


async def test_an_allowed_host_is_asked() -> None:
    """By name, address or network, with a port or without; a public address needs no permission."""
    for allowed in ("127.0.0.1", "other, 127.0.0.1:9", "127.0.0.0/8", "[::1]:80, 127.0.0.0/8:9"):
        await Permission(Settings(mcp_allow_hosts=allowed)).check(at("http://127.0.0.1:9/mcp"), McpSecrets())
    await Permission(Settings()).check(at("http://8.8.8.8/mcp"), McpSecrets())


async def test_the_refusal_names_the_setting_and_a_setting_that_cannot_be_read_is_told() -> None:
    """At the start of the server, not at the first question."""
    with pytest.raises(Forbidden, match="RUNSTEAD_MCP_ALLOW_HOSTS"):
        await Permission(Settings()).check(at("http://10.1.2.3/"), McpSecrets())
    with pytest.raises(Invalid, match="RUNSTEAD_MCP_ALLOW_HOSTS"):
        Permission(Settings(mcp_allow_hosts="http://tools.internal"))


async def test_a_name_without_an_address_may_have_one_later() -> None:
    """It is looked at again when it is asked."""
    await Permission(Settings()).check(at("http://nobody.invalid/mcp"), McpSecrets())
