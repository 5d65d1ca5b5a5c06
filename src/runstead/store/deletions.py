"""Which runs were deleted, and when. Kept for a while for who follows changes; never says what was in a run."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from runstead.domain.run import Run
from runstead.ids import RunId, UserId
from runstead.store.codec import to_us
from runstead.store.schema import deleted_runs as table


def note(conn: Connection, run: Run, now: datetime) -> None:
    """Note that a run's row was deleted by this transaction. A run is deleted once."""
    conn.execute(insert(table).values(run_id=run.id, user_id=run.user_id, deleted_at=to_us(now)))


def deleted_since(conn: Connection, user_id: UserId, since: datetime) -> list[RunId]:
    """The runs of an actor that were deleted at or after `since`, as far as they are remembered."""
    query = select(table.c.run_id).where(table.c.user_id == user_id, table.c.deleted_at >= to_us(since))
    return [RunId(run_id) for run_id in conn.scalars(query)]


def forget_before(conn: Connection, before: datetime, limit: int) -> int:
    """Forget the oldest deletions, at most so many. Gives how many."""
    old = (
        select(table.c.run_id)
        .where(table.c.deleted_at < to_us(before))
        .order_by(table.c.deleted_at)
        .limit(limit)
    )
    return conn.execute(delete(table).where(table.c.run_id.in_(old))).rowcount
