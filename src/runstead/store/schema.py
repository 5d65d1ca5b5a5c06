"""Every table; those of folders stand in `folder_tables`. Times are integers (microseconds since 1970, UTC),
documents are JSON text: the same on every database.

Migrations make these tables on a real server; a test holds that both are the same. `position` columns give an order that
never changes and that nothing else gives.
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    DDL,
    REAL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    event,
    text,
)

from runstead.store.folder_tables import agent_files as agent_files
from runstead.store.folder_tables import agent_folders as agent_folders
from runstead.store.folder_tables import file_bodies as file_bodies
from runstead.store.folder_tables import file_texts as file_texts
from runstead.store.folder_tables import files as files
from runstead.store.folder_tables import folders as folders
from runstead.store.metadata import metadata as metadata
from runstead.store.outside_tables import mcp_servers as mcp_servers
from runstead.store.outside_tables import providers as providers

# SQLite numbers rows only for a column that is INTEGER to the letter.
_Position = BigInteger().with_variant(Integer, "sqlite")
# Floats of 4 bytes: as sqlite-vec reads them, and as pgvector does; PostgreSQL counts with them also where it is missing.
_Vector = LargeBinary().with_variant(ARRAY(REAL), "postgresql")


def _position() -> Column[int]:
    return Column("position", _Position, primary_key=True, autoincrement=True)


organizations = Table(
    "organizations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("privileged_tools", Boolean, nullable=False, default=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("is_deleted", Boolean, nullable=False, default=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("hint", Text, nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("admin", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("last_used_at", BigInteger),
    Column("revoked_at", BigInteger),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("agent_type", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_run_completion", BigInteger),
    Column("last_run_duration_ms", BigInteger),
    Column("last_stop_reason", Text),
    Column("hidden", Boolean),
    Column("document", Text, nullable=False),
    Index("agents_by_user", "user_id", "created_at", "id"),
)

agent_tags = Table(
    "agent_tags",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("agent_tags_by_tag", "tag"),
)

blocks = Table(
    "blocks",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("label", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("description", Text),
    Column("name", Text),
    Column("limit_chars", BigInteger, nullable=False),
    Column("read_only", Boolean, nullable=False),
    Column("is_template", Boolean, nullable=False),
    Column("hidden", Boolean),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("blocks_by_user", "user_id", "created_at", "id"),
)

block_tags = Table(
    "block_tags",
    metadata,
    Column("block_id", Text, ForeignKey("blocks.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("block_tags_by_tag", "tag"),
)

agent_blocks = Table(
    "agent_blocks",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("label", Text, primary_key=True),
    Column("block_id", Text, ForeignKey("blocks.id", ondelete="CASCADE"), nullable=False),
    Index("agent_blocks_by_block", "block_id"),
)

tools = Table(
    "tools",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("tool_type", Text, nullable=False),
    Column("source_type", Text, nullable=False),
    Column("source_code", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("json_schema", Text, nullable=False),
    Column("args_json_schema", Text),
    Column("return_char_limit", BigInteger, nullable=False),
    Column("default_requires_approval", Boolean),
    Column("enable_parallel_execution", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("tools_by_name", "user_id", "name", unique=True),
)

# What an agent's tools are given in their environment. `sealed` false: as an older version left it, until the next start.
agent_secrets = Table(
    "agent_secrets",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("sealed", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index(
        "agent_secrets_open",
        "agent_id",
        sqlite_where=text("sealed = 0"),
        postgresql_where=text("NOT sealed"),
    ),
)

conversations = Table(
    "conversations",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("summary", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("last_message_at", BigInteger),
    Column("deleted_at", BigInteger),
    Column("document", Text, nullable=False),
    Column("last_run_completion", BigInteger),
    Index("conversations_by_agent", "agent_id", "created_at", "id"),
    Index("conversations_by_user", "user_id", "created_at", "id"),
)

runs = Table(
    "runs",
    metadata,
    _position(),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("organization_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("conversation_id", Text),
    Column("lane", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stop_reason", Text),
    Column("background", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("completed_at", BigInteger),
    Column("cancel_requested_at", BigInteger),
    Column("epoch", BigInteger, nullable=False),
    Column("owner", Text),
    Column("lease_until", BigInteger),
    Column("last_seq", BigInteger, nullable=False),
    Column("step_count", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("ttft_ns", BigInteger),
    Column("duration_ns", BigInteger),
    Column("callback_url", Text),
    Column("callback_sent_at", BigInteger),
    Column("callback_status_code", BigInteger),
    Column("callback_error", Text),
    Column("request", Text, nullable=False),
    Column("metadata", Text, nullable=False),
    # How many commits its owners made; the highest number its log may have used; which Redis holds its newest events.
    Column("commits", BigInteger, nullable=False, default=0, server_default="0"),
    Column("reserved_seq", BigInteger, nullable=False, default=0, server_default="0"),
    Column("hot_id", Text),
    # The message that still waits for a person or the client, and the time at which nobody waits longer.
    Column("asks", Text),
    Column("asks_until", BigInteger),
    Index("runs_by_user", "user_id", "created_at", "id"),
    Index("runs_by_agent", "agent_id", "created_at", "id"),
    # Who is alive and who is next: small, because it holds only the runs that are not over.
    Index(
        "runs_active",
        "lane",
        "position",
        sqlite_where=text("status IN ('created', 'running')"),
        postgresql_where=text("status IN ('created', 'running')"),
    ),
    Index("runs_by_completion", "completed_at"),
    # Whoever waits for an answer, and whose time is over: small, because it holds only the runs that ask.
    Index(
        "runs_asking",
        "user_id",
        "created_at",
        "id",
        sqlite_where=text("asks IS NOT NULL"),
        postgresql_where=text("asks IS NOT NULL"),
    ),
    Index(
        "runs_asking_until",
        "asks_until",
        sqlite_where=text("asks IS NOT NULL"),
        postgresql_where=text("asks IS NOT NULL"),
    ),
)

messages = Table(
    "messages",
    metadata,
    _position(),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
    Column("conversation_id", Text),
    Column("lane", Text, nullable=False),
    Column("run_id", Text),
    Column("step_id", Text),
    Column("role", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("in_context", Boolean, nullable=False),
    Column("is_err", Boolean),
    Column("otid", Text),
    Column("text", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("edited_at", BigInteger),
    Index("messages_by_lane", "lane", "in_context", "position"),
    Index("messages_by_agent", "agent_id", "position"),
    Index("messages_by_run", "run_id", "position"),
    Index(
        "messages_edited",
        "lane",
        sqlite_where=text("edited_at IS NOT NULL"),
        postgresql_where=text("edited_at IS NOT NULL"),
    ),
    # A client that lost its stream asks by what it called its message.
    Index(
        "messages_by_otid",
        "otid",
        sqlite_where=text("otid IS NOT NULL"),
        postgresql_where=text("otid IS NOT NULL"),
    ),
)

archives = Table(
    "archives",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("description", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("embedding", Text),
    Column("folder_id", Text),
    Index("archives_by_user", "user_id", "created_at", "id"),
    Index(
        "archives_by_folder",
        "folder_id",
        sqlite_where=text("folder_id IS NOT NULL"),
        postgresql_where=text("folder_id IS NOT NULL"),
    ),
)

agent_archives = Table(
    "agent_archives",
    metadata,
    Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
    Column("archive_id", Text, ForeignKey("archives.id", ondelete="CASCADE"), primary_key=True),
    Column("attached_at", BigInteger, nullable=False),
    Index("agent_archives_by_archive", "archive_id"),
)

passages = Table(
    "passages",
    metadata,
    _position(),
    Column("id", Text, nullable=False, unique=True),
    Column("user_id", Text, nullable=False),
    Column("archive_id", Text, ForeignKey("archives.id", ondelete="CASCADE"), nullable=False),
    Column("text", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Column("file_id", Text),
    Index("passages_by_archive", "archive_id", "created_at", "id"),
    Index(
        "passages_by_file",
        "file_id",
        sqlite_where=text("file_id IS NOT NULL"),
        postgresql_where=text("file_id IS NOT NULL"),
    ),
)

passage_tags = Table(
    "passage_tags",
    metadata,
    Column("passage_id", Text, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index("passage_tags_by_tag", "tag"),
)

# The vector of a passage; NULL: it is being made, or could not be made, and is due again at `due_at`. One without a row has
# never been looked at. An archive's model may change: a row of another model is as good as none.
passage_vectors = Table(
    "passage_vectors",
    metadata,
    Column("passage_id", Text, ForeignKey("passages.id", ondelete="CASCADE"), primary_key=True),
    Column("model", Text, nullable=False),
    Column("dimensions", BigInteger),
    Column("vector", _Vector),
    Column("due_at", BigInteger, nullable=False),
)

# The words of passages, for search. The database keeps them, in the transaction that changes the passage.
PASSAGE_WORDS = "passage_words"
_PASSAGE_WORDS_DDL = {
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
for _dialect, _statements in _PASSAGE_WORDS_DDL.items():
    for _statement in _statements:
        event.listen(passages, "after_create", DDL(_statement).execute_if(dialect=_dialect))

identities = Table(
    "identities",
    metadata,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("identifier_key", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("identity_type", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("identities_by_user", "user_id", "created_at", "id"),
    Index("identities_by_key", "user_id", "identifier_key", unique=True),
)

steps = Table(
    "steps",
    metadata,
    _position(),
    Column("id", Text, nullable=False, unique=True),
    Column("run_id", Text),
    Column("user_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("model_handle", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("stop_reason", Text),
    Column("feedback", Text),
    Column("trace_id", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("cache_write_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("document", Text, nullable=False),
    Index("steps_by_run", "run_id", "position"),
    Index("steps_by_user", "user_id", "created_at", "id"),
)

# What went to a provider and came back, a step; kept only where the server is told to, and no longer than events.
provider_traces = Table(
    "provider_traces",
    metadata,
    Column("step_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("agent_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("request", Text, nullable=False),
    Column("response", Text, nullable=False),
    Index("provider_traces_by_run", "run_id"),
    Index("provider_traces_by_agent", "agent_id"),
    Index("provider_traces_by_time", "created_at"),
)

# The log's rows: several events each, one line an event. `epoch` is the owner that wrote them; `packed` rows are compressed.
events = Table(
    "events",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("first_seq", BigInteger, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("packed", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# Runs that are gone, for who looks at changes only; forgotten after a while.
deleted_runs = Table(
    "deleted_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("user_id", Text, nullable=False),
    Column("deleted_at", BigInteger, nullable=False),
    Index("deleted_runs_by_user", "user_id", "deleted_at"),
    Index("deleted_runs_by_age", "deleted_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("user_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Index("idempotency_keys_by_age", "created_at"),
)

outbox = Table(
    "outbox",
    metadata,
    _position(),
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("attempts", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("done_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Index("outbox_due", "done_at", "due_at"),
)
