"""Memory blocks and which agents hold them. A block may be shared: each agent names it by its label, once.

Every query names the actor, and a block is only ever attached to an agent of the same actor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Row,
    ScalarSelect,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    update,
)

from runstead.domain.agent import Block
from runstead.errors import Conflict
from runstead.ids import AgentId, BlockId, UserId
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.documents import extra
from runstead.store.pages import Page, paged
from runstead.store.schema import agent_blocks, agents, block_tags
from runstead.store.schema import blocks as table

_FIND = select(table).where(table.c.id == bindparam("block_id"), table.c.user_id == bindparam("user_id"))
# Nobody else changes it meanwhile.
_FIND_LOCKED = _FIND.with_for_update(key_share=True)
# Nobody deletes it meanwhile.
_FIND_KEPT = _FIND.with_for_update(read=True, key_share=True)
_OF_AGENT = (
    select(table)
    .join(agent_blocks, agent_blocks.c.block_id == table.c.id)
    .where(agent_blocks.c.agent_id == bindparam("agent_id"), table.c.user_id == bindparam("user_id"))
    .order_by(table.c.created_at, table.c.id)
)
_BY_LABEL = (
    select(table)
    .join(agent_blocks, agent_blocks.c.block_id == table.c.id)
    .where(
        table.c.user_id == bindparam("user_id"),
        agent_blocks.c.agent_id == bindparam("agent_id"),
        agent_blocks.c.label == bindparam("label"),
    )
)
_BY_LABEL_LOCKED = _BY_LABEL.with_for_update(of=table, key_share=True)
# Who gives an agent a block holds the agent's row: its labels are looked at and taken in one go.
_HOLDER = select(agents.c.id).where(agents.c.id == bindparam("agent_id")).with_for_update(key_share=True)
_HOLDERS = (
    select(agents.c.id)
    .join(agent_blocks, agent_blocks.c.agent_id == agents.c.id)
    .where(agent_blocks.c.block_id == bindparam("block_id"))
    .order_by(agents.c.id)
    .with_for_update(of=agents, key_share=True)
)
_WRITE_VALUE = update(table).where(
    table.c.id == bindparam("of_block"), table.c.user_id == bindparam("of_user")
)


@dataclass(frozen=True, slots=True)
class BlockFilter:
    """Which blocks of an actor. None and empty mean any; `agents_*` count the agents that hold the block."""

    label: str | None = None
    name: str | None = None
    templates_only: bool = False
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    label_search: str | None = None
    value_search: str | None = None
    description_search: str | None = None
    agents_gt: int | None = None
    agents_lt: int | None = None
    agents_in: tuple[int, ...] = ()
    project_id: str | None = None
    nothing: bool = False


def insert_blocks(conn: Connection, blocks: Sequence[Block]) -> None:
    """Store new blocks."""
    if blocks:
        conn.execute(insert(table), [_row(block) for block in blocks])
    for block in blocks:
        _write_tags(conn, block)


def find_block(conn: Connection, user_id: UserId, block_id: str) -> Block | None:
    """One block of this actor."""
    row = conn.execute(_FIND, {"block_id": block_id, "user_id": user_id}).first()
    return None if row is None else _block(row)


def find_blocks(conn: Connection, user_id: UserId, block_ids: Sequence[str]) -> list[Block]:
    """Those of the named blocks that this actor has, in the order they were named."""
    query = select(table).where(table.c.user_id == user_id, table.c.id.in_(block_ids))
    found = {row.id: _block(row) for row in conn.execute(query)}
    return [found[block_id] for block_id in dict.fromkeys(block_ids) if block_id in found]


def keep_blocks(conn: Connection, user_id: UserId, block_ids: Sequence[str]) -> list[Block]:
    """Those of the named blocks that this actor has, in the order they were named; none is deleted in this transaction."""
    if not block_ids:
        return []
    query = select(table).where(table.c.user_id == user_id, table.c.id.in_(block_ids)).order_by(table.c.id)
    kept = query.with_for_update(read=True, key_share=True)
    found = {row.id: _block(row) for row in conn.execute(kept)}
    return [found[block_id] for block_id in dict.fromkeys(block_ids) if block_id in found]


def list_blocks(conn: Connection, user_id: UserId, where: BlockFilter, page: Page) -> list[Block]:
    """A page of an actor's blocks; every filter is applied before the limit. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = select(table).where(scope, *_conditions(where))
    return [_block(row) for row in paged(conn, query, table, scope, page)]


def count_blocks(conn: Connection, user_id: UserId, where: BlockFilter) -> int:
    """How many blocks of an actor pass the filter."""
    query = select(func.count()).select_from(table).where(table.c.user_id == user_id)
    return conn.scalar(query.where(*_conditions(where))) or 0


