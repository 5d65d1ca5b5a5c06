"""Which model an archive's vectors are of, and the vectors of its passages.

The release before goes on: it writes archives without a model and passages without vectors, and both are found later.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import ARRAY, REAL, BigInteger, Column, ForeignKey, LargeBinary, Text

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the column and the table."""
    with op.batch_alter_table("archives") as archives:
        archives.add_column(Column("embedding", Text))
    op.create_table(
        "passage_vectors",
        Column("passage_id", Text, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True),
        Column("model", Text, nullable=False),
        Column("dimensions", BigInteger),
        Column("vector", LargeBinary().with_variant(ARRAY(REAL), "postgresql")),
        Column("due_at", BigInteger, nullable=False),
    )
