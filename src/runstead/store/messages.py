"""The transcript's rows: stored messages of agents and conversations, and what of them the model sees.

Every query names the actor. Order is `position`, nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from runstead.domain.message import (
    Decision,
    ImagePart,
    Mark,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolReturn,
)
from runstead.domain.run import Run
from runstead.errors import Busy, NotFound
from runstead.ids import AgentId, MessageId, RunId, UserId
from runstead.store.codec import built, from_us, maybe_from_us, pack, to_us, unpack
from runstead.store.locks import hold, lane_lock
from runstead.store.runs import find_run, head_of_lane
from runstead.store.schema import messages as table

_COLUMNS = (
    table.c.position,
    table.c.id,
    table.c.user_id,
    table.c.agent_id,
    table.c.conversation_id,
    table.c.run_id,
    table.c.step_id,
    table.c.role,
    table.c.created_at,
    table.c.in_context,
    table.c.is_err,
    table.c.otid,
    table.c.document,
    table.c.edited_at,
)
SEARCH_WORDS_MAX = 32
_PARTS = {"text": TextPart, "image": ImagePart, "reasoning": ReasoningPart}
_INSERT = insert(table)
_CONTEXT = (
    select(*_COLUMNS)
    .where(
        table.c.lane == bindparam("lane"),
        table.c.position > bindparam("after"),
        table.c.in_context,
    )
    .order_by(table.c.position)
)
# The page that nearly everybody asks for; building a statement costs more than running it.
_OF_RUN = (
    select(*_COLUMNS)
    .where(table.c.run_id == bindparam("of_run"), table.c.user_id == bindparam("of_user"))
    .order_by(table.c.position)
    .limit(bindparam("rows"))
)
_OF_WAITING = (table.c.run_id == bindparam("of_run"), table.c.in_context.is_(False))
_WAITING = select(*_COLUMNS).where(*_OF_WAITING).order_by(table.c.position)
_LEAVE_LINE = delete(table).where(*_OF_WAITING)
_LAST_ASSISTANT = (
    select(table.c.position)
    .where(table.c.lane == bindparam("lane"), table.c.in_context, table.c.role == Role.ASSISTANT.value)
    .order_by(table.c.position.desc())
    .limit(1)
)
_COUNT = select(func.count()).where(table.c.lane == bindparam("lane"), table.c.in_context)
_STAND = _COUNT.add_columns(
    select(func.max(table.c.edited_at))
    .where(
        table.c.lane == bindparam("lane"),
        table.c.edited_at.is_not(None),
        table.c.in_context,
        table.c.position <= bindparam("until"),
    )
    .scalar_subquery(),
    # Positions tell messages apart only as long as none is deleted: SQLite gives the newest ones away again.
    select(func.count())
    .where(
        table.c.position == bindparam("until"),
        table.c.id == bindparam("last"),
        table.c.lane == bindparam("lane"),
        table.c.in_context,
    )
    .scalar_subquery(),
)


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """Which messages of an actor. None means any."""

    agent_id: AgentId | None = None
    lane: str | None = None
    run_id: RunId | None = None
    step_id: str | None = None
    role: Role | None = None
    include_err: bool = True


@dataclass(frozen=True, slots=True)
class MessageSearch:
    """Which messages of an actor shall be found. None means any; `words` must all be there."""

    words: tuple[str, ...]
    roles: tuple[Role, ...]
    agent_id: AgentId | None = None
    conversation_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class MessagePage:
    """Which part of a list: `after` is chronologically newer than that message, `before` older, in either order."""

    limit: int = 100
    ascending: bool = True
    after: str | None = None
    before: str | None = None


def insert_messages(conn: Connection, messages: Sequence[Message]) -> None:
    """Store messages, in their order."""
    if messages:
        conn.execute(_INSERT, [_row(message) for message in messages])


def enter_context(conn: Connection, run_id: RunId) -> None:
    """Put the messages of a run that had to wait where its turn has come: after all that was said meanwhile."""
    waiting = [_message(row) for row in conn.execute(_WAITING, {"of_run": run_id})]
    if waiting:
        conn.execute(_LEAVE_LINE, {"of_run": run_id})
        insert_messages(conn, [replace(message, in_context=True) for message in waiting])


def in_context(conn: Connection, lane: str, after: int = 0) -> list[Message]:
    """What the model sees of an agent or conversation, oldest first, of what came after position `after`."""
    return [_message(row) for row in conn.execute(_CONTEXT, {"lane": lane, "after": after})]


def count_in_context(conn: Connection, lane: str) -> int:
    """How many messages the model sees of an agent or conversation."""
    return conn.scalar(_COUNT, {"lane": lane}) or 0


def is_whole(conn: Connection, lane: str, known: Sequence[Message], newer: int) -> bool:
    """Whether these, and so many newer ones, are all that the model sees of a lane, and these have the words of now."""
    last = known[-1]
    found = conn.execute(_STAND, {"lane": lane, "until": last.position, "last": last.id})
    count, edited_at, still_there = found.one()
    newest = max((m.edited_at for m in known if m.edited_at is not None), default=None)
    return count == len(known) + newer and maybe_from_us(edited_at) == newest and still_there == 1


def count_stored(conn: Connection, user_id: UserId, lane: str) -> int:
    """How many messages there are of an agent or conversation, seen or not."""
    query = select(func.count()).where(table.c.user_id == user_id, table.c.lane == lane)
    return conn.scalar(query) or 0


def last_assistant(conn: Connection, lane: str) -> tuple[Message | None, list[Message]]:
    """The newest thing the model said that it still sees, and all messages after it."""
    position = conn.scalar(_LAST_ASSISTANT, {"lane": lane})
    if position is None:
        return None, []
    found = in_context(conn, lane, position - 1)
    return found[0], found[1:]


def newest_approvals(conn: Connection, lane: str, limit: int) -> list[Message]:
    """The newest answers to approvals of an agent or conversation, newest first."""
    query = select(*_COLUMNS).where(table.c.lane == lane, table.c.role == Role.APPROVAL.value)
    rows = conn.execute(query.order_by(table.c.position.desc()).limit(limit))
    return [_message(row) for row in rows]


def answer_of_run(conn: Connection, user_id: UserId, run_id: RunId) -> Message | None:
    """The answer to an approval that a run of this actor brings, also one that was never its turn."""
    query = select(*_COLUMNS).where(
        table.c.run_id == run_id, table.c.user_id == user_id, table.c.role == Role.APPROVAL.value
    )
    row = conn.execute(query.order_by(table.c.position).limit(1)).first()
    return None if row is None else _message(row)


def list_messages(
    conn: Connection, user_id: UserId, where: MessageFilter, page: MessagePage
) -> list[Message]:
    """A page of messages. Raises `NotFound` for an unknown cursor."""
    query = select(*_COLUMNS).where(table.c.user_id == user_id)
    for column, value in (
        (table.c.agent_id, where.agent_id),
        (table.c.lane, where.lane),
        (table.c.run_id, where.run_id),
        (table.c.step_id, where.step_id),
        (table.c.role, where.role),
    ):
        if value is not None:
            query = query.where(column == value)
    if not where.include_err:
        query = query.where(table.c.is_err.is_not(True))
    if page.after is not None:
        query = query.where(table.c.position > _position(conn, user_id, page.after))
    if page.before is not None:
        query = query.where(table.c.position < _position(conn, user_id, page.before))
    order = table.c.position.asc() if page.ascending else table.c.position.desc()
    return [_message(row) for row in conn.execute(query.order_by(order).limit(page.limit))]


def messages_of_run(
    conn: Connection, user_id: UserId, run_id: str, role: Role | None, page: MessagePage
) -> tuple[Run, list[Message]] | None:
    """A run of this actor and a page of its messages, in one read. Raises `NotFound` for an unknown cursor."""
    run = find_run(conn, user_id, run_id)
    if run is None:
        return None
    if role is None and page.ascending and page.after is None and page.before is None:
        rows = conn.execute(_OF_RUN, {"of_run": run.id, "of_user": user_id, "rows": page.limit})
        return run, [_message(row) for row in rows]
    return run, list_messages(conn, user_id, MessageFilter(run_id=run.id, role=role), page)


def find_message(conn: Connection, user_id: UserId, message_id: str) -> Message | None:
    """One message of this actor."""
    row = conn.execute(select(*_COLUMNS).where(table.c.user_id == user_id, table.c.id == message_id)).first()
    return None if row is None else _message(row)


def some_messages(conn: Connection, user_id: UserId, message_ids: Sequence[str]) -> list[Message]:
    """Those of these messages that are this actor's, in their order."""
    if not message_ids:
        return []
    query = select(*_COLUMNS).where(table.c.user_id == user_id, table.c.id.in_(message_ids))
    return [_message(row) for row in conn.execute(query.order_by(table.c.position))]


