"""Tools that actors make, and secrets in a place of their own: out of the agents' documents, to be sealed at the next start.

The key is not a migration's to know: what it moves is marked as not sealed, and the server that starts seals it.
"""

from __future__ import annotations

from json import dumps, loads
from typing import Any, cast

from alembic import op
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    LargeBinary,
    Text,
    column,
    select,
    table,
    text,
    update,
)

revision = "0003"
down_revision = "0002"

_AGENTS = table(
    "agents", column("id"), column("user_id"), column("document"), column("created_at"), column("updated_at")
)
_SECRETS = table(
    "agent_secrets",
    column("agent_id"),
    column("name"),
    column("user_id"),
    column("value", LargeBinary),
    column("sealed", Boolean),
    column("created_at"),
    column("updated_at"),
)


def upgrade() -> None:
    """Add the tables, and move the secrets."""
    _tools()
    _secrets()
    _move()


def _tools() -> None:
    op.create_table(
        "tools",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("tool_type", Text, nullable=False),
        Column("source_type", Text, nullable=False),
        Column("source_code", Text, nullable=False),
        Column("description", Text, nullable=False),
        Column("json_schema", Text, nullable=False),
        Column("args_json_schema", Text),
        Column("return_char_limit", BigInteger, nullable=False),
        Column("default_requires_approval", Boolean),
        Column("enable_parallel_execution", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )
    op.create_index("tools_by_name", "tools", ["user_id", "name"], unique=True)


def _secrets() -> None:
    op.create_table(
        "agent_secrets",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("name", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("sealed", Boolean, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
    )
    op.create_index(
        "agent_secrets_open",
        "agent_secrets",
        ["agent_id"],
        sqlite_where=text("sealed = 0"),
        postgresql_where=text("NOT sealed"),
    )


def _move() -> None:
    connection = op.get_bind()
    query = select(_AGENTS).where(_AGENTS.c.document.contains('"secrets"'))
    for row in connection.execute(query).all():
        document = cast("dict[str, Any]", loads(row.document))
        held: object = document.get("extra", {}).pop("secrets", None)
        if not isinstance(held, dict):
            continue
        rows = [
            {
                "agent_id": row.id,
                "name": str(name),
                "user_id": row.user_id,
                "value": str(value).encode(),
                "sealed": False,
                "created_at": row.created_at,
                "updated_at": row.updated_at,
            }
            for name, value in cast("dict[object, object]", held).items()
        ]
        if rows:
            connection.execute(_SECRETS.insert(), rows)
        text_now = dumps(document, separators=(",", ":"), ensure_ascii=False)
        connection.execute(update(_AGENTS).where(_AGENTS.c.id == row.id).values(document=text_now))
