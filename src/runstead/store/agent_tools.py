"""What happens to agents when a tool that they name is renamed or deleted: both change in one go.

Every query names the actor.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from runstead.domain.stored_tool import StoredTool
from runstead.ids import UserId
from runstead.store import agents, tools


def change_tool(
    conn: Connection, user_id: UserId, tool_id: str, change: Callable[[StoredTool], StoredTool]
) -> StoredTool | None:
    """Change a tool; agents that have it have it under its new name. None where this actor has no such tool.

    Raises `Invalid` where another of its tools has the new name, and what `change` raises.
    """
    before = tools.find_tool(conn, user_id, tool_id)
    after = tools.change_tool(conn, user_id, tool_id, change)
    if before is not None and after is not None and before.name != after.name:
        agents.rename_tool(conn, user_id, before.name, after.name)
    return after


def delete_tool(conn: Connection, user_id: UserId, tool_id: str) -> None:
    """Delete a tool, and take it from every agent that has it. Raises `NotFound`."""
    before = tools.find_tool(conn, user_id, tool_id)
    tools.delete_tool(conn, user_id, tool_id)
    if before is not None:
        agents.rename_tool(conn, user_id, before.name, None)
