"""Agents: their rows, and the document that holds what no query asks for.

Every query names the actor. An agent's blocks and messages have files of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from runstead.domain.agent import Agent, Block, ModelSettings, ToolRule
from runstead.domain.folder import Folder, Window
from runstead.domain.message import Message
from runstead.domain.pending import open_calls
from runstead.domain.run import Run
from runstead.domain.stored_tool import StoredTool
from runstead.errors import Busy, Invalid, NotFound
from runstead.ids import AgentId, MessageId, UserId
from runstead.store import (
    approvals,
    archives,
    blocks,
    folders,
    messages,
    open_files,
    runs,
    secrets,
    tools,
    traces,
)
from runstead.store.blocks import holders
from runstead.store.codec import built, from_us, pack, to_us, unpack
from runstead.store.documents import extra
from runstead.store.locks import hold, lane_lock
from runstead.store.pages import Page, paged
from runstead.store.schema import agent_tags, identities
from runstead.store.schema import agents as table
from runstead.store.secrets import SecretName

_FIND = select(table).where(table.c.id == bindparam("agent_id"), table.c.user_id == bindparam("user_id"))
_IS_AGENT = select(table.c.id).where(
    table.c.id == bindparam("agent_id"), table.c.user_id == bindparam("user_id")
)
# Nobody else changes it meanwhile; messages may still be added to it.
_FIND_LOCKED = _FIND.with_for_update(key_share=True)
_IS_AGENT_KEPT = _IS_AGENT.with_for_update(read=True, key_share=True)
_IS_AGENT_ALONE = _IS_AGENT.with_for_update()
_NOTE_RUN = (
    update(table)
    .where(table.c.id == bindparam("agent"), table.c.user_id == bindparam("actor"))
    .values(
        last_run_completion=bindparam("completion"),
        last_run_duration_ms=bindparam("duration_ms"),
        last_stop_reason=bindparam("stop_reason"),
    )
)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class AgentFilter:
    """Which agents of an actor. None and empty mean any; `query_text` is looked for in the name, letter case aside."""

    name: str | None = None
    query_text: str | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    created_by_id: str | None = None
    last_stop_reason: str | None = None
    block_id: str | None = None
    archive_id: str | None = None
    folder_id: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    identity_id: str | None = None
    identifier_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AgentRecord:
    """An agent with what belongs to it: its blocks, the ids of the messages that its model sees, oldest first, those of its
    tools that its actor made, by name, the names of its secrets, its folders, and what it sees of its open files.
    """

    agent: Agent
    blocks: Sequence[Block]
    message_ids: Sequence[MessageId]
    tools: Mapping[str, StoredTool]
    secrets: Sequence[SecretName]
    folders: Sequence[Folder] = ()
    windows: Sequence[Window] = ()


def make_agent(
    conn: Connection,
    agent: Agent,
    new_blocks: Sequence[Block],
    block_ids: Sequence[str],
    first_messages: Sequence[Message],
    sealed: Mapping[str, bytes | None] | None = None,
) -> AgentRecord:
    """Store a new agent with new blocks, those of its maker that are named, its secrets, and what its history begins with.

    Raises `NotFound` for an unknown block and `Conflict` for two blocks of one label.
    """
    insert_agent(conn, agent)
    blocks.insert_blocks(conn, new_blocks)
    held = _named_blocks(conn, agent.user_id, block_ids)
    for block in (*new_blocks, *held):
        blocks.attach(conn, agent.id, block)
    messages.insert_messages(conn, first_messages)
    secrets.set_secrets(conn, agent.user_id, agent.id, sealed or {}, agent.created_at)
    return _record(conn, agent)


def find_record(conn: Connection, user_id: UserId, agent_id: str) -> AgentRecord | None:
    """One agent of this actor, with what belongs to it."""
    agent = find_agent(conn, user_id, agent_id)
    return None if agent is None else _record(conn, agent)


def list_records(conn: Connection, user_id: UserId, where: AgentFilter, page: Page) -> list[AgentRecord]:
    """A page of an actor's agents, with what belongs to them. Raises `NotFound` for an unknown cursor."""
    found = list_agents(conn, user_id, where, page)
    ids = [agent.id for agent in found]
    held, hidden = blocks.blocks_of_agents(conn, user_id, ids), secrets.names_of_agents(conn, user_id, ids)
    made = tools.tools_named(conn, user_id, {name for agent in found for name in agent.tools})
    given = folders.folders_of_agents(conn, user_id, ids)
    return [
        AgentRecord(
            agent,
            held[agent.id],
            messages.context_ids(conn, user_id, agent.id),
            made,
            hidden[agent.id],
            given[agent.id],
            open_files.windows_of_agent(conn, agent) if given[agent.id] else (),
        )
        for agent in found
    ]


