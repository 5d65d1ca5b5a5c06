"""MCP servers in the store: one name, one server of its actor; their tools come, change and go with them."""

from __future__ import annotations

from dataclasses import replace
from itertools import count

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent

from runstead.domain.mcp_server import McpSecrets, McpServer, OfferedTool, origin_of
from runstead.domain.stored_tool import StoredTool
from runstead.errors import Conflict
from runstead.ids import DEFAULT_USER, McpServerId, ToolId, UserId
from runstead.store import agents, mcp_servers, tools
from runstead.store.mcp_servers import Synced, ToolOffer

OTHER = UserId("user-00000000-0000-4000-8000-000000000009")
SERVER = McpServer(
    McpServerId("mcp_server-1"),
    DEFAULT_USER,
    "weather",
    "sse",
    NOW,
    NOW,
    url="https://x.test/sse",
    auth_header="X-Key",
).with_secrets(McpSecrets("t", {"a": "b"}), b"sealed")
PROGRAM = McpServer(
    McpServerId("mcp_server-2"), DEFAULT_USER, "program", "stdio", NOW, NOW, command="x", arguments=("a", "b")
).with_secrets(McpSecrets(environment={"c": "d"}), b"sealed too")
ADD = OfferedTool("add", "Add.", {"type": "object"})
TELL = OfferedTool("tell", "Tell.", {"type": "object"})


def offer(*offered: OfferedTool, start: int = 1) -> ToolOffer:
    """What a server lists."""
    numbers = count(start)
    return ToolOffer(offered, frozenset({"run_code"}), lambda: ToolId(f"tool-{next(numbers)}"), NOW)


def test_what_is_stored_is_read_again(conn: Connection) -> None:
    """All of it, by its own actor only."""
    for each in (SERVER, PROGRAM):
        mcp_servers.insert_server(conn, each)
        assert mcp_servers.find_server(conn, DEFAULT_USER, each.id) == each
        assert mcp_servers.find_by_name(conn, DEFAULT_USER, each.name) == each
        assert mcp_servers.find_server(conn, OTHER, each.id) is None
        assert mcp_servers.find_by_name(conn, OTHER, each.name) is None
    assert mcp_servers.list_servers(conn, DEFAULT_USER) == [SERVER, PROGRAM]
    assert mcp_servers.list_servers(conn, OTHER) == []
    assert not mcp_servers.delete_server(conn, OTHER, SERVER.id)
    assert mcp_servers.change_server(conn, OTHER, SERVER.id, lambda server: server) is None
    assert mcp_servers.list_servers(conn, DEFAULT_USER) == [SERVER, PROGRAM]


def test_a_name_is_one_server(conn: Connection) -> None:
    """A second one is refused, also by a change."""
    mcp_servers.insert_server(conn, SERVER)
    mcp_servers.insert_server(conn, PROGRAM)
    with pytest.raises(Conflict):
        mcp_servers.insert_server(conn, replace(PROGRAM, id=McpServerId("mcp_server-3")))
    with pytest.raises(Conflict):
        mcp_servers.change_server(conn, DEFAULT_USER, PROGRAM.id, lambda each: replace(each, name="weather"))
    renamed = mcp_servers.change_server(
        conn, DEFAULT_USER, PROGRAM.id, lambda each: replace(each, name="other")
    )
    assert renamed == mcp_servers.find_by_name(conn, DEFAULT_USER, "other")


def test_tools_follow_what_their_server_lists(conn: Connection) -> None:
    """New ones come, missing ones go and leave their agents, others change and keep their id."""
    mcp_servers.insert_server(conn, SERVER)
    assert mcp_servers.sync_tools(conn, SERVER, offer(ADD, TELL)) == Synced(added=("add", "tell"))
    assert mcp_servers.sync_tools(conn, SERVER, offer(ADD, TELL, start=5)) == Synced()
    agents.insert_agent(conn, agent(1, tools=("add", "tell")))
    better = replace(ADD, description="Add well.")
    assert mcp_servers.sync_tools(conn, SERVER, offer(better)) == Synced(updated=("add",), deleted=("tell",))
    held = agents.find_agent(conn, DEFAULT_USER, agent(1).id)
    assert held is not None
    assert held.tools == ("add",)
    found = mcp_servers.tools_of(conn, DEFAULT_USER, SERVER.id)["add"]
    assert (found.id, found.spec.description) == ("tool-1", "Add well.")
    assert mcp_servers.tools_of(conn, OTHER, SERVER.id) == {}
    assert mcp_servers.delete_server(conn, DEFAULT_USER, SERVER.id)
    assert tools.list_heads(conn, DEFAULT_USER) == []


def test_a_tool_takes_no_name_of_another(conn: Connection) -> None:
    """Neither of one that ships, nor of one that was there, nor of another server's; each keeps its own."""
    own = StoredTool(ToolId("tool-own"), DEFAULT_USER, "add", NOW, NOW)
    tools.put_tool(conn, own)
    odd = OfferedTool("run_code", "Odd.", {}), OfferedTool("a.b/c", "Dots.", {})
    for number, server in enumerate((SERVER, PROGRAM)):
        mcp_servers.insert_server(conn, server)
        mcp_servers.sync_tools(conn, server, offer(ADD, *odd, start=number * 10))
    assert tools.find_tool(conn, DEFAULT_USER, own.id) == own
    named = {tool.name for tool in mcp_servers.tools_of(conn, DEFAULT_USER, SERVER.id).values()}
    assert named == {"weather__add", "weather__run_code", "a_b_c"}
    others = mcp_servers.tools_of(conn, DEFAULT_USER, PROGRAM.id)
    assert {tool.name for tool in others.values()} == {"program__add", "program__run_code", "program__a_b_c"}
    origin = origin_of(others["a.b/c"])
    assert origin is not None
    assert (origin.server_id, origin.name) == (PROGRAM.id, "a.b/c")
    # A tool of source that takes the name is nobody's but its maker's.
    tools.put_tool(conn, replace(own, name="a_b_c"))
    assert "a.b/c" not in mcp_servers.tools_of(conn, DEFAULT_USER, SERVER.id)
