"""Folders of files, who holds them, which files are open, and which archive and passages are a folder's and a file's own.

The release before goes on: it sees the archives of folders as archives, and writes passages that are no file's.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, Text, text

revision = "0010"
down_revision = "0009"

_UNFINISHED = text("status IN ('pending', 'parsing', 'embedding')")


def upgrade() -> None:
    """Add the tables and the columns."""
    _folders()
    _files()
    _open_files()
    for table, column in (("archives", "folder_id"), ("passages", "file_id")):
        with op.batch_alter_table(table) as changed:
            changed.add_column(Column(column, Text))
        has_one = text(f"{column} IS NOT NULL")
        name = f"{table}_by_{column.removesuffix('_id')}"
        op.create_index(name, table, [column], sqlite_where=has_one, postgresql_where=has_one)


def _folders() -> None:
    op.create_table(
        "folders",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("description", Text),
        Column("instructions", Text),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("document", Text, nullable=False),
    )
    op.create_index("folders_by_user", "folders", ["user_id", "created_at", "id"])
    op.create_index("folders_by_name", "folders", ["user_id", "name"], unique=True)
    op.create_table(
        "agent_folders",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("folder_id", Text, ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True),
        Column("attached_at", BigInteger, nullable=False),
    )
    op.create_index("agent_folders_by_folder", "agent_folders", ["folder_id"])


def _files() -> None:
    op.create_table(
        "files",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, nullable=False),
        Column("folder_id", Text, ForeignKey("folders.id", ondelete="CASCADE"), nullable=False),
        Column("name", Text, nullable=False),
        Column("original_name", Text, nullable=False),
        Column("kind", Text),
        Column("size_bytes", BigInteger, nullable=False),
        Column("status", Text, nullable=False),
        Column("error", Text),
        Column("chars", BigInteger),
        Column("lines", BigInteger),
        Column("total_chunks", BigInteger),
        Column("chunks_done", BigInteger, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
    )
    op.create_index("files_by_folder", "files", ["folder_id", "created_at", "id"])
    op.create_index("files_by_name", "files", ["folder_id", "name"], unique=True)
    op.create_index("files_by_user", "files", ["user_id", "created_at", "id"])
    op.create_index("files_due", "files", ["due_at"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED)
    for table, column in (
        ("file_bodies", Column("body", LargeBinary, nullable=False)),
        ("file_texts", Column("text", Text, nullable=False)),
    ):
        op.create_table(
            table,
            Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
            column,
        )


def _open_files() -> None:
    op.create_table(
        "agent_files",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
        Column("first_line", BigInteger, nullable=False),
        Column("last_line", BigInteger, nullable=False),
        Column("first_char", BigInteger, nullable=False),
        Column("chars", BigInteger, nullable=False),
        Column("opened_at", BigInteger, nullable=False),
    )
    op.create_index("agent_files_by_file", "agent_files", ["file_id"])
