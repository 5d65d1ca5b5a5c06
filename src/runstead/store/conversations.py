"""Conversations: their rows, and the blocks that are their own. Their messages are `store/messages.py`'s.

Every query names the actor. A deleted conversation is there for nobody; its row stays, and so do its messages and runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, func, insert, select, update

from runstead.domain.agent import Block, ModelSettings
from runstead.domain.conversation import Conversation, ConversationModel
from runstead.domain.message import Message
from runstead.domain.run import Run
from runstead.errors import Busy
from runstead.ids import AgentId, BlockId, ConversationId, MessageId, UserId
from runstead.store import blocks, messages, runs
from runstead.store.codec import built, from_us, maybe_from_us, pack, to_us, unpack
from runstead.store.pages import Page, paged
from runstead.store.schema import conversations as table

_FIND = select(table).where(
    table.c.id == bindparam("conversation_id"),
    table.c.user_id == bindparam("user_id"),
    table.c.deleted_at.is_(None),
)
_NOTE = update(table).where(table.c.id == bindparam("noted")).values(last_message_at=bindparam("at"))
_NOTE_END = (
    update(table)
    .where(table.c.id == bindparam("noted"))
    .values(last_message_at=bindparam("at"), last_run_completion=bindparam("at"))
)


@dataclass(frozen=True, slots=True)
class ConversationFilter:
    """Which conversations of an actor. None means any; `summary_search` is looked for letter case aside."""

    agent_id: str | None = None
    summary_search: str | None = None


@dataclass(frozen=True, slots=True)
class ConversationRecord:
    """A conversation with the ids of the messages that its model sees, oldest first."""

    conversation: Conversation
    message_ids: Sequence[MessageId]


def make_conversation(
    conn: Connection, conversation: Conversation, own_blocks: Sequence[Block], first: Sequence[Message]
) -> ConversationRecord:
    """Store a new conversation with its own blocks and what its history begins with."""
    conn.execute(insert(table).values(_row(conversation)))
    blocks.insert_blocks(conn, own_blocks)
    messages.insert_messages(conn, first)
    return _record(conn, conversation)


def find_conversation(conn: Connection, user_id: UserId, conversation_id: str) -> Conversation | None:
    """One conversation of this actor."""
    row = conn.execute(_FIND, {"conversation_id": conversation_id, "user_id": user_id}).first()
    return None if row is None else _conversation(row)


def is_conversation(conn: Connection, user_id: UserId, conversation_id: str, agent_id: str) -> bool:
    """Whether this actor has that conversation with that agent."""
    found = find_conversation(conn, user_id, conversation_id)
    return found is not None and found.agent_id == agent_id


def find_record(conn: Connection, user_id: UserId, conversation_id: str) -> ConversationRecord | None:
    """One conversation of this actor, with what its model sees."""
    found = find_conversation(conn, user_id, conversation_id)
    return None if found is None else _record(conn, found)


def list_records(
    conn: Connection, user_id: UserId, where: ConversationFilter, page: Page
) -> list[ConversationRecord]:
    """A page of an actor's conversations. Raises `NotFound` for an unknown cursor."""
    scope = (table.c.user_id == user_id) & table.c.deleted_at.is_(None)
    conditions: list[ColumnElement[bool]] = [scope]
    if where.agent_id is not None:
        conditions.append(table.c.agent_id == where.agent_id)
    if where.summary_search:
        words = where.summary_search.lower()
        conditions.append(func.lower(table.c.summary).contains(words, autoescape=True))
    rows = paged(conn, select(table).where(*conditions), table, scope, page)
    return [_record(conn, _conversation(row)) for row in rows]


def change_conversation(
    conn: Connection,
    user_id: UserId,
    conversation_id: str,
    change: Callable[[Conversation], Conversation],
) -> ConversationRecord | None:
    """Read, change and write one conversation in one go; None where there is none. Raises what `change` raises."""
    found = find_conversation(conn, user_id, conversation_id)
    if found is None:
        return None
    changed = change(found)
    row = _row(changed)
    del row["last_run_completion"]
    if changed.last_message_at == found.last_message_at:
        del row["last_message_at"]
    mine = update(table).where(table.c.id == changed.id, table.c.user_id == user_id)
    conn.execute(mine.values(row))
    return _record(conn, changed)


def delete_conversation(conn: Connection, user_id: UserId, conversation_id: str, now: datetime) -> None:
    """Delete a conversation of this actor and the blocks that are its own.

    Raises `Busy` while it has runs that are not over: they would have nothing to write to.
    """
    found = find_conversation(conn, user_id, conversation_id)
    if found is None:
        return
    if runs.active_in_lane(conn, user_id, found.id):
        raise Busy(f"Conversation {conversation_id} has active runs; cancel them first.")
    for block_id in found.isolated.values():
        blocks.delete_block(conn, user_id, block_id)
    conn.execute(
        update(table)
        .where(table.c.id == found.id, table.c.user_id == user_id)
        .values(deleted_at=to_us(now), updated_at=to_us(now))
    )


def own_blocks(conn: Connection, conversation: Conversation) -> list[Block]:
    """The blocks that stand in the place of the agent's."""
    if not conversation.isolated:
        return []
    return blocks.find_blocks(conn, conversation.user_id, list(conversation.isolated.values()))


def note_message(conn: Connection, conversation_id: ConversationId, at: datetime) -> None:
    """Write that something was said."""
    conn.execute(_NOTE, {"noted": conversation_id, "at": to_us(at)})


def note_run(conn: Connection, run: Run) -> None:
    """Write that a run of a conversation is over."""
    conn.execute(_NOTE_END, {"noted": run.conversation_id, "at": to_us(run.completed_at or run.updated_at)})


def _record(conn: Connection, conversation: Conversation) -> ConversationRecord:
    seen = messages.context_ids(conn, conversation.user_id, conversation.id)
    return ConversationRecord(conversation, seen)


def _row(conversation: Conversation) -> dict[str, object]:
    model = conversation.model
    settings = None if model.settings is None else asdict(model.settings)
    document: dict[str, object] = {
        "model": model.handle,
        "context_window_tokens": model.context_window_tokens,
        "settings": settings,
        "model_settings": model.given,
        "isolated": dict(conversation.isolated),
    }
    return {
        "id": conversation.id,
        "user_id": conversation.user_id,
        "agent_id": conversation.agent_id,
        "summary": conversation.summary,
        "created_at": to_us(conversation.created_at),
        "updated_at": to_us(conversation.updated_at),
        "last_message_at": to_us(conversation.last_message_at),
        "last_run_completion": to_us(conversation.last_run_completion),
        "document": pack({name: value for name, value in document.items() if value}),
    }


def _conversation(row: Row[Any]) -> Conversation:
    document = unpack(row.document)
    settings = document.get("settings")
    isolated = {label: BlockId(block_id) for label, block_id in document.get("isolated", {}).items()}
    return Conversation(
        id=ConversationId(row.id),
        user_id=UserId(row.user_id),
        agent_id=AgentId(row.agent_id),
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        summary=row.summary,
        last_message_at=maybe_from_us(row.last_message_at),
        last_run_completion=maybe_from_us(row.last_run_completion),
        model=ConversationModel(
            document.get("model"),
            document.get("context_window_tokens"),
            None if settings is None else built(ModelSettings, settings),
            document.get("model_settings"),
        ),
        isolated=isolated,
    )
