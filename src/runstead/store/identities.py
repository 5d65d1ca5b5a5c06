"""Identities: their rows. Which agents are for an identity stands with the agents, which blocks with the identity.

Every query names the actor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, select, update

from runstead.domain.agent import Agent
from runstead.domain.identity import Identity
from runstead.errors import Conflict, NotFound
from runstead.ids import IdentityId, UserId
from runstead.store import agents, blocks
from runstead.store.agents import AgentFilter
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.pages import LIMIT_MAX, Page, paged
from runstead.store.schema import identities as table

_KEPT_AT_AGENT = "identity_ids"


@dataclass(frozen=True, slots=True)
class IdentityFilter:
    """Which identities of an actor. None means any; words of the name are looked for letter case aside."""

    name: str | None = None
    project_id: str | None = None
    identifier_key: str | None = None
    identity_type: str | None = None


def insert_identity(conn: Connection, identity: Identity, agent_ids: Sequence[str]) -> None:
    """Store a new identity, and write it on its agents.

    Raises `Conflict` where its key is taken, `NotFound` for an unknown agent or block.
    """
    if find_by_key(conn, identity.user_id, identity.identifier_key) is not None:
        raise Conflict(f"There is an identity with the identifier_key {identity.identifier_key!r} already.")
    _check_blocks(conn, identity)
    conn.execute(insert(table).values(_row(identity)))
    set_agents(conn, identity, agent_ids)


def find_identity(conn: Connection, user_id: UserId, identity_id: str) -> Identity | None:
    """One identity of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id == identity_id)).first()
    return None if row is None else _identity(row)


def find_by_key(conn: Connection, user_id: UserId, key: str) -> Identity | None:
    """The identity that an application calls so."""
    mine = (table.c.user_id == user_id, table.c.identifier_key == key)
    row = conn.execute(select(table).where(*mine)).first()
    return None if row is None else _identity(row)


def list_identities(
    conn: Connection, user_id: UserId, where: IdentityFilter, page: Page
) -> list[tuple[Identity, list[str]]]:
    """A page of an actor's identities, each with its agents' ids. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = select(table).where(scope, *_conditions(where))
    found = [_identity(row) for row in paged(conn, query, table, scope, page)]
    return [(each, agents_of(conn, each)) for each in found]


def identities_on(
    conn: Connection, user_id: UserId, found: Sequence[Agent]
) -> dict[str, list[tuple[Identity, list[str]]]]:
    """The identities that agents are for, by agent, each with all its agents' ids."""
    wanted = {identity_id for agent in found for identity_id in _ids_on(agent)}
    if not wanted:
        return {}
    rows = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id.in_(wanted)))
    known = {each.id: (each, agents_of(conn, each)) for each in map(_identity, rows)}
    return {
        agent.id: [known[IdentityId(each)] for each in _ids_on(agent) if each in known] for agent in found
    }


def count_identities(conn: Connection, user_id: UserId) -> int:
    """How many identities an actor has."""
    return conn.scalar(select(func.count()).select_from(table).where(table.c.user_id == user_id)) or 0


def change_identity(
    conn: Connection,
    user_id: UserId,
    identity_id: str,
    change: Callable[[Identity], Identity],
    agent_ids: Sequence[str] | None,
) -> Identity | None:
    """Read, change and write one identity in one go; with `agent_ids`, it is those agents' from then on.

    None where there is no such identity. Raises as `insert_identity` does.
    """
    found = find_identity(conn, user_id, identity_id)
    if found is None:
        return None
    changed = change(found)
    other = find_by_key(conn, user_id, changed.identifier_key)
    if other is not None and other.id != found.id:
        raise Conflict(f"There is an identity with the identifier_key {changed.identifier_key!r} already.")
    _check_blocks(conn, changed)
    mine = update(table).where(table.c.id == found.id, table.c.user_id == user_id)
    conn.execute(mine.values(_row(changed)))
    if agent_ids is not None:
        set_agents(conn, changed, agent_ids)
    return changed


def delete_identity(conn: Connection, user_id: UserId, identity_id: str) -> bool:
    """Delete an identity, and take it from its agents; False where there is none."""
    found = find_identity(conn, user_id, identity_id)
    if found is None:
        return False
    set_agents(conn, found, ())
    conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == identity_id))
    return True


def agents_of(conn: Connection, identity: Identity) -> list[str]:
    """The ids of the agents that are for an identity, oldest first."""
    where = AgentFilter(identity_id=identity.id)
    page = Page(limit=LIMIT_MAX, ascending=True)
    return [agent.id for agent in agents.list_agents(conn, identity.user_id, where, page)]


def set_agents(conn: Connection, identity: Identity, agent_ids: Sequence[str]) -> None:
    """Write an identity on these agents, and on no other. Raises `NotFound` for an unknown one."""
    held = agents_of(conn, identity)
    for agent_id in {*held, *agent_ids}:
        if (agent_id in held) != (agent_id in agent_ids):
            attach(conn, identity, agent_id, wanted=agent_id in agent_ids)


def attach(conn: Connection, identity: Identity, agent_id: str, *, wanted: bool) -> None:
    """Write an identity on an agent, or take it from it. Raises `NotFound` where the agent is not the actor's."""

    def change(agent: Agent) -> Agent:
        held = [each for each in _ids_on(agent) if each != identity.id]
        return replace(agent, extra={**agent.extra, _KEPT_AT_AGENT: [*held, identity.id] if wanted else held})

    if agents.change_agent(conn, identity.user_id, agent_id, change) is None:
        raise NotFound(f"Agent with ID {agent_id} not found")


def _ids_on(agent: Agent) -> list[str]:
    kept = agent.extra.get(_KEPT_AT_AGENT)
    return [str(each) for each in kept] if isinstance(kept, list) else []  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


def _check_blocks(conn: Connection, identity: Identity) -> None:
    found = {block.id for block in blocks.find_blocks(conn, identity.user_id, identity.block_ids)}
    if unknown := [each for each in identity.block_ids if each not in found]:
        raise NotFound(f"There are no blocks {', '.join(unknown)[:500]}.")


def _conditions(where: IdentityFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if where.name is not None:
        found.append(func.lower(table.c.name).contains(where.name.lower(), autoescape=True))
    if where.identifier_key is not None:
        found.append(table.c.identifier_key == where.identifier_key)
    if where.identity_type is not None:
        found.append(table.c.identity_type == where.identity_type)
    if where.project_id is not None:
        found.append(table.c.document.contains(f'"project_id":"{where.project_id}"', autoescape=True))
    return found


def _row(identity: Identity) -> dict[str, object]:
    document = {
        "properties": [dict(each) for each in identity.properties],
        "project_id": identity.project_id,
        "block_ids": list(identity.block_ids),
    }
    return {
        "id": identity.id,
        "user_id": identity.user_id,
        "identifier_key": identity.identifier_key,
        "name": identity.name,
        "identity_type": identity.identity_type,
        "created_at": to_us(identity.created_at),
        "updated_at": to_us(identity.updated_at),
        "document": pack({name: value for name, value in document.items() if value}),
    }


def _identity(row: Row[Any]) -> Identity:
    document = unpack(row.document)
    return Identity(
        id=IdentityId(row.id),
        user_id=UserId(row.user_id),
        identifier_key=row.identifier_key,
        name=row.name,
        identity_type=row.identity_type,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        properties=tuple(document.get("properties", ())),
        project_id=document.get("project_id"),
        block_ids=tuple(document.get("block_ids", ())),
    )
