"""How much there is, cheaply: what a scrape may ask every few seconds of a store of any size.

Exact where an index over what is unfinished answers; an estimate for whole tables. On SQLite that is the span of the row
numbers: rows are deleted oldest first, so only rows deleted in the middle are counted too. On PostgreSQL it is the planner's
own `reltuples`, as of the last ANALYZE or autovacuum. Speaks of all users together, and of no run by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, exists, func, or_, select, text

from runstead.domain.run import RunStatus
from runstead.store.codec import to_us
from runstead.store.runs import ACTIVE_ONLY
from runstead.store.schema import events, outbox, runs

ESTIMATED = ("events", "messages", "steps", "idempotency_keys")
_ahead = runs.alias("ahead")
_WAITS = exists().where(
    _ahead.c.lane == runs.c.lane,
    text("ahead.status IN ('created', 'running')"),
    _ahead.c.position < runs.c.position,
)
_BY_STATUS = select(runs.c.status, func.count()).where(ACTIVE_ONLY).group_by(runs.c.status)
_WAITING = select(func.count(), func.min(runs.c.created_at)).where(
    ACTIVE_ONLY, runs.c.status == RunStatus.CREATED.value, _WAITS
)
_OVER = func.coalesce(runs.c.lease_until, 0) < bindparam("now_us")
_DUE = select(func.count(), func.min(runs.c.updated_at)).where(
    ACTIVE_ONLY, or_(runs.c.owner.is_(None), _OVER), or_(~_WAITS, runs.c.cancel_requested_at.is_not(None))
)
_OVERDUE = select(func.count(), func.min(runs.c.lease_until)).where(
    ACTIVE_ONLY, runs.c.owner.is_not(None), _OVER
)
_UNPACKED = select(func.count(), func.coalesce(func.sum(func.length(events.c.body)), 0)).where(
    events.c.run_id.in_(select(runs.c.id).where(ACTIVE_ONLY))
)


@dataclass(frozen=True, slots=True)
class Sizes:
    """`rows` are estimates by table; `event_bytes` is None where only a whole scan could tell."""

    active: Mapping[str, int]
    waiting: int
    oldest_waiting_s: float
    due: int
    oldest_due_s: float
    overdue: int
    oldest_overdue_s: float
    unpacked_rows: int
    unpacked_bytes: int
    outbox_due: int
    rows: Mapping[str, int]
    store_bytes: int
    event_bytes: int | None


def measure(conn: Connection, now: datetime) -> Sizes:
    """All sizes, in one snapshot."""
    now_us = to_us(now)
    waiting, waiting_since_us = conn.execute(_WAITING).one()
    due_runs, due_since_us = conn.execute(_DUE, {"now_us": now_us}).one()
    overdue, overdue_since_us = conn.execute(_OVERDUE, {"now_us": now_us}).one()
    unpacked_rows, unpacked_bytes = conn.execute(_UNPACKED).one()
    due = select(func.count()).where(outbox.c.done_at.is_(None), outbox.c.due_at <= now_us)
    postgres = conn.dialect.name == "postgresql"
    return Sizes(
        active={str(status): int(count) for status, count in conn.execute(_BY_STATUS)},
        waiting=int(waiting),
        oldest_waiting_s=_since_s(waiting_since_us, now_us),
        due=int(due_runs),
        oldest_due_s=_since_s(due_since_us, now_us),
        overdue=int(overdue),
        oldest_overdue_s=_since_s(overdue_since_us, now_us),
        unpacked_rows=int(unpacked_rows),
        unpacked_bytes=int(unpacked_bytes),
        outbox_due=int(conn.scalar(due) or 0),
        rows=_planned(conn) if postgres else {name: _span(conn, name) for name in ESTIMATED},
        store_bytes=_number(conn, _DATABASE_POSTGRES if postgres else _DATABASE_SQLITE),
        event_bytes=_number(conn, _EVENTS_POSTGRES) if postgres else None,
    )


_DATABASE_SQLITE = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
_DATABASE_POSTGRES = "SELECT pg_database_size(current_database())"
_EVENTS_POSTGRES = "SELECT pg_total_relation_size('events')"


def _since_s(then_us: int | None, now_us: int) -> float:
    return 0.0 if then_us is None else max(0.0, (now_us - int(then_us)) / 1e6)


def _number(conn: Connection, query: str) -> int:
    return int(conn.scalar(text(query)) or 0)


def _span(conn: Connection, table: str) -> int:
    """Rows of a SQLite table, at most: both ends are looked up by row number, apart, which reads two pages."""
    ends = f"SELECT (SELECT max(rowid) FROM {table}) - (SELECT min(rowid) FROM {table}) + 1"  # noqa: S608 - our own names
    return _number(conn, ends)


def _planned(conn: Connection) -> dict[str, int]:
    """Rows of PostgreSQL's tables, as its planner believes; a table that was never analyzed counts as empty."""
    query = text(
        "SELECT relname, reltuples FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace"
    )
    found = {str(name): max(0, int(rows)) for name, rows in conn.execute(query)}
    return {name: found.get(name, 0) for name in ESTIMATED}