def change_agent(
    conn: Connection,
    user_id: UserId,
    agent_id: str,
    change: Callable[[Agent], Agent],
    block_ids: Sequence[str] | None = None,
    message_ids: Sequence[str] | None = None,
    sealed: Mapping[str, bytes | None] | None = None,
) -> AgentRecord | None:
    """Read, change and write one agent of this actor in one go; None where there is none.

    `block_ids` says which blocks it holds from then on, `message_ids` which messages stay in its context, `sealed` which
    secrets it has. Raises `NotFound`
    for an unknown block, `Invalid` for a message that is not in the context, and what `change` raises.
    """
    row = conn.execute(_FIND_LOCKED, {"agent_id": agent_id, "user_id": user_id}).first()
    if row is None:
        return None
    before = _agent(row)
    agent = change(before)
    update_agent(conn, agent)
    if agent.embedding != before.embedding:
        archives.follow(conn, agent)
    if block_ids is not None:
        wanted = _named_blocks(conn, user_id, block_ids)
        blocks.detach_all(conn, agent.id)
        for block in wanted:
            blocks.attach(conn, agent.id, block)
    if message_ids is not None:
        _keep_in_context(conn, agent, message_ids)
    if sealed is not None:
        secrets.set_secrets(conn, user_id, agent.id, sealed, agent.updated_at)
    return _record(conn, agent)


def begin_anew(
    conn: Connection, agent: Agent, first_messages: Sequence[Message], now: datetime
) -> AgentRecord:
    """Empty an agent's own history and begin it again. What it asked there is gone too.

    Raises `Busy` while a run of it is not over: what it says would stand there without what it answers.
    """
    hold(conn, lane_lock(agent.id))
    if runs.active_in_lane(conn, agent.user_id, agent.id):
        raise Busy(f"Agent {agent.id} has active runs; cancel them first.")
    approvals.settle_lane(conn, agent.user_id, agent.id, now)
    messages.delete_messages(conn, agent.user_id, agent.id)
    messages.insert_messages(conn, first_messages)
    return _record(conn, agent)


def insert_agent(conn: Connection, agent: Agent) -> None:
    """Store a new agent, without blocks and messages."""
    conn.execute(insert(table).values(_row(agent)))
    _write_tags(conn, agent)


def find_agent(conn: Connection, user_id: UserId, agent_id: str) -> Agent | None:
    """One agent of this actor."""
    row = conn.execute(_FIND, {"agent_id": agent_id, "user_id": user_id}).first()
    return None if row is None else _agent(row)


def is_agent(conn: Connection, user_id: UserId, agent_id: str) -> bool:
    """Whether this actor has that agent."""
    return conn.scalar(_IS_AGENT, {"agent_id": agent_id, "user_id": user_id}) is not None


def keep_agent(conn: Connection, user_id: UserId, agent_id: str) -> bool:
    """Whether this actor has that agent; if so, nobody deletes it before the transaction ends."""
    return conn.scalar(_IS_AGENT_KEPT, {"agent_id": agent_id, "user_id": user_id}) is not None


