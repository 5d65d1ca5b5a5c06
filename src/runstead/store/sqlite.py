"""SQLite: one thread writes, a few read, and commits are grouped without a timer.

Whatever waits when the writer is free becomes one transaction: alone when the server is idle, many when it is busy. A batch
is tried as one; where a query in it fails, all is rolled back and each is done alone, so that queries never see one
another's failures. The event loop's thread never touches the file. WAL mode: readers see the last commit, wait for no one.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Concatenate, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from runstead.errors import Unavailable
from runstead.store.distance import teach

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[[Connection], object]

BATCH_MAX = 512
READERS = 2
BUSY_TIMEOUT_MS = 10_000
CACHE_KIB = 16 * 1024
# The disk's and the file's faults, in which the same query may go well later. Others of the kind are bugs of a query.
_MAY_PASS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}
_PRIMARY_CODE = 0xFF


@dataclass(slots=True)
class _Job:
    """One query and who waits for it."""

    query: Query
    future: asyncio.Future[object]
    value: object = None
    error: BaseException | None = None


class SqliteDatabase:
    """The tables in one SQLite file. `synchronous` is SQLite's own setting: NORMAL or FULL."""

    def __init__(self, path: Path, *, synchronous: str = "NORMAL") -> None:
        self._engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT", poolclass=NullPool)
        event.listen(self._engine, "connect", _prepare(synchronous))
        self._writes: SimpleQueue[_Job | None] = SimpleQueue()
        self._reads: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._threads = [self._start("runstead-write", self._write_loop)]
        self._threads += [self._start(f"runstead-read-{n}", self._read_loop) for n in range(READERS)]

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` on a snapshot; it must not write."""
        return cast("T", await self._put(self._reads, lambda c: query(c, *args, **kwargs)))

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` in a transaction; durable when this returns. `query` may be run twice if another one fails."""
        return cast("T", await self._put(self._writes, lambda c: query(c, *args, **kwargs)))

    async def close(self) -> None:
        """Do what was given, then close the file."""
        if self._closed:
            return
        self._closed = True
        self._writes.put(None)
        for _ in range(READERS):
            self._reads.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)
        self._engine.dispose()

    def _start(self, name: str, loop: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        return thread

    def _put(self, queue: SimpleQueue[_Job | None], query: Query) -> asyncio.Future[object]:
        if self._closed:
            raise Unavailable("The server is stopping; send the request again in a moment.")
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        queue.put(_Job(query, future))
        return future

    def _read_loop(self) -> None:
        with self._engine.connect() as connection:
            raw = _raw(connection)
            raw.execute("PRAGMA query_only=ON")
            while (job := self._reads.get()) is not None:
                raw.execute("BEGIN")
                _run(job, connection)
                raw.execute("COMMIT")
                _deliver([job])

    def _write_loop(self) -> None:
        with self._engine.connect() as connection:
            raw = _raw(connection)
            while (first := self._writes.get()) is not None:
                batch, last = _gather(first, self._writes)
                _commit(batch, connection, raw)
                _deliver(batch)
                if last:
                    return


def _prepare(synchronous: str) -> Callable[[sqlite3.Connection, object], None]:
    def prepare(raw: sqlite3.Connection, _record: object) -> None:
        raw.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute(f"PRAGMA synchronous={'FULL' if synchronous.upper() == 'FULL' else 'NORMAL'}")
        raw.execute("PRAGMA foreign_keys=ON")
        raw.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        teach(raw)

    return prepare


def _raw(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection: transactions are begun and ended on it, without the library's book-keeping."""
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


def _gather(first: _Job, queue: SimpleQueue[_Job | None]) -> tuple[list[_Job], bool]:
    """All that waits now, up to a limit, and whether the end of the queue was seen."""
    batch = [first]
    while len(batch) < BATCH_MAX:
        try:
            job = queue.get_nowait()
        except Empty:
            return batch, False
        if job is None:
            return batch, True
        batch.append(job)
    return batch, False


def _run(job: _Job, connection: Connection) -> bool:
    try:
        job.value, job.error = job.query(connection), None
    except OperationalError as error:
        job.error = _refusal(error)
    except Exception as error:  # noqa: BLE001 - handed to who waits for the query
        job.error = error
    return job.error is None


def _refusal(error: OperationalError) -> Exception:
    """What a query's failure means to who waits for it."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error) and cause.sqlite_errorcode & _PRIMARY_CODE in _MAY_PASS:
        return Unavailable(f"The database refused to write: {cause}.")
    return error


def _commit(batch: list[_Job], connection: Connection, raw: sqlite3.Connection) -> None:
    """One transaction for the batch; where that fails, one for each."""
    if _transact(batch, connection, raw) or len(batch) == 1:
        return
    for job in batch:
        _transact([job], connection, raw)


def _transact(jobs: list[_Job], connection: Connection, raw: sqlite3.Connection) -> bool:
    try:
        raw.execute("BEGIN IMMEDIATE")
        if all(_run(job, connection) for job in jobs):
            raw.execute("COMMIT")
            return True
    except sqlite3.Error as error:  # the disk is full, the file is locked for too long, …
        for job in jobs:
            job.error = Unavailable(f"The database refused to write: {error}.")
    if raw.in_transaction:
        raw.execute("ROLLBACK")
    return False


def _deliver(jobs: list[_Job]) -> None:
    """Wake who waits, in one call to the event loop a batch."""
    loop = jobs[0].future.get_loop()
    try:
        loop.call_soon_threadsafe(_resolve, jobs)
    except RuntimeError:  # the loop is closed: nobody waits any more
        return


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.value)