def run_of_otid(conn: Connection, user_id: UserId, lane: str, otid: str) -> RunId | None:
    """The newest run of a conversation or agent that was sent a message of the client's own id."""
    query = (
        select(table.c.run_id)
        .where(
            table.c.otid == otid,
            table.c.user_id == user_id,
            table.c.lane == lane,
            table.c.run_id.is_not(None),
        )
        .order_by(table.c.position.desc())
        .limit(1)
    )
    return conn.scalar(query)


def context_ids(conn: Connection, user_id: UserId, lane: str) -> list[MessageId]:
    """The ids of what the model sees, oldest first."""
    query = (
        select(table.c.id)
        .where(table.c.user_id == user_id, table.c.lane == lane, table.c.in_context)
        .order_by(table.c.position)
    )
    return [MessageId(value) for value in conn.scalars(query)]


def search_messages(
    conn: Connection, user_id: UserId, agent_id: AgentId, words: str, roles: Sequence[Role], limit: int
) -> list[Message]:
    """The newest messages of an agent whose text holds `words` as they stand, letter case aside."""
    wanted = MessageSearch(words=(words,), agent_id=agent_id, roles=tuple(roles), limit=limit)
    return find_messages(conn, user_id, wanted)


def find_messages(conn: Connection, user_id: UserId, where: MessageSearch) -> list[Message]:
    """The newest messages of an actor that hold every word, letter case aside."""
    conditions = [table.c.user_id == user_id, table.c.role.in_([role.value for role in where.roles])]
    if where.agent_id is not None:
        conditions.append(table.c.agent_id == where.agent_id)
    if where.conversation_id is not None:
        conditions.append(table.c.conversation_id == where.conversation_id)
    if where.since is not None:
        conditions.append(table.c.created_at >= to_us(where.since))
    if where.until is not None:
        conditions.append(table.c.created_at <= to_us(where.until))
    conditions += [
        func.lower(table.c.text).contains(word.lower(), autoescape=True)
        for word in where.words[:SEARCH_WORDS_MAX]
    ]
    query = select(*_COLUMNS).where(*conditions).order_by(table.c.position.desc()).limit(where.limit)
    return [_message(row) for row in conn.execute(query)]