def list_agents(conn: Connection, user_id: UserId, where: AgentFilter, page: Page) -> list[Agent]:
    """A page of an actor's agents; every filter is applied before the limit. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = select(table).where(scope, *_conditions(where))
    return [_agent(row) for row in paged(conn, query, table, scope, page)]


def count_agents(conn: Connection, user_id: UserId, where: AgentFilter) -> int:
    """How many agents of an actor pass the filter."""
    query = select(func.count()).select_from(table).where(table.c.user_id == user_id)
    return conn.scalar(query.where(*_conditions(where))) or 0


def update_agent(conn: Connection, agent: Agent) -> None:
    """Write everything of an agent that a client may change; what its runs wrote stays."""
    row = _row(agent)
    for name in ("last_run_completion", "last_run_duration_ms", "last_stop_reason"):
        del row[name]
    mine = update(table).where(table.c.id == agent.id, table.c.user_id == agent.user_id)
    if conn.execute(mine.values(row)).rowcount == 1:
        conn.execute(delete(agent_tags).where(agent_tags.c.agent_id == agent.id))
        _write_tags(conn, agent)


def rename_tool(conn: Connection, user_id: UserId, before: str, after: str | None) -> None:
    """Let every agent of this actor that has a tool have it under another name, or no longer."""
    # A JSON list of names as text: a name stands in it between quotes.
    named = table.c.document.contains(f'"{before}"', autoescape=True)
    for row in conn.execute(select(table).where(table.c.user_id == user_id, named)).all():
        agent = _agent(row)
        if before in agent.tools:
            update_agent(conn, _with_tool_renamed(agent, before, after))


def _with_tool_renamed(agent: Agent, before: str, after: str | None) -> Agent:
    if after is None:
        names = tuple(name for name in agent.tools if name != before)
        return replace(
            agent, tools=names, tool_rules=tuple(r for r in agent.tool_rules if r.tool_name != before)
        )
    names = tuple(after if name == before else name for name in agent.tools)
    rules = tuple(
        replace(rule, tool_name=after) if rule.tool_name == before else rule for rule in agent.tool_rules
    )
    return replace(agent, tools=names, tool_rules=rules)


def delete_agent(conn: Connection, user_id: UserId, agent_id: str, now: datetime) -> bool:
    """Delete an agent with its messages, conversations and questions; its blocks, runs and steps stay.

    False where there is none.

    Raises `Busy` while it has runs that are not over: they would have nothing to write to.
    """
    # Who admits a run keeps the agent: from here on there comes no new one.
    if conn.scalar(_IS_AGENT_ALONE, {"agent_id": agent_id, "user_id": user_id}) is None:
        return False
    if runs.active_of_agent(conn, user_id, AgentId(agent_id)):
        raise Busy(f"Agent {agent_id} has active runs; cancel them first.")
    approvals.settle_agent(conn, user_id, agent_id, now)
    traces.forget_agent(conn, agent_id)
    gone = conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == agent_id))
    return gone.rowcount == 1


def list_tags(conn: Connection, user_id: UserId) -> list[str]:
    """Every tag on an actor's agents, in alphabetical order."""
    query = (
        select(agent_tags.c.tag)
        .join(table, table.c.id == agent_tags.c.agent_id)
        .where(table.c.user_id == user_id)
        .distinct()
        .order_by(agent_tags.c.tag)
    )
    return list(conn.scalars(query))


