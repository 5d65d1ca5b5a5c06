"""What conversations need to be found again; archives with their passages; identities.

New columns may be empty, so that a process of the release before goes on writing.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, Text, text

revision = "0004"
down_revision = "0003"

_POSITION = BigInteger().with_variant(Integer, "sqlite")
_WORDS = {
    "sqlite": (
        "CREATE VIRTUAL TABLE passage_words USING fts5("
        "text, content='passages', content_rowid='position', tokenize='unicode61 remove_diacritics 2')",
        "CREATE TRIGGER passages_come AFTER INSERT ON passages BEGIN"
        " INSERT INTO passage_words(rowid, text) VALUES (new.position, new.text); END",
        "CREATE TRIGGER passages_go AFTER DELETE ON passages BEGIN INSERT INTO passage_words"
        "(passage_words, rowid, text) VALUES ('delete', old.position, old.text); END",
    ),
    "postgresql": ("CREATE INDEX passage_words ON passages USING gin (to_tsvector('simple', text))",),
}


def upgrade() -> None:
    """Add the columns, the indexes and the tables."""
    _conversations()
    _archives()
    _passages()
    _identities()


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


def _archives() -> None:
    op.create_table(
        "archives",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("description", Text),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )
    op.create_index("archives_by_user", "archives", ["user_id", "created_at", "id"])
    op.create_table(
        "agent_archives",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("archive_id", Text, ForeignKey("archives.id", ondelete="CASCADE"), primary_key=True),
        Column("attached_at", BigInteger, nullable=False),
    )
    op.create_index("agent_archives_by_archive", "agent_archives", ["archive_id"])


def _passages() -> None:
    op.create_table(
        "passages",
        Column("position", _POSITION, primary_key=True, autoincrement=True),
        Column("id", Text, nullable=False, unique=True),
        Column("user_id", Text, nullable=False),
        Column("archive_id", Text, ForeignKey("archives.id", ondelete="CASCADE"), nullable=False),
        Column("text", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )
    op.create_index("passages_by_archive", "passages", ["archive_id", "created_at", "id"])
    op.create_table(
        "passage_tags",
        Column("passage_id", Text, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True),
        Column("tag", Text, primary_key=True),
    )
    op.create_index("passage_tags_by_tag", "passage_tags", ["tag"])
    for statement in _WORDS[op.get_bind().dialect.name]:
        op.execute(statement)


def _identities() -> None:
    op.create_table(
        "identities",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("identifier_key", Text, nullable=False),
        Column("name", Text, nullable=False),
        Column("identity_type", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )
    op.create_index("identities_by_user", "identities", ["user_id", "created_at", "id"])
    op.create_index("identities_by_key", "identities", ["user_id", "identifier_key"], unique=True)
