"""Which request made which run: so that asking again gives the same run. Written in the commit that admits the run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, exists, insert, select, tuple_

from runstead.errors import Conflict
from runstead.ids import RunId, UserId
from runstead.store.codec import to_us
from runstead.store.runs import ACTIVE_ONLY
from runstead.store.schema import idempotency_keys as table
from runstead.store.schema import runs

_RECALL = select(table.c.run_id, table.c.fingerprint).where(
    table.c.user_id == bindparam("user_id"), table.c.key == bindparam("key")
)
_REMEMBER = insert(table)


@dataclass(frozen=True, slots=True)
class Remembered:
    """The run that a key made, and the fingerprint of the request that brought it."""

    run_id: RunId
    fingerprint: str


def recall(conn: Connection, user_id: UserId, key: str) -> Remembered | None:
    """What this actor's key made before."""
    row = conn.execute(_RECALL, {"user_id": user_id, "key": key}).first()
    return None if row is None else Remembered(RunId(row.run_id), row.fingerprint)


def remember(conn: Connection, user_id: UserId, key: str, made: Remembered, now: datetime) -> None:
    """Note what a key made."""
    values = {
        "user_id": user_id,
        "key": key,
        "fingerprint": made.fingerprint,
        "run_id": made.run_id,
        "created_at": to_us(now),
    }
    conn.execute(_REMEMBER, values)


def same_request(known: Remembered, fingerprint: str) -> RunId:
    """The run that a key stands for. Raises `Conflict` where the request is another one than that which brought the key."""
    if known.fingerprint != fingerprint:
        raise Conflict(
            "This Idempotency-Key (or these otids) came with another request before; use a new one for a new request.",
            run_id=known.run_id,
        )
    return known.run_id


def forget_before(conn: Connection, before: datetime, limit: int) -> int:
    """Forget the oldest keys that are too old to be retries, at most so many. Gives how many.

    The key of a run that is not over is kept: a retry must find it, however long the run stood in line.
    """
    over = (
        select(table.c.user_id, table.c.key)
        .where(table.c.created_at < to_us(before), ~exists().where(runs.c.id == table.c.run_id, ACTIVE_ONLY))
        .order_by(table.c.created_at)
        .limit(limit)
    )
    return conn.execute(delete(table).where(tuple_(table.c.user_id, table.c.key).in_(over))).rowcount


def forget_run(conn: Connection, run_id: RunId) -> None:
    """Forget the keys of a run that is deleted."""
    conn.execute(delete(table).where(table.c.run_id == run_id))