def edit_message(
    conn: Connection,
    user_id: UserId,
    agent_id: AgentId,
    message_id: str,
    edit: Callable[[Message], Message],
    now: datetime,
) -> Message | None:
    """Give a message of this agent other words; None where there is none.

    Raises `Busy` while a run is under way or waits in its conversation: it would go on from words that are no more.
    """
    found = find_message(conn, user_id, message_id)
    if found is None or found.agent_id != agent_id:
        return None
    lane = found.conversation_id or found.agent_id
    hold(conn, lane_lock(lane))  # nobody is admitted meanwhile
    if (run_id := head_of_lane(conn, lane)) is not None:
        raise Busy(f"Run {run_id} is not over; wait for it, or cancel it, and then edit what was said.")
    found = find_message(conn, user_id, message_id) or found
    newest = conn.scalar(select(func.max(table.c.edited_at)).where(table.c.lane == lane)) or 0
    after = replace(edit(found), edited_at=from_us(max(to_us(now), int(newest) + 1)))
    written = {name: _row(after)[name] for name in ("text", "document", "edited_at")}
    conn.execute(update(table).where(table.c.user_id == user_id, table.c.id == message_id).values(written))
    return after


def leave_context(conn: Connection, lane: str, ids: Sequence[MessageId]) -> None:
    """Take messages out of what the model sees; they stay in the transcript."""
    conn.execute(update(table).where(table.c.lane == lane, table.c.id.in_(ids)).values(in_context=False))


