"""The first tables. Columns are written out, so that this step stays what it was when `schema.py` goes on.

A released step is never edited: the next change is the next file.
"""

from __future__ import annotations

from alembic import op
from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Integer, LargeBinary, Text, text

revision = "0001"
down_revision = None

_POSITION = BigInteger().with_variant(Integer, "sqlite")


def upgrade() -> None:
    """Make every table of the first release."""
    _events()
    _idempotency_keys()
    _organizations()
    _outbox()
    _runs()
    _steps()
    _users()
    _agents()
    _api_keys()
    _blocks()
    _agent_blocks()
    _agent_tags()
    _block_tags()
    _conversations()
    _messages()


def _events() -> None:
    op.create_table(
        "events",
        Column("run_id", Text, primary_key=True),
        Column("first_seq", BigInteger, primary_key=True),
        Column("last_seq", BigInteger, nullable=False),
        Column("epoch", BigInteger, nullable=False),
        Column("packed", Boolean, nullable=False),
        Column("body", LargeBinary, nullable=False),
    )


def _idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        Column("user_id", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("fingerprint", Text, nullable=False),
        Column("run_id", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
    )
    op.create_index("idempotency_keys_by_age", "idempotency_keys", ["created_at"])


def _organizations() -> None:
    op.create_table(
        "organizations",
        Column("id", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("privileged_tools", Boolean, nullable=False),
    )


def _outbox() -> None:
    op.create_table(
        "outbox",
        Column("position", _POSITION, primary_key=True, autoincrement=True),
        Column("run_id", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("url", Text, nullable=False),
        Column("body", Text, nullable=False),
        Column("attempts", BigInteger, nullable=False),
        Column("due_at", BigInteger, nullable=False),
        Column("done_at", BigInteger),
        Column("created_at", BigInteger, nullable=False),
    )
    op.create_index("outbox_due", "outbox", ["done_at", "due_at"])


def _runs() -> None:
    op.create_table(
        "runs",
        Column("position", _POSITION, primary_key=True, autoincrement=True),
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
    )
    op.create_index(
        "runs_active",
        "runs",
        ["lane", "position"],
        sqlite_where=text("status IN ('created', 'running')"),
        postgresql_where=text("status IN ('created', 'running')"),
    )
    op.create_index("runs_by_agent", "runs", ["agent_id", "created_at", "id"])
    op.create_index("runs_by_completion", "runs", ["completed_at"])
    op.create_index("runs_by_user", "runs", ["user_id", "created_at", "id"])


def _steps() -> None:
    op.create_table(
        "steps",
        Column("position", _POSITION, primary_key=True, autoincrement=True),
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
    )
    op.create_index("steps_by_run", "steps", ["run_id", "position"])
    op.create_index("steps_by_user", "steps", ["user_id", "created_at", "id"])


def _users() -> None:
    op.create_table(
        "users",
        Column("id", Text, primary_key=True),
        Column("organization_id", Text, ForeignKey("organizations.id"), nullable=False),
        Column("name", Text, nullable=False),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("is_deleted", Boolean, nullable=False),
    )


def _agents() -> None:
    op.create_table(
        "agents",
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
    )
    op.create_index("agents_by_user", "agents", ["user_id", "created_at", "id"])


def _api_keys() -> None:
    op.create_table(
        "api_keys",
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


def _blocks() -> None:
    op.create_table(
        "blocks",
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
    )
    op.create_index("blocks_by_user", "blocks", ["user_id", "created_at", "id"])


def _agent_blocks() -> None:
    op.create_table(
        "agent_blocks",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("label", Text, primary_key=True),
        Column("block_id", Text, ForeignKey("blocks.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("agent_blocks_by_block", "agent_blocks", ["block_id"])


def _agent_tags() -> None:
    op.create_table(
        "agent_tags",
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), primary_key=True),
        Column("tag", Text, primary_key=True),
    )
    op.create_index("agent_tags_by_tag", "agent_tags", ["tag"])


def _block_tags() -> None:
    op.create_table(
        "block_tags",
        Column("block_id", Text, ForeignKey("blocks.id", ondelete="CASCADE"), primary_key=True),
        Column("tag", Text, primary_key=True),
    )
    op.create_index("block_tags_by_tag", "block_tags", ["tag"])


def _conversations() -> None:
    op.create_table(
        "conversations",
        Column("id", Text, primary_key=True),
        Column("user_id", Text, ForeignKey("users.id"), nullable=False),
        Column("agent_id", Text, ForeignKey("agents.id", ondelete="CASCADE"), nullable=False),
        Column("summary", Text),
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("last_message_at", BigInteger),
        Column("deleted_at", BigInteger),
        Column("document", Text, nullable=False),
    )
    op.create_index("conversations_by_agent", "conversations", ["agent_id", "created_at", "id"])


def _messages() -> None:
    op.create_table(
        "messages",
        Column("position", _POSITION, primary_key=True, autoincrement=True),
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
    )
    op.create_index("messages_by_agent", "messages", ["agent_id", "position"])
    op.create_index("messages_by_lane", "messages", ["lane", "in_context", "position"])
    op.create_index("messages_by_run", "messages", ["run_id", "position"])
