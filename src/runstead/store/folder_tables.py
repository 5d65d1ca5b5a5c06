"""The tables of folders and files, a part of `schema.py`. What is found in a folder's files stands as passages in an archive
of the folder's own.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, LargeBinary, Table, Text, text

from runstead.store.metadata import metadata

folders = Table(
    "folders",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("instructions", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("folders_by_user", "user_id", "created_at", "id"),
    Index("folders_by_name", "user_id", "name", unique=True),
)

agent_folders = Table(
    "agent_folders",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("folder_id", Text, ForeignKey("folders.id", ondelete="CASCADE"), primary_key=True),
    Column("attached_at", BigInteger, nullable=False),
    Index("agent_folders_by_folder", "folder_id"),
)

# `attempts` is who reads a file now: each attempt has the next number, and may write until `due_at`, when another may begin.
files = Table(
    "files",
    metadata,
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
    Index("files_by_folder", "folder_id", "created_at", "id"),
    Index("files_by_name", "folder_id", "name", unique=True),
    Index("files_by_user", "user_id", "created_at", "id"),
    # What is not read to its end yet: few.
    Index(
        "files_due",
        "due_at",
        sqlite_where=text("status IN ('pending', 'parsing', 'embedding')"),
        postgresql_where=text("status IN ('pending', 'parsing', 'embedding')"),
    ),
)

# A file as it came, until its text is there.
file_bodies = Table(
    "file_bodies",
    metadata,
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
)

file_texts = Table(
    "file_texts",
    metadata,
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("text", Text, nullable=False),
)

# The files that an agent has open, and the part of each that its model sees: lines, and where they stand in the text.
agent_files = Table(
    "agent_files",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("file_id", Text, ForeignKey("files.id", ondelete="CASCADE"), primary_key=True),
    Column("first_line", BigInteger, nullable=False),
    Column("last_line", BigInteger, nullable=False),
    Column("first_char", BigInteger, nullable=False),
    Column("chars", BigInteger, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Index("agent_files_by_file", "file_id"),
)
