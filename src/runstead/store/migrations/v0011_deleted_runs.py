"""Which runs were deleted lately: a feed of changes in another process finds a deletion by nothing else.

The release before goes on: what it deletes is missed by feeds, as everything old was before.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "deleted_runs",
        Column("run_id", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("deleted_at", BigInteger, nullable=False),
    )
    op.create_index("deleted_runs_by_user", "deleted_runs", ["user_id", "deleted_at"])
    op.create_index("deleted_runs_by_age", "deleted_runs", ["deleted_at"])