def update_block(conn: Connection, block: Block) -> None:
    """Write everything of a block. Raises `Conflict` where an agent that holds it has another block of its label."""
    held_by = conn.scalars(_HOLDERS, {"block_id": block.id}).all()
    taken = exists().where(
        agent_blocks.c.agent_id.in_(held_by),
        agent_blocks.c.label == block.label,
        agent_blocks.c.block_id != block.id,
    )
    if held_by and conn.scalar(select(taken)):
        raise Conflict(f"An agent that holds this block has another one with the label '{block.label}'.")
    mine = update(table).where(table.c.id == block.id, table.c.user_id == block.user_id)
    if conn.execute(mine.values(_row(block))).rowcount == 1:
        if held_by:
            conn.execute(
                update(agent_blocks).where(agent_blocks.c.block_id == block.id).values(label=block.label)
            )
        conn.execute(delete(block_tags).where(block_tags.c.block_id == block.id))
        _write_tags(conn, block)


def change_block(
    conn: Connection,
    user_id: UserId,
    block_id: str,
    change: Callable[[Block], Block],
    agent_id: AgentId | None = None,
) -> Block | None:
    """Read, change and write one block of this actor in one go, so that what an agent writes meanwhile is not lost.

    With an agent, `block_id` is the label under which it holds the block. None where there is no such block. Raises as
    `update_block` does, and what `change` raises.
    """
    if agent_id is None:
        row = conn.execute(_FIND_LOCKED, {"block_id": block_id, "user_id": user_id}).first()
    else:
        named = {"agent_id": agent_id, "label": block_id, "user_id": user_id}
        row = conn.execute(_BY_LABEL_LOCKED, named).first()
    if row is None:
        return None
    changed = change(_block(row))
    update_block(conn, changed)
    return changed


def write_value(conn: Connection, block: Block) -> None:
    """Write what a block says now."""
    conn.execute(
        _WRITE_VALUE,
        {
            "of_block": block.id,
            "of_user": block.user_id,
            "value": block.value,
            "updated_at": to_us(block.updated_at),
        },
    )


def delete_block(conn: Connection, user_id: UserId, block_id: str) -> None:
    """Delete a block, and take it from every agent that holds it."""
    mine = select(table.c.id).where(table.c.user_id == user_id, table.c.id == block_id)
    conn.execute(delete(agent_blocks).where(agent_blocks.c.block_id.in_(mine)))
    conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == block_id))


def blocks_of_agent(conn: Connection, user_id: UserId, agent_id: str) -> list[Block]:
    """The blocks an agent holds, oldest first."""
    rows = conn.execute(_OF_AGENT, {"agent_id": agent_id, "user_id": user_id})
    return [_block(row) for row in rows]


def blocks_of_agents(
    conn: Connection, user_id: UserId, agent_ids: Sequence[AgentId]
) -> dict[AgentId, list[Block]]:
    """The blocks of several agents, by agent, oldest first."""
    query = (
        select(agent_blocks.c.agent_id.label("holder"), *table.c)
        .join(agent_blocks, agent_blocks.c.block_id == table.c.id)
        .where(table.c.user_id == user_id, agent_blocks.c.agent_id.in_(agent_ids))
        .order_by(table.c.created_at, table.c.id)
    )
    found: dict[AgentId, list[Block]] = {agent_id: [] for agent_id in agent_ids}
    for row in conn.execute(query):
        found[row.holder].append(_block(row))
    return found


def find_by_label(conn: Connection, user_id: UserId, agent_id: str, label: str) -> Block | None:
    """The block that an agent holds under a label."""
    row = conn.execute(_BY_LABEL, {"user_id": user_id, "agent_id": agent_id, "label": label}).first()
    return None if row is None else _block(row)


def list_agent_blocks(conn: Connection, user_id: UserId, agent_id: str, page: Page) -> list[Block]:
    """A page of the blocks that an agent holds. Raises `NotFound` for an unknown cursor."""
    held = select(agent_blocks.c.block_id).where(agent_blocks.c.agent_id == agent_id)
    scope = (table.c.user_id == user_id) & table.c.id.in_(held)
    return [_block(row) for row in paged(conn, select(table).where(scope), table, scope, page)]


def attach(conn: Connection, agent_id: AgentId, block: Block) -> None:
    """Give an agent a block; again changes nothing. Raises `Conflict` where it has another one of that label."""
    conn.execute(_HOLDER, {"agent_id": agent_id})
    held = conn.scalar(
        select(agent_blocks.c.block_id).where(
            agent_blocks.c.agent_id == agent_id, agent_blocks.c.label == block.label
        )
    )
    if held == block.id:
        return
    if held is not None:
        raise Conflict(f"Agent {agent_id} has a block with the label '{block.label}' already: {held}.")
    conn.execute(insert(agent_blocks).values(agent_id=agent_id, label=block.label, block_id=block.id))


