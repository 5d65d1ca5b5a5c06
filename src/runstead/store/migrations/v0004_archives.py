"""What conversations need to be found again, and what archives hold.

New columns may be empty, so that a process of the release before goes on writing.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, text

revision = "0004"
down_revision = "0002"


def upgrade() -> None:
    """Add the column and the indexes of conversations."""
    _conversations()


def _conversations() -> None:
    with op.batch_alter_table("conversations") as conversations:
        conversations.add_column(Column("last_run_completion", BigInteger))
    op.create_index("conversations_by_user", "conversations", ["user_id", "created_at", "id"])
    op.create_index(
        "messages_by_otid",
        "messages",
        ["otid"],
        sqlite_where=text("otid IS NOT NULL"),
        postgresql_where=text("otid IS NOT NULL"),
    )