def note_run(conn: Connection, run: Run) -> None:
    """Write on the agent how its last run ended."""
    completed = run.completed_at or run.updated_at
    conn.execute(
        _NOTE_RUN,
        {
            "agent": run.agent_id,
            "actor": run.user_id,
            "completion": to_us(completed),
            "duration_ms": (completed - run.created_at) // _MILLISECOND,
            "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        },
    )


def _record(conn: Connection, agent: Agent) -> AgentRecord:
    held = blocks.blocks_of_agent(conn, agent.user_id, agent.id)
    given = folders.folders_of_agent(conn, agent.user_id, agent.id)
    return AgentRecord(
        agent,
        held,
        messages.context_ids(conn, agent.user_id, agent.id),
        tools.tools_named(conn, agent.user_id, agent.tools),
        secrets.names_of_agent(conn, agent.user_id, agent.id),
        given,
        open_files.windows_of_agent(conn, agent) if given else (),
    )


def _keep_in_context(conn: Connection, agent: Agent, message_ids: Sequence[str]) -> None:
    seen, kept = messages.context_ids(conn, agent.user_id, agent.id), set(message_ids)
    strange = sorted(kept.difference(seen))
    if strange:
        raise Invalid(
            f"message_ids may only leave messages out; not in the context: {', '.join(strange)[:500]}."
        )
    leaving = [each for each in seen if each not in kept]
    messages.leave_context(conn, agent.id, leaving)
    approvals.settle_messages(conn, agent.user_id, leaving, agent.updated_at)
    request, after = messages.last_assistant(conn, agent.id)
    waits = open_calls(request, after)
    if waits is None or not waits.waiting or runs.active_in_lane(conn, agent.user_id, agent.id):
        return
    if not approvals.asking(conn, agent.user_id, lane=agent.id):
        raise Invalid(
            "message_ids leaves out the return of a tool call that stays; leave both out, or neither."
        )


def _named_blocks(conn: Connection, user_id: UserId, block_ids: Sequence[str]) -> list[Block]:
    found = blocks.keep_blocks(conn, user_id, block_ids)
    if len(found) < len(set(block_ids)):
        known = {block.id for block in found}
        unknown = [block_id for block_id in block_ids if block_id not in known]
        raise NotFound(f"There are no blocks {', '.join(unknown)[:500]}.")
    return found


def _conditions(where: AgentFilter) -> list[ColumnElement[bool]]:
    plain = (
        (table.c.name, where.name),
        (table.c.user_id, where.created_by_id),
        (table.c.last_stop_reason, where.last_stop_reason),
        (extra(table.c.document, "project_id"), where.project_id),
        (extra(table.c.document, "template_id"), where.template_id),
        (extra(table.c.document, "base_template_id"), where.base_template_id),
    )
    found: list[ColumnElement[bool]] = [column == value for column, value in plain if value is not None]
    if where.identifier_keys:
        found.append(_for_keys(where.identifier_keys))
    if where.query_text:
        words = where.query_text.lower()
        found.append(func.lower(table.c.name).contains(words, autoescape=True))
    if where.block_id is not None:
        found.append(table.c.id.in_(holders(where.block_id)))
    if where.archive_id is not None:
        found.append(table.c.id.in_(archives.holders(where.archive_id)))
    if where.folder_id is not None:
        found.append(table.c.id.in_(folders.folder_holders(where.folder_id)))
    if where.identity_id is not None:
        # A JSON list of ids as text: an id stands in it between quotes.
        found.append(
            extra(table.c.document, "identity_ids").contains(f'"{where.identity_id}"', autoescape=True)
        )
    if where.tags:
        found.append(_tagged(where.tags, match_all=where.match_all_tags))
    return found


def _for_keys(keys: Sequence[str]) -> ColumnElement[bool]:
    """Whether an agent is for an identity that an application calls by one of these keys."""
    one = exists().where(
        identities.c.user_id == table.c.user_id,
        identities.c.identifier_key.in_(keys),
        extra(table.c.document, "identity_ids").contains(literal('"').concat(identities.c.id).concat('"')),
    )
    return one.correlate(table)


def _tagged(tags: Sequence[str], *, match_all: bool) -> ColumnElement[bool]:
    wanted = set(tags)
    matches = (
        select(func.count())
        .select_from(agent_tags)
        .where(agent_tags.c.agent_id == table.c.id, agent_tags.c.tag.in_(wanted))
        .correlate(table)
        .scalar_subquery()
    )
    return matches >= literal(len(wanted) if match_all else 1)


def _write_tags(conn: Connection, agent: Agent) -> None:
    if agent.tags:
        tags = [{"agent_id": agent.id, "tag": tag} for tag in dict.fromkeys(agent.tags)]
        conn.execute(insert(agent_tags), tags)


def _row(agent: Agent) -> dict[str, object]:
    return {
        "id": agent.id,
        "user_id": agent.user_id,
        "name": agent.name,
        "agent_type": agent.agent_type,
        "model": agent.model,
        "system": agent.system,
        "created_at": to_us(agent.created_at),
        "updated_at": to_us(agent.updated_at),
        "last_run_completion": to_us(agent.last_run_completion),
        "last_run_duration_ms": agent.last_run_duration_ms,
        "last_stop_reason": agent.last_stop_reason,
        "hidden": agent.hidden,
        "document": pack(_document(agent)),
    }


def _document(agent: Agent) -> dict[str, object]:
    """What of an agent no query asks for; empty members are left out."""
    everything: dict[str, object] = {
        "context_window_tokens": agent.context_window_tokens,
        "settings": _lean(asdict(agent.settings)),
        "tools": list(agent.tools),
        "tool_rules": [_rule(rule) for rule in agent.tool_rules],
        "tags": list(agent.tags),
        "description": agent.description,
        "embedding": agent.embedding,
        "timezone": agent.timezone,
        "message_buffer_autoclear": agent.message_buffer_autoclear,
        "metadata": agent.metadata,
        "extra": agent.extra,
    }
    return {name: value for name, value in everything.items() if value not in (None, [], {})}


def _lean(document: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in document.items() if value is not None}


def _rule(rule: ToolRule) -> dict[str, object]:
    return {"type": rule.type, "tool_name": rule.tool_name, "extra": rule.extra}


def _agent(row: Row[Any]) -> Agent:
    document = unpack(row.document)
    last_run_completion: int | None = row.last_run_completion
    return Agent(
        id=AgentId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        agent_type=row.agent_type,
        model=row.model,
        system=row.system,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        context_window_tokens=document["context_window_tokens"],
        settings=built(ModelSettings, document.get("settings", {})),
        tools=tuple(document.get("tools", ())),
        tool_rules=tuple(built(ToolRule, rule) for rule in document.get("tool_rules", ())),
        tags=tuple(document.get("tags", ())),
        description=document.get("description"),
        embedding=document.get("embedding"),
        timezone=document["timezone"],
        message_buffer_autoclear=document["message_buffer_autoclear"],
        hidden=row.hidden,
        metadata=document.get("metadata", {}),
        extra=document.get("extra", {}),
        last_run_completion=from_us(last_run_completion),
        last_run_duration_ms=row.last_run_duration_ms,
        last_stop_reason=row.last_stop_reason,
    )