def attach_to(conn: Connection, user_id: UserId, agent_id: AgentId, block_id: BlockId) -> bool:
    """Give an agent one of its actor's blocks; False where there is no such agent or block. Raises as `attach` does."""
    mine = exists().where(agents.c.id == agent_id, agents.c.user_id == user_id)
    row = conn.execute(_FIND_KEPT, {"block_id": block_id, "user_id": user_id}).first()
    if row is None or not conn.scalar(select(mine)):
        return False
    attach(conn, agent_id, _block(row))
    return True


def detach(conn: Connection, user_id: UserId, agent_id: AgentId, block_id: BlockId) -> None:
    """Take a block from an agent of this actor; the block stays."""
    mine = select(agents.c.id).where(agents.c.id == agent_id, agents.c.user_id == user_id)
    conn.execute(
        delete(agent_blocks).where(agent_blocks.c.agent_id.in_(mine), agent_blocks.c.block_id == block_id)
    )


def detach_all(conn: Connection, agent_id: AgentId) -> None:
    """Take all blocks from an agent; they stay."""
    conn.execute(delete(agent_blocks).where(agent_blocks.c.agent_id == agent_id))


def holders(block_id: str) -> Select[Any]:
    """The ids of the agents that hold a block, as a query to filter agents by."""
    return select(agent_blocks.c.agent_id).where(agent_blocks.c.block_id == block_id)


def _write_tags(conn: Connection, block: Block) -> None:
    if block.tags:
        tags = [{"block_id": block.id, "tag": tag} for tag in dict.fromkeys(block.tags)]
        conn.execute(insert(block_tags), tags)


def _conditions(where: BlockFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if where.nothing:
        found.append(literal(value=False))
    if where.project_id is not None:
        found.append(extra(table.c.document, "project_id") == where.project_id)
    if where.label is not None:
        found.append(table.c.label == where.label)
    if where.name is not None:
        found.append(table.c.name == where.name)
    if where.templates_only:
        found.append(table.c.is_template.is_(True))
    for column, words in (
        (table.c.label, where.label_search),
        (table.c.value, where.value_search),
        (table.c.description, where.description_search),
    ):
        if words:
            found.append(func.lower(column).contains(words.lower(), autoescape=True))
    if where.tags:
        found.append(_tagged(where))
    return found + _counted(where)


def _tagged(where: BlockFilter) -> ColumnElement[bool]:
    wanted = set(where.tags)
    matches = (
        select(func.count())
        .select_from(block_tags)
        .where(block_tags.c.block_id == table.c.id, block_tags.c.tag.in_(wanted))
        .correlate(table)
        .scalar_subquery()
    )
    return matches >= literal(len(wanted) if where.match_all_tags else 1)


def _counted(where: BlockFilter) -> list[ColumnElement[bool]]:
    count: ScalarSelect[int] = (
        select(func.count(type_=BigInteger))
        .select_from(agent_blocks)
        .join(agents, agents.c.id == agent_blocks.c.agent_id)
        .where(agent_blocks.c.block_id == table.c.id)
        .correlate(table)
        .scalar_subquery()
    )
    found: list[ColumnElement[bool]] = []
    if where.agents_gt is not None:
        found.append(count > literal(where.agents_gt))
    if where.agents_lt is not None:
        found.append(count < literal(where.agents_lt))
    if where.agents_in:
        found.append(count.in_(where.agents_in))
    return found


def _row(block: Block) -> dict[str, object]:
    document: dict[str, object] = {}
    if block.tags:
        document["tags"] = list(block.tags)
    if block.metadata:
        document["metadata"] = block.metadata
    if block.extra:
        document["extra"] = block.extra
    return {
        "id": block.id,
        "user_id": block.user_id,
        "label": block.label,
        "value": block.value,
        "description": block.description,
        "name": block.name,
        "limit_chars": block.limit_chars,
        "read_only": block.read_only,
        "is_template": block.is_template,
        "hidden": block.hidden,
        "created_at": to_us(block.created_at),
        "updated_at": to_us(block.updated_at),
        "document": pack(document),
    }


def _block(row: Row[Any]) -> Block:
    document = unpack(row.document)
    return Block(
        id=BlockId(row.id),
        user_id=UserId(row.user_id),
        label=row.label,
        value=row.value,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        limit_chars=row.limit_chars,
        description=row.description,
        read_only=row.read_only,
        is_template=row.is_template,
        name=row.name,
        hidden=row.hidden,
        tags=tuple(document.get("tags", ())),
        metadata=document.get("metadata", {}),
        extra=document.get("extra", {}),
    )
