"""Which runs wait for an answer, and until when. What waits already has as long as a new question has by default.

New columns may be empty, so that a process of the release before goes on writing.
"""

from __future__ import annotations

from datetime import timedelta
from json import loads
from typing import Any

from alembic import op
from sqlalchemy import BigInteger, Column, Connection, Text, text

from runstead.clock import SystemClock
from runstead.store.codec import to_us

revision = "0005"
down_revision = "0004"

_ASKS = text("asks IS NOT NULL")
_TIME = timedelta(days=7)
# The newest run that asked in each lane: what was asked before it was answered.
_LANES = text(
    "SELECT lane, max(position) FROM runs WHERE stop_reason = 'requires_approval'"
    " AND EXISTS (SELECT 1 FROM agents WHERE agents.id = runs.agent_id) GROUP BY lane"
)
_REQUEST = text(
    "SELECT id, run_id, position, document FROM messages WHERE lane = :lane AND in_context AND role = 'assistant'"
    " ORDER BY position DESC LIMIT 1"
)
_AFTER = text(
    "SELECT document FROM messages WHERE lane = :lane AND in_context AND position > :position ORDER BY position"
)
_MARK = text("UPDATE runs SET asks = :asks, asks_until = :until WHERE id = :run_id")


def upgrade() -> None:
    """Add the columns and the indexes, and note what waits."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(Column("asks", Text))
        runs.add_column(Column("asks_until", BigInteger))
    op.create_index(
        "runs_asking",
        "runs",
        ["user_id", "created_at", "id"],
        sqlite_where=_ASKS,
        postgresql_where=_ASKS,
    )
    op.create_index("runs_asking_until", "runs", ["asks_until"], sqlite_where=_ASKS, postgresql_where=_ASKS)
    conn = op.get_bind()
    until = to_us(SystemClock().now() + _TIME)
    for lane, _ in conn.execute(_LANES).all():
        if (asked := _waiting(conn, lane)) is not None:
            conn.execute(_MARK, {"asks": asked[0], "until": until, "run_id": asked[1]})


def _waiting(conn: Connection, lane: str) -> tuple[str, str] | None:
    """The message that a lane waits to be answered for, and its run."""
    request = conn.execute(_REQUEST, {"lane": lane}).first()
    if request is None:
        return None
    calls: list[dict[str, Any]] = loads(request.document).get("calls", [])
    waiting = {call["id"] for call in calls if call.get("needs_approval") or call.get("client")}
    after = conn.execute(_AFTER, {"lane": lane, "position": request.position})
    for text_ in after.scalars():
        document: dict[str, Any] = loads(text_)
        if "return" in document:
            waiting.discard(document["return"]["call_id"])
        waiting -= {each["call_id"] for each in document.get("decisions", [])}
        waiting -= {each["call_id"] for each in document.get("client_returns", [])}
    return (request.id, request.run_id) if waiting else None
