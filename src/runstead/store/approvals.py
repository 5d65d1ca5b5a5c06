"""Which runs ask: they ended with a message that waits for a person or the client. Each says which, and until when.

What is open stands in the transcript, and that decides; this is how it is found, listed and timed. Whoever answers, or takes
the question away, says so here in the same commit. It is no change of a run's state, so it needs no owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from runstead.domain.message import Message
from runstead.domain.run import Run
from runstead.ids import UserId
from runstead.store import messages, runs
from runstead.store.codec import to_us
from runstead.store.schema import runs as table

_OVERDUE = (
    select(*table.c)
    .where(table.c.asks.is_not(None), table.c.asks_until <= bindparam("now"))
    .order_by(table.c.asks_until)
    .limit(bindparam("rows"))
)


def overdue(conn: Connection, now: datetime, limit: int) -> list[Run]:
    """Runs of all actors whose questions nobody answered in time, the oldest first; for the server's own timer."""
    return [runs.run_of(row) for row in conn.execute(_OVERDUE, {"now": to_us(now), "rows": limit})]


def asking(
    conn: Connection, user_id: UserId, *, agent_id: str | None = None, lane: str | None = None
) -> list[Run]:
    """The runs of an actor that ask, of an agent or of a lane, the oldest first."""
    query = select(*table.c).where(table.c.user_id == user_id, table.c.asks.is_not(None))
    if agent_id is not None:
        query = query.where(table.c.agent_id == agent_id)
    if lane is not None:
        query = query.where(table.c.lane == lane)
    return [runs.run_of(row) for row in conn.execute(query.order_by(table.c.created_at, table.c.id))]


def requests(conn: Connection, user_id: UserId, found: Sequence[Run]) -> dict[str, Message]:
    """The messages with which runs of this actor ask, by run."""
    asked = {run.asks: run.id for run in found if run.asks is not None}
    return {asked[each.id]: each for each in messages.some_messages(conn, user_id, list(asked))}


def pending_of_agents(
    conn: Connection, user_id: UserId, agent_ids: Sequence[str]
) -> dict[str, tuple[Run, Message]]:
    """What agents of this actor wait for in their own histories, by agent: the run that asks, and its message."""
    own = table.c.lane.in_(agent_ids)
    query = select(*table.c).where(table.c.user_id == user_id, table.c.asks.is_not(None), own)
    found = [runs.run_of(row) for row in conn.execute(query)]
    asked = requests(conn, user_id, found)
    return {run.agent_id: (run, asked[run.id]) for run in found if run.id in asked}


def still_asks(conn: Connection, run: Run) -> bool:
    """Whether nobody has answered it since it was read, nor taken its question away."""
    found = select(table.c.asks).where(table.c.id == run.id, table.c.user_id == run.user_id)
    return run.asks is not None and conn.scalar(found) == run.asks


def settle(conn: Connection, request: Message, now: datetime) -> None:
    """The question was answered: its run asks no longer."""
    _quiet(conn, request.user_id, now, table.c.id == request.run_id, table.c.asks == request.id)


def settle_run(conn: Connection, run: Run, now: datetime) -> None:
    """The run's question can be answered by nobody any more."""
    _quiet(conn, run.user_id, now, table.c.id == run.id)


def settle_lane(conn: Connection, user_id: UserId, lane: str, now: datetime) -> None:
    """The history in which runs asked is gone."""
    _quiet(conn, user_id, now, table.c.lane == lane)


def settle_agent(conn: Connection, user_id: UserId, agent_id: str, now: datetime) -> None:
    """The agent whose runs asked is gone."""
    _quiet(conn, user_id, now, table.c.agent_id == agent_id)


def settle_messages(conn: Connection, user_id: UserId, gone: Sequence[str], now: datetime) -> None:
    """These messages are no longer seen, so nobody can answer them."""
    _quiet(conn, user_id, now, table.c.asks.in_(gone))


def _quiet(conn: Connection, user_id: UserId, now: datetime, *which: ColumnElement[bool]) -> None:
    mine = update(table).where(table.c.user_id == user_id, table.c.asks.is_not(None), *which)
    conn.execute(mine.values(asks=None, asks_until=None, updated_at=to_us(now)))
