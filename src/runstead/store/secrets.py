"""What an agent's tools are given in their environment: rows of sealed values, by agent and name.

Values are sealed before they come here (`vault.py`); nothing here opens one. Every query names the actor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, false, insert, select, update

from runstead.ids import AgentId, UserId
from runstead.store.codec import from_us, to_us
from runstead.store.locks import hold
from runstead.store.schema import agent_secrets as table

Seal = Callable[[str, str, str], bytes]


@dataclass(frozen=True, slots=True)
class SecretName:
    """That there is a secret, and since when; not what it is."""

    name: str
    created_at: datetime
    updated_at: datetime


def set_secrets(
    conn: Connection, user_id: UserId, agent_id: AgentId, sealed: Mapping[str, bytes | None], now: datetime
) -> None:
    """Give an agent exactly these secrets. None keeps the value that a name has; without one there is nothing to keep."""
    if sealed:
        hold(conn, f"runstead:secrets:{agent_id}")
    mine = (table.c.user_id == user_id) & (table.c.agent_id == agent_id)
    held = {row.name for row in conn.execute(select(table.c.name).where(mine))}
    gone = held.difference(sealed)
    if gone:
        conn.execute(delete(table).where(mine, table.c.name.in_(gone)))
    for name, value in sealed.items():
        if value is None:
            continue
        given = {"value": value, "sealed": True, "updated_at": to_us(now)}
        if name in held:
            conn.execute(update(table).where(mine, table.c.name == name).values(given))
        else:
            row = {"agent_id": agent_id, "name": name, "user_id": user_id, "created_at": to_us(now), **given}
            conn.execute(insert(table).values(row))


def names_of_agent(conn: Connection, user_id: UserId, agent_id: AgentId) -> list[SecretName]:
    """Which secrets an agent has, by name."""
    return names_of_agents(conn, user_id, [agent_id])[agent_id]


def names_of_agents(
    conn: Connection, user_id: UserId, agent_ids: Sequence[AgentId]
) -> dict[AgentId, list[SecretName]]:
    """Which secrets several agents have, by name."""
    query = (
        select(table.c.agent_id, table.c.name, table.c.created_at, table.c.updated_at)
        .where(table.c.user_id == user_id, table.c.agent_id.in_(agent_ids))
        .order_by(table.c.name)
    )
    found: dict[AgentId, list[SecretName]] = {agent_id: [] for agent_id in agent_ids}
    for row in conn.execute(query):
        at = SecretName(row.name, from_us(int(row.created_at)), from_us(int(row.updated_at)))
        found[AgentId(row.agent_id)].append(at)
    return found


def sealed_of_agent(conn: Connection, user_id: UserId, agent_id: AgentId) -> dict[str, bytes]:
    """An agent's secrets as they are kept."""
    query = select(table.c.name, table.c.value).where(
        table.c.user_id == user_id, table.c.agent_id == agent_id, table.c.sealed
    )
    return {row.name: bytes(row.value) for row in conn.execute(query)}


def any_open(conn: Connection) -> bool:
    """Whether there are values of an older version that are not sealed yet."""
    return conn.scalar(select(table.c.name).where(table.c.sealed == false()).limit(1)) is not None


def seal_open(conn: Connection, seal: Seal) -> None:
    """Seal what an older version left open."""
    for row in conn.execute(select(table).where(table.c.sealed == false())).all():
        sealed = seal(row.agent_id, row.name, bytes(row.value).decode())
        conn.execute(
            update(table)
            .where(table.c.agent_id == row.agent_id, table.c.name == row.name, table.c.sealed == false())
            .values(value=sealed, sealed=True)
        )