def delete_messages(conn: Connection, user_id: UserId, agent_id: AgentId) -> None:
    """Empty an agent's own history; its conversations, runs and steps stay."""
    conn.execute(delete(table).where(table.c.user_id == user_id, table.c.lane == agent_id))


def _position(conn: Connection, user_id: UserId, message_id: str) -> int:
    position = conn.scalar(
        select(table.c.position).where(table.c.user_id == user_id, table.c.id == message_id)
    )
    if position is None:
        raise NotFound(f"No message found with id {message_id}; give the id of a listed message.")
    return position


def _row(message: Message) -> dict[str, object]:
    return {
        "id": message.id,
        "user_id": message.user_id,
        "agent_id": message.agent_id,
        "conversation_id": message.conversation_id,
        "lane": message.conversation_id or message.agent_id,
        "run_id": message.run_id,
        "step_id": message.step_id,
        "role": message.role.value,
        "created_at": to_us(message.created_at),
        "in_context": message.in_context,
        "is_err": message.is_err,
        "otid": message.otid,
        "text": _searchable(message),
        "document": pack(_document(message)),
        "edited_at": None if message.edited_at is None else to_us(message.edited_at),
    }


def _searchable(message: Message) -> str:
    """What a search looks into. PostgreSQL's text cannot hold NUL; the document can, as JSON writes it."""
    return (message.text or (message.tool_return.text if message.tool_return else "")).replace("\0", "")


def _document(message: Message) -> dict[str, object]:
    """What of a message no query asks for; empty members are left out."""
    everything: dict[str, object] = {
        "parts": [_part(part) for part in message.parts],
        "calls": [_lean(asdict(call)) for call in message.tool_calls],
        "return": None if message.tool_return is None else asdict(message.tool_return),
        "decisions": [asdict(decision) for decision in message.decisions],
        "client_returns": [asdict(each) for each in message.client_returns],
        "answers": message.answers,
        "name": message.name,
        "sender_id": message.sender_id,
        "group_id": message.group_id,
        "mark": message.mark,
        "compaction": message.compaction,
    }
    return _lean(everything)


def _lean(document: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in document.items() if value not in (None, [], False, ())}


def _part(part: Part) -> dict[str, object]:
    kind = next(name for name, cls in _PARTS.items() if type(part) is cls)
    return {"is": kind, **{k: v for k, v in asdict(part).items() if v is not None}}


def _message(row: Sequence[Any]) -> Message:
    (position, id_, user_id, agent_id, conversation_id, run_id, step_id, role, created_at) = row[:9]
    document = unpack(row[12])
    mark = document.get("mark")
    return Message(
        id=id_,
        user_id=user_id,
        agent_id=agent_id,
        role=Role(role),
        created_at=from_us(int(created_at)),
        parts=tuple(_part_of(each) for each in document.get("parts", ())),
        tool_calls=tuple(built(ToolCall, call) for call in document.get("calls", ())),
        tool_return=_return_of(document.get("return")),
        decisions=tuple(built(Decision, each) for each in document.get("decisions", ())),
        client_returns=tuple(
            found for each in document.get("client_returns", ()) if (found := _return_of(each))
        ),
        answers=document.get("answers"),
        conversation_id=conversation_id,
        run_id=run_id,
        step_id=step_id,
        name=document.get("name"),
        otid=row[11],
        sender_id=document.get("sender_id"),
        group_id=document.get("group_id"),
        is_err=row[10],
        mark=None if mark is None else Mark(mark),
        in_context=row[9],
        compaction=document.get("compaction"),
        edited_at=maybe_from_us(row[13]),
        position=position,
    )


def _part_of(document: dict[str, Any]) -> Part:
    fields = dict(document)
    return built(_PARTS[fields.pop("is")], fields)


def _return_of(document: dict[str, Any] | None) -> ToolReturn | None:
    if document is None:
        return None
    fields = dict(document)
    stdout, stderr = fields.pop("stdout"), fields.pop("stderr")
    return built(ToolReturn, fields, stdout=tuple(stdout), stderr=tuple(stderr))
