"""The program of the MCP servers that tests use, written with the official SDK: `python mcp_tools.py TRANSPORT PORT FILE`.

The file gets a line for what was asked.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal, cast

import anyio
from mcp.server.mcpserver import Context, MCPServer

ASKED = Path(sys.argv[3])
server = MCPServer("tester", log_level="CRITICAL")


def noted(what: str) -> None:
    """Write down what was asked."""
    with ASKED.open("a", encoding="utf-8") as file:
        file.write(what + "\n")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    noted(f"add {a} {b}")
    return a + b


@server.tool()
async def hang() -> str:
    """Never answer."""
    noted("hang")
    try:
        await anyio.sleep_forever()
    finally:
        noted("hang cancelled")
    return ""


@server.tool()
def fail() -> str:
    """Always fail."""
    raise ValueError("it is always so")


@server.tool()
def flood(characters: int) -> str:
    """Answer much."""
    return "x" * characters


@server.tool()
def environment() -> str:
    """The number of the process, and all its variables."""
    return "\n".join([str(os.getpid()), *(f"{name}={value}" for name, value in sorted(os.environ.items()))])


@server.tool()
def headers(ctx: Context) -> str:
    """The headers of the request."""
    request: Any = ctx.request_context.request
    return "\n".join(f"{name}={value}" for name, value in request.headers.items())


@server.tool()
def call_id(ctx: Context) -> str:
    """The id of the call."""
    meta: Any = ctx.request_context.meta
    return str(dict(meta or {}).get("runstead/tool_call_id"))


@server.tool(name="weather.today")
def weather(city: str) -> str:
    """A name that no model takes."""
    return f"fine in {city}"


@server.tool()
def change() -> str:
    """From now on offer one tool more, one less, and another in other words."""

    def extra(word: str) -> str:
        """One that came later."""
        return word

    server.add_tool(extra)
    server.remove_tool("fail")
    server.remove_tool("add")
    server.add_tool(add, description="Add two numbers, in other words.")
    return "changed"


if __name__ == "__main__":
    transport = cast('Literal["sse", "streamable-http"]', sys.argv[1])
    if sys.argv[1] == "stdio":
        server.run("stdio")
    else:
        server.run(transport, host="127.0.0.1", port=int(sys.argv[2]))
