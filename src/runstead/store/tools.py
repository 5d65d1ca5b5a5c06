"""Tools that actors made: their rows. A name is one tool of its actor; agents name tools and hold no copy.

Every query names the actor. What is built in has no row.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from runstead.domain.stored_tool import Requirement, StoredTool
from runstead.errors import Invalid, NotFound
from runstead.ids import ToolId, UserId
from runstead.store.codec import built, from_us, pack, to_us, unpack
from runstead.store.locks import hold
from runstead.store.schema import tools as table

TOOLS_MAX = 5_000  # of one actor

_FIND = select(table).where(table.c.id == bindparam("tool_id"), table.c.user_id == bindparam("user_id"))


@dataclass(frozen=True, slots=True)
class ToolHead:
    """What lists are filtered by."""

    id: ToolId
    name: str
    tool_type: str


def put_tool(conn: Connection, tool: StoredTool) -> StoredTool:
    """Store a tool; where its actor has one of that name, that one is changed and keeps its id and age.

    Raises `Invalid` where the actor has as many tools as there may be.
    """
    hold(conn, f"runstead:tools:{tool.user_id}")
    before = find_by_name(conn, tool.user_id, tool.name)
    row = _row(tool)
    if before is not None:
        for name in ("id", "created_at"):
            del row[name]
        conn.execute(update(table).where(table.c.id == before.id).values(row))
        found = find_tool(conn, tool.user_id, before.id)
        assert found is not None, "it was changed in this transaction"
        return found
    if _count(conn, tool.user_id) >= TOOLS_MAX:
        raise Invalid(f"There are {TOOLS_MAX} tools already, which is the limit; delete some first.")
    conn.execute(insert(table).values(row))
    return tool


def change_tool(
    conn: Connection, user_id: UserId, tool_id: str, change: Callable[[StoredTool], StoredTool]
) -> StoredTool | None:
    """Read, change and write one tool of this actor in one go; None where there is none.

    Raises `Invalid` where another of its tools has the new name, and what `change` raises.
    """
    hold(conn, f"runstead:tools:{user_id}")
    before = find_tool(conn, user_id, tool_id)
    if before is None:
        return None
    after = change(before)
    if after.name != before.name and find_by_name(conn, user_id, after.name) is not None:
        raise Invalid(f"Another tool is named {after.name!r}; choose another name.")
    mine = update(table).where(table.c.id == before.id, table.c.user_id == user_id)
    conn.execute(mine.values(_row(after)))
    return after


def find_tool(conn: Connection, user_id: UserId, tool_id: str) -> StoredTool | None:
    """One tool of this actor."""
    row = conn.execute(_FIND, {"tool_id": tool_id, "user_id": user_id}).first()
    return None if row is None else _tool(row)


def find_by_name(conn: Connection, user_id: UserId, name: str) -> StoredTool | None:
    """The tool of this actor that has a name."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.name == name)).first()
    return None if row is None else _tool(row)


def tools_named(conn: Connection, user_id: UserId, names: Collection[str]) -> dict[str, StoredTool]:
    """Those of the named tools that this actor has, by name."""
    if not names:
        return {}
    query = select(table).where(table.c.user_id == user_id, table.c.name.in_(names))
    return {row.name: _tool(row) for row in conn.execute(query)}


def tools_with_ids(conn: Connection, user_id: UserId, tool_ids: Collection[str]) -> dict[str, StoredTool]:
    """Those of the tools that this actor has, by id."""
    if not tool_ids:
        return {}
    query = select(table).where(table.c.user_id == user_id, table.c.id.in_(tool_ids))
    return {row.id: _tool(row) for row in conn.execute(query)}


def tools_of_type(conn: Connection, user_id: UserId, tool_type: str) -> list[StoredTool]:
    """All tools of one type that this actor has, oldest first."""
    mine = select(table).where(table.c.user_id == user_id, table.c.tool_type == tool_type)
    return [_tool(row) for row in conn.execute(mine.order_by(table.c.created_at, table.c.id))]


def list_heads(conn: Connection, user_id: UserId) -> list[ToolHead]:
    """All tools of an actor, oldest first; at most `TOOLS_MAX`."""
    query = (
        select(table.c.id, table.c.name, table.c.tool_type)
        .where(table.c.user_id == user_id)
        .order_by(table.c.created_at, table.c.id)
    )
    return [ToolHead(ToolId(row.id), row.name, row.tool_type) for row in conn.execute(query)]


def delete_tool(conn: Connection, user_id: UserId, tool_id: str) -> None:
    """Delete a tool. Raises `NotFound` where this actor has none of that id."""
    gone = conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == tool_id))
    if gone.rowcount != 1:
        raise NotFound(f"Tool with ID {tool_id} not found")


def _count(conn: Connection, user_id: UserId) -> int:
    return conn.scalar(select(func.count()).select_from(table).where(table.c.user_id == user_id)) or 0


def _row(tool: StoredTool) -> dict[str, object]:
    document: dict[str, object] = {
        "tags": list(tool.tags),
        "pip_requirements": [asdict(each) for each in tool.pip_requirements],
        "npm_requirements": [asdict(each) for each in tool.npm_requirements],
        "metadata": tool.metadata,
    }
    return {
        "id": tool.id,
        "user_id": tool.user_id,
        "name": tool.name,
        "tool_type": tool.tool_type,
        "source_type": tool.source_type,
        "source_code": tool.source_code,
        "description": tool.description,
        "json_schema": pack(tool.json_schema),
        "args_json_schema": None if tool.args_json_schema is None else pack(tool.args_json_schema),
        "return_char_limit": tool.return_limit_chars,
        "default_requires_approval": tool.default_requires_approval,
        "enable_parallel_execution": tool.parallel,
        "created_at": to_us(tool.created_at),
        "updated_at": to_us(tool.updated_at),
        "document": pack({name: value for name, value in document.items() if value}),
    }


def _tool(row: Row[Any]) -> StoredTool:
    document = unpack(row.document)
    arguments: str | None = row.args_json_schema
    return StoredTool(
        id=ToolId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        description=row.description,
        tool_type=row.tool_type,
        source_type=row.source_type,
        source_code=row.source_code,
        json_schema=unpack(row.json_schema),
        args_json_schema=None if arguments is None else unpack(arguments),
        tags=tuple(document.get("tags", ())),
        return_limit_chars=row.return_char_limit,
        pip_requirements=tuple(built(Requirement, each) for each in document.get("pip_requirements", ())),
        npm_requirements=tuple(built(Requirement, each) for each in document.get("npm_requirements", ())),
        default_requires_approval=row.default_requires_approval,
        parallel=row.enable_parallel_execution,
        metadata=document.get("metadata", {}),
    )
