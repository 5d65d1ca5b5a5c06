"""Messages that were edited, and what went to a provider and came back, a step.

New columns may be empty, so that a process of the release before goes on writing.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text, text

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the column, the table and their indexes."""
    with op.batch_alter_table("messages") as messages:
        messages.add_column(Column("edited_at", BigInteger))
    op.create_index(
        "messages_edited",
        "messages",
        ["lane"],
        sqlite_where=text("edited_at IS NOT NULL"),
        postgresql_where=text("edited_at IS NOT NULL"),
    )
    op.create_table(
        "provider_traces",
        Column("step_id", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("agent_id", Text, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("request", Text, nullable=False),
        Column("response", Text, nullable=False),
    )
    op.create_index("provider_traces_by_run", "provider_traces", ["run_id"])
    op.create_index("provider_traces_by_agent", "provider_traces", ["agent_id"])
    op.create_index("provider_traces_by_time", "provider_traces", ["created_at"])
