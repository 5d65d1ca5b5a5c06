"""The rows of the event log: several events a row, one line an event. Only `events/` knows what a line means.

A row is written once, under the epoch of the run's owner, and replaced only by folding, which keeps every line.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Connection, bindparam, delete, func, insert, literal, or_, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from runstead.domain.run import RunStatus
from runstead.ids import RunId
from runstead.store.codec import to_us
from runstead.store.schema import events as table
from runstead.store.schema import runs

FOLD_EVENTS_MAX = 1024
READ_ROWS_MAX = 256
_PACK_LEVEL = 1

_OF_OWNER = (
    select(
        runs.c.id,
        bindparam("first_seq", type_=table.c.first_seq.type),
        bindparam("last_seq", type_=table.c.last_seq.type),
        runs.c.epoch,
        literal(value=False),
        bindparam("body", type_=table.c.body.type),
    )
    .where(
        runs.c.id == bindparam("run_id"),
        runs.c.epoch == bindparam("epoch"),
        runs.c.status == RunStatus.RUNNING.value,
    )
    # Whoever takes the run waits for this append, or this append for them: no row comes behind a new owner's back.
    .with_for_update(read=True)
)
# A row that is there already is left: who could not learn what became of an append sends it again.
_APPEND = {
    dialect: statement.from_select(
        ["run_id", "first_seq", "last_seq", "epoch", "packed", "body"], _OF_OWNER
    ).on_conflict_do_nothing()
    for dialect, statement in (("sqlite", sqlite.insert(table)), ("postgresql", postgresql.insert(table)))
}
_INSERT = insert(table)
# Locked where the database knows locks: no claim may come between this look and what is written by it.
_OWNED = (
    select(runs.c.id)
    .where(
        runs.c.id == bindparam("run_id"),
        runs.c.epoch == bindparam("epoch"),
        runs.c.status == RunStatus.RUNNING.value,
    )
    .with_for_update()
)
_ARE_THERE = select(table.c.run_id, table.c.first_seq, table.c.last_seq, table.c.epoch).where(
    tuple_(table.c.run_id, table.c.first_seq).in_(bindparam("places", expanding=True))
)
_KEEP_RUNS = (
    select(runs.c.id)
    .where(runs.c.id.in_(bindparam("run_ids", expanding=True)))
    .order_by(runs.c.id)
    .with_for_update(key_share=True)
)
_WHOLE = (
    select(table.c.first_seq, table.c.epoch, table.c.packed, table.c.body)
    .where(table.c.run_id == bindparam("of_run"))
    .order_by(table.c.first_seq)
)
_DELETE = delete(table).where(table.c.run_id == bindparam("of_run"))
_LAST = select(func.max(table.c.last_seq)).where(table.c.run_id == bindparam("run_id"))
_READ = (
    select(table.c.first_seq, table.c.last_seq, table.c.packed, table.c.body)
    .where(
        table.c.run_id == bindparam("run_id"),
        # No row holds more than so many events: the key's index leads to the place, however long the run is.
        table.c.first_seq > bindparam("after", type_=BigInteger) - FOLD_EVENTS_MAX,
        table.c.last_seq > bindparam("after", type_=BigInteger),
    )
    .order_by(table.c.first_seq)
    .limit(bindparam("rows"))
)
_ENDED = (
    select(runs.c.completed_at, runs.c.id)
    .where(
        runs.c.completed_at >= bindparam("at_us"),
        runs.c.completed_at < bindparam("before_us"),
        or_(runs.c.completed_at > bindparam("at_us"), runs.c.id > bindparam("after_id")),
    )
    .order_by(runs.c.completed_at, runs.c.id)
    .limit(bindparam("rows"))
)


@dataclass(frozen=True, slots=True)
class EventRow:
    """Events `first_seq` to `last_seq` of a run, written by its owner number `epoch`; a line each, no break at the end."""

    run_id: RunId
    first_seq: int
    last_seq: int
    epoch: int
    body: bytes


def append(conn: Connection, rows: Sequence[EventRow]) -> list[EventRow]:
    """Add rows of running runs; one that is there already is no harm. Gives those that were refused: their run has another
    owner, or is over.
    """
    if conn.execute(_APPEND[conn.dialect.name], [_values(row) for row in rows]).rowcount == len(rows):
        return []
    # Some were refused, or the driver does not count many: look which ones are there.
    places = [(row.run_id, row.first_seq) for row in rows]
    there = {tuple(found) for found in conn.execute(_ARE_THERE, {"places": places})}
    return [row for row in rows if (row.run_id, row.first_seq, row.last_seq, row.epoch) not in there]


def _values(row: EventRow) -> dict[str, object]:
    return {
        "run_id": row.run_id,
        "first_seq": row.first_seq,
        "last_seq": row.last_seq,
        "epoch": row.epoch,
        "body": row.body,
    }


def extend(conn: Connection, rows: Sequence[EventRow]) -> list[EventRow]:
    """Add what is not there yet of rows of active runs: asking again changes nothing. Gives those that were refused.

    Refused is a row whose run has another owner or is over, and one that would leave a gap.
    """
    return [row for row in rows if not _extend(conn, row)]


def _extend(conn: Connection, row: EventRow) -> bool:
    if conn.scalar(_OWNED, {"run_id": row.run_id, "epoch": row.epoch}) is None:
        return False
    last = last_seq(conn, row.run_id)
    if row.first_seq > last + 1:
        return False
    if row.last_seq > last:
        lines = row.body.split(b"\n")[last + 1 - row.first_seq :]
        put(conn, [EventRow(row.run_id, last + 1, row.last_seq, row.epoch, b"\n".join(lines))])
    return True


@dataclass(frozen=True, slots=True)
class LogHead:
    """How far a run's log is in the store, and whether that is its end."""

    last_seq: int
    over: bool


