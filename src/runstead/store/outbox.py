"""What must be told to the outside once a commit stands: written in that commit, done later, tried until it is done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from runstead.ids import RunId
from runstead.store.codec import to_us
from runstead.store.schema import outbox as table


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell: `kind` says what, `attempts` how often it was tried."""

    position: int
    run_id: RunId
    kind: str
    url: str
    attempts: int


def enqueue(conn: Connection, run_id: RunId, kind: str, url: str, now: datetime) -> None:
    """Note that something must be told, due at once."""
    conn.execute(
        insert(table).values(
            run_id=run_id,
            kind=kind,
            url=url,
            body="",
            attempts=0,
            due_at=to_us(now),
            created_at=to_us(now),
        )
    )


def due(conn: Connection, now: datetime, limit: int) -> list[Delivery]:
    """What is due, oldest first."""
    query = (
        select(table.c.position, table.c.run_id, table.c.kind, table.c.url, table.c.attempts)
        .where(table.c.done_at.is_(None), table.c.due_at <= to_us(now))
        .order_by(table.c.due_at)
        .limit(limit)
    )
    return [
        Delivery(row.position, RunId(row.run_id), row.kind, row.url, row.attempts)
        for row in conn.execute(query)
    ]


def lease(conn: Connection, position: int, attempts: int, until: datetime) -> bool:
    """Take one delivery for an attempt: nobody else tries it until then. False where somebody else has it."""
    done = conn.execute(
        update(table)
        .where(table.c.position == position, table.c.attempts == attempts, table.c.done_at.is_(None))
        .values(attempts=attempts + 1, due_at=to_us(until))
    )
    return done.rowcount == 1


def finish(conn: Connection, position: int, now: datetime) -> None:
    """It is told, or given up."""
    conn.execute(update(table).where(table.c.position == position).values(done_at=to_us(now)))


def retry_at(conn: Connection, position: int, at: datetime) -> None:
    """Try again then."""
    conn.execute(update(table).where(table.c.position == position).values(due_at=to_us(at)))


def forget_done(conn: Connection, before: datetime, limit: int) -> int:
    """Forget what was done before then, at most so much. Gives how much that was."""
    done = select(table.c.position).where(table.c.done_at < to_us(before)).limit(limit)
    return conn.execute(delete(table).where(table.c.position.in_(done))).rowcount
