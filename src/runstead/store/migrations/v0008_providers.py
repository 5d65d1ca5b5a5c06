"""Providers of models that actors bring, their keys sealed."""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Text

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "providers",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("provider_type", Text, nullable=False),
        Column("base_url", Text),
        Column("sealed_key", LargeBinary),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("last_synced", BigInteger),
        Column("document", Text, nullable=False),
    )
    op.create_index("providers_by_user", "providers", ["user_id", "created_at", "id"])
    op.create_index("providers_by_name", "providers", ["user_id", "name"], unique=True)