def heads(conn: Connection, run_ids: Sequence[RunId]) -> dict[RunId, LogHead]:
    """How far the logs of these runs are; those that do not exist are left out."""
    newest = select(func.max(table.c.last_seq)).where(table.c.run_id == runs.c.id).scalar_subquery()
    query = select(runs.c.id, runs.c.completed_at, runs.c.last_seq, newest).where(runs.c.id.in_(run_ids))
    return {
        RunId(run_id): LogHead(max(committed, stored or 0), over=completed_at is not None)
        for run_id, completed_at, committed, stored in conn.execute(query)
    }


def put(conn: Connection, rows: Sequence[EventRow]) -> None:
    """Add rows in a transaction that has made sure of the owner already."""
    if rows:
        conn.execute(_INSERT, [{**_values(row), "packed": False} for row in rows])


def last_seq(conn: Connection, run_id: RunId) -> int:
    """The number of a run's newest event; 0 where there is none."""
    return conn.scalar(_LAST, {"run_id": run_id}) or 0


def read(conn: Connection, run_id: RunId, after: int) -> list[tuple[int, bytes]]:
    """Rows that hold events after number `after`, oldest first, as (first number, lines). At most `READ_ROWS_MAX` rows."""
    found = conn.execute(_READ, {"run_id": run_id, "after": after, "rows": READ_ROWS_MAX})
    return [(first, zlib.decompress(body) if packed else body) for first, _, packed, body in found]


def fold(conn: Connection, run_ids: Sequence[RunId]) -> None:
    """Put finished runs' many small rows into few packed ones: the same events with the same numbers."""
    if not run_ids:
        return
    # Nobody else folds or deletes them meanwhile; what is deleted already is not there to be folded.
    for run_id in conn.scalars(_KEEP_RUNS, {"run_ids": run_ids}).all():
        _fold(conn, RunId(run_id))


def _fold(conn: Connection, run_id: RunId) -> None:
    rows = conn.execute(_WHOLE, {"of_run": run_id}).all()
    if not rows or rows[0].packed:
        return
    conn.execute(_DELETE, {"of_run": run_id})
    lines = b"\n".join(row.body for row in rows).split(b"\n")
    first, epoch = rows[0].first_seq, rows[-1].epoch
    for start in range(0, len(lines), FOLD_EVENTS_MAX):
        some = lines[start : start + FOLD_EVENTS_MAX]
        conn.execute(
            _INSERT,
            {
                "run_id": run_id,
                "first_seq": first + start,
                "last_seq": first + start + len(some) - 1,
                "epoch": epoch,
                "packed": True,
                "body": zlib.compress(b"\n".join(some), _PACK_LEVEL),
            },
        )


@dataclass(frozen=True, slots=True, order=True)
class Ended:
    """A finished run's place in the order of their ends (microseconds)."""

    at_us: int
    run_id: RunId


def ended(conn: Connection, after: Ended, before: datetime, limit: int) -> list[Ended]:
    """The next runs in the order of their ends, up to those that ended before then. Runs that are not over are not there."""
    given = {"at_us": after.at_us, "after_id": after.run_id, "before_us": to_us(before), "rows": limit}
    return [Ended(int(at_us), RunId(run_id)) for at_us, run_id in conn.execute(_ENDED, given)]


def unpacked(conn: Connection, run_ids: Sequence[RunId]) -> list[RunId]:
    """Those of these runs that have rows which are not packed."""
    query = select(table.c.run_id).where(table.c.run_id.in_(run_ids), table.c.packed.is_(False)).distinct()
    return [RunId(value) for value in conn.scalars(query)]


def count_rows(conn: Connection, run_ids: Sequence[RunId]) -> dict[RunId, int]:
    """How many rows each of these runs has; those without are left out."""
    query = select(table.c.run_id, func.count()).where(table.c.run_id.in_(run_ids)).group_by(table.c.run_id)
    return {RunId(run_id): int(count) for run_id, count in conn.execute(query)}


def delete_ended(conn: Connection, run_ids: Sequence[RunId], before: datetime) -> int:
    """Forget the events of those of these runs that ended before then. Gives how many rows that were."""
    over = select(runs.c.id).where(runs.c.id.in_(run_ids), runs.c.completed_at < to_us(before))
    return conn.execute(delete(table).where(table.c.run_id.in_(over))).rowcount


def delete_events(conn: Connection, run_ids: Sequence[RunId]) -> None:
    """Forget the events of these runs."""
    conn.execute(delete(table).where(table.c.run_id.in_(run_ids)))
