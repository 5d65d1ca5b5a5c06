"""MCP servers that actors registered. Their tools are rows of `tools`, as all others."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Text

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "mcp_servers",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("transport", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("sealed", LargeBinary),
        Column("document", Text, nullable=False),
    )
    op.create_index("mcp_servers_by_name", "mcp_servers", ["user_id", "name"], unique=True)
