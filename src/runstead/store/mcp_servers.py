"""MCP servers that actors registered: their rows, and the tools that are theirs.

Every query names the actor. Secrets are sealed before they come here (`vault.py`); nothing here opens one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from runstead.domain.mcp_server import (
    EXTERNAL_MCP,
    McpServer,
    OfferedTool,
    as_offered_now,
    as_stored,
    free_name,
    origin_of,
)
from runstead.domain.stored_tool import StoredTool
from runstead.errors import Conflict, Invalid
from runstead.ids import McpServerId, ToolId, UserId
from runstead.store import agent_tools, tools
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.locks import hold
from runstead.store.schema import mcp_servers as table

SERVERS_MAX = 200  # of one actor

NewToolId = Callable[[], ToolId]


@dataclass(frozen=True, slots=True)
class Synced:
    """The names of an actor's tools that came, changed and went when they were compared with what their server lists."""

    added: tuple[str, ...] = ()
    updated: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """What a server lists, and what is needed to make tools of it. `reserved` are names that ship."""

    offered: Sequence[OfferedTool]
    reserved: frozenset[str]
    new_id: NewToolId
    now: datetime


def insert_server(conn: Connection, server: McpServer) -> None:
    """Store a new server. Raises `Conflict` where the actor has one of that name, `Invalid` where it has too many."""
    hold(conn, _lock(server.user_id))
    if find_by_name(conn, server.user_id, server.name) is not None:
        raise Conflict(
            f"There is an MCP server named {server.name!r} already; change it, or choose another name."
        )
    count = select(func.count()).select_from(table).where(table.c.user_id == server.user_id)
    if (conn.scalar(count) or 0) >= SERVERS_MAX:
        raise Invalid(f"There are {SERVERS_MAX} MCP servers already, which is the limit; delete some first.")
    conn.execute(insert(table).values(_row(server)))


def change_server(
    conn: Connection, user_id: UserId, server_id: str, change: Callable[[McpServer], McpServer]
) -> McpServer | None:
    """Read, change and write one server of this actor in one go; None where there is none.

    Raises `Conflict` where another of its servers has the new name, and what `change` raises.
    """
    hold(conn, _lock(user_id))
    before = find_server(conn, user_id, server_id)
    if before is None:
        return None
    after = change(before)
    if after.name != before.name and find_by_name(conn, user_id, after.name) is not None:
        raise Conflict(f"Another MCP server is named {after.name!r}; choose another name.")
    mine = update(table).where(table.c.user_id == user_id, table.c.id == before.id)
    conn.execute(mine.values(_row(after)))
    return after


def find_server(conn: Connection, user_id: UserId, server_id: str) -> McpServer | None:
    """One server of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id == server_id)).first()
    return None if row is None else _server(row)


def find_by_name(conn: Connection, user_id: UserId, name: str) -> McpServer | None:
    """The server of this actor that has a name."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.name == name)).first()
    return None if row is None else _server(row)


def list_servers(conn: Connection, user_id: UserId) -> list[McpServer]:
    """All servers of an actor, oldest first; at most `SERVERS_MAX`."""
    query = select(table).where(table.c.user_id == user_id).order_by(table.c.created_at, table.c.id)
    return [_server(row) for row in conn.execute(query)]


def delete_server(conn: Connection, user_id: UserId, server_id: str) -> bool:
    """Delete a server and its tools, and take these from every agent that has them. False where there is none."""
    hold(conn, _lock(user_id))
    for tool in tools_of(conn, user_id, McpServerId(server_id)).values():
        agent_tools.delete_tool(conn, user_id, tool.id)
    gone = conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == server_id))
    return gone.rowcount == 1


def tools_of(conn: Connection, user_id: UserId, server_id: McpServerId) -> dict[str, StoredTool]:
    """An actor's tools that a server runs, by the names that they have there; oldest first."""
    found: dict[str, StoredTool] = {}
    for tool in tools.tools_of_type(conn, user_id, EXTERNAL_MCP):
        origin = origin_of(tool)
        if origin is not None and origin.server_id == server_id:
            found[origin.name] = tool
    return found


def add_tool(conn: Connection, server: McpServer, offered: OfferedTool, offer: ToolOffer) -> StoredTool:
    """Make one of a server's tools a tool of its actor's, or bring the one that there is up to date."""
    hold(conn, f"runstead:tools:{server.user_id}")
    before = tools_of(conn, server.user_id, server.id)
    return _put(conn, server, offered, offer, before, _taken(conn, server, offer))


def sync_tools(conn: Connection, server: McpServer, offer: ToolOffer) -> Synced:
    """Make an actor's tools of a server what the server lists: add, change, delete."""
    hold(conn, f"runstead:tools:{server.user_id}")
    before = tools_of(conn, server.user_id, server.id)
    listed: Mapping[str, OfferedTool] = {each.name: each for each in offer.offered}
    gone = [tool for name, tool in before.items() if name not in listed]
    for tool in gone:
        agent_tools.delete_tool(conn, server.user_id, tool.id)
    taken = _taken(conn, server, offer)
    added: list[str] = []
    updated: list[str] = []
    for name, offered in listed.items():
        tool = _put(conn, server, offered, offer, before, taken)
        taken.add(tool.name)
        if name not in before:
            added.append(tool.name)
        elif tool != before[name]:
            updated.append(tool.name)
    return Synced(tuple(added), tuple(updated), tuple(tool.name for tool in gone))


def _taken(conn: Connection, server: McpServer, offer: ToolOffer) -> set[str]:
    """The names that no new tool of this actor's may have."""
    return {head.name for head in tools.list_heads(conn, server.user_id)} | offer.reserved


def _put(
    conn: Connection,
    server: McpServer,
    offered: OfferedTool,
    offer: ToolOffer,
    before: Mapping[str, StoredTool],
    taken: Container[str],
) -> StoredTool:
    if (known := before.get(offered.name)) is not None:
        after = as_offered_now(known, offered, offer.now)
        if after != known:
            tools.change_tool(conn, server.user_id, known.id, lambda _tool: after)
        return after
    name = free_name(server, offered.name, taken)
    return tools.put_tool(conn, as_stored(server, offered, offer.new_id(), name, offer.now))


def _lock(user_id: UserId) -> str:
    return f"runstead:mcp-servers:{user_id}"


def _row(server: McpServer) -> dict[str, object]:
    document: dict[str, object] = {
        "url": server.url,
        "command": server.command,
        "arguments": list(server.arguments),
        "auth_header": server.auth_header,
        "has_token": server.has_token,
        "header_names": list(server.header_names),
        "variable_names": list(server.variable_names),
    }
    return {
        "id": server.id,
        "user_id": server.user_id,
        "name": server.name,
        "transport": server.transport,
        "created_at": to_us(server.created_at),
        "updated_at": to_us(server.updated_at),
        "sealed": server.sealed,
        "document": pack({name: value for name, value in document.items() if value}),
    }


def _server(row: Row[Any]) -> McpServer:
    document = unpack(row.document)
    return McpServer(
        id=McpServerId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        transport=row.transport,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        url=document.get("url", ""),
        command=document.get("command", ""),
        arguments=tuple(document.get("arguments", ())),
        auth_header=document.get("auth_header"),
        has_token=document.get("has_token", False),
        header_names=tuple(document.get("header_names", ())),
        variable_names=tuple(document.get("variable_names", ())),
        sealed=None if row.sealed is None else bytes(row.sealed),
    )
