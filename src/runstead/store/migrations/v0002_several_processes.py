"""What several processes need of a run: its commits are counted, and the numbers its log may have used are noted.

Every column has a default of the database's own, so that a process of the release before goes on writing.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns."""
    with op.batch_alter_table("runs") as runs:
        runs.add_column(Column("commits", BigInteger, nullable=False, server_default="0"))
        runs.add_column(Column("reserved_seq", BigInteger, nullable=False, server_default="0"))
        runs.add_column(Column("hot_id", Text))
