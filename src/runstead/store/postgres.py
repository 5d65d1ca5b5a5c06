"""PostgreSQL: a pool of connections, a snapshot for every read, a transaction for every write.

Queries are the same functions as on SQLite. What differs is that many run at once, here and in other processes, so a query
that reads and then writes locks what it read (`FOR UPDATE`, `store/locks.py`). Losing the database is an ordinary event: an
operation ends within its time as `Unavailable`, dead connections are replaced, and what certainly changed nothing is tried
once more. Where the connection was lost while a commit was under way nobody can tell: that is `OutcomeUnknown`.

Imported only where the database is PostgreSQL: neither the driver nor the asyncio part of SQLAlchemy is cheap to load.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg  # pyright: ignore[reportMissingTypeStubs] - it has none; what is used of it is `_Raw`
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from runstead.errors import Invalid, OutcomeUnknown, Unavailable
from runstead.telemetry import log

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_S = 5.0
CONNECTION_AGE_S = 1800
CONFLICTS_MAX = 5
STATEMENTS_KEPT = 500
UNREADABLE = "a URL that cannot be read"
SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg", "postgresql+pg8000", "postgresql+psycopg")

# A deadlock, or two transactions that cannot both be: nothing was done, and another try is likely to succeed.
_CONFLICTS = {"40001", "40P01"}
# The server ends the connection, is not up yet, takes no more, or cut a transaction that waited too long for us.
_LOST = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "53300"}
# A write was refused because this server follows another one now: a new connection may reach that.
_FOLLOWS = "25006"
# A lock or a statement took longer than an operation may: nothing was done.
_SLOW = {"55P03", "57014"}
# Classes of errors: the connection broke; the server has no memory, no room, no file that it needs.
_BROKEN, _SHORT = "08", ("53", "58")
# What libpq knows of a URL and this driver would send to the server as a setting of its own.
_CLIENT_ONLY = (
    "channel_binding", "client_encoding", "connect_timeout", "gssencmode", "keepalives", "keepalives_count",
    "keepalives_idle", "keepalives_interval", "load_balance_hosts", "prepared_statement_cache_size",
    "require_auth", "sslcompression", "sslsni", "tcp_user_timeout",
)  # fmt: skip
_PLACE = re.compile(r"([\w.\-/]+|\[[0-9A-Fa-f:.%]+\])(:\d+)?")
# The event loop says RuntimeError of a connection that goes while it is used; the driver, what it finds no word for.
_NETWORK = (
    OSError, TimeoutError, RuntimeError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError,
)  # fmt: skip

_log = log("store")


class _Raw(Protocol):
    """The driver's own connection."""

    def is_closed(self) -> bool: ...
    def terminate(self) -> None: ...


def is_postgres(url: str) -> bool:
    """Whether a database's URL names a PostgreSQL."""
    return url.split(":", 1)[0] in SCHEMES


def place_of(url: str) -> str:
    """Host and port of a URL, for people: no user, no password, also where a password was not written as URLs ask."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "localhost")
    if "@" in parts.path or not all(map(_PLACE.fullmatch, place.split(","))):
        return UNREADABLE
    return place if ":" in place.rpartition("]")[2] else f"{place}:5432"


def dsn_of(url: str) -> str:
    """The URL as the driver reads it. `ssl=…`, as other drivers say it, becomes `sslmode=…`."""
    parts = urlsplit(url)
    given = [
        ("sslmode" if name == "ssl" else name, {"true": "require"}.get(value, value))
        for name, value in parse_qsl(parts.query)
        if name not in _CLIENT_ONLY
    ]
    return urlunsplit(("postgresql", parts.netloc, parts.path, urlencode(given), ""))


def engine_of(url: str, *, pool_size: int, timeout_s: float) -> AsyncEngine:
    """An engine whose connections let nobody wait longer than `timeout_s`: not for a lock, and not for a process that hangs.

    Opens no connection. Errors of connecting are the driver's.
    """
    dsn, limit_ms, less_ms = dsn_of(url), str(int(timeout_s * 1000)), str(int(timeout_s * 800))
    settings = {
        "application_name": "runstead",
        "jit": "off",
        # Less than we wait ourselves: then the server ends it, and the connection stays.
        "lock_timeout": less_ms,
        "statement_timeout": less_ms,
        # A process that hangs in a transaction holds its locks: the server ends it, and others go on.
        "idle_in_transaction_session_timeout": limit_ms,
    }

    async def connect(**_: object) -> object:
        return await cast("Any", asyncpg.connect)(dsn, timeout=CONNECT_S, server_settings=settings)

    engine = create_async_engine(
        "postgresql+asyncpg://",
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=timeout_s,
        pool_recycle=CONNECTION_AGE_S,
        connect_args={"async_creator_fn": connect, "prepared_statement_cache_size": STATEMENTS_KEPT},
    )
    event.listen(engine.sync_engine, "handle_error", _forget_the_dead)
    return engine


def _forget_the_dead(context: Any) -> None:
    # The server's farewell arrives as an ordinary error; what it says holds for the whole pool.
    state = getattr(context.original_exception, "sqlstate", None)
    if _is_loss(state) or (state == _FOLLOWS and not _only_reads(context.connection)):
        context.is_disconnect = True


def _only_reads(connection: Connection | None) -> bool:
    """Whether we ourselves asked for transactions that write nothing."""
    return connection is not None and bool(connection.get_execution_options().get("postgresql_readonly"))


def _is_loss(state: str | None) -> bool:
    """Whether an error of that code says that its connection cannot be used any more."""
    return state is not None and (state in _LOST or state.startswith(_BROKEN))


class PostgresDatabase:
    """The tables in a PostgreSQL. An operation takes at most `timeout_s`, waiting for one of the connections included."""

    def __init__(self, url: str, *, pool_size: int = 10, timeout_s: float = 10.0) -> None:
        self._place = place_of(url)
        self._pool_size = pool_size
        self._timeout_s = timeout_s
        self._engine = engine_of(url, pool_size=pool_size, timeout_s=timeout_s)
        self._snapshots = self._engine.execution_options(
            isolation_level="REPEATABLE READ", postgresql_readonly=True
        )
        self._closed = False
        self._lost = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` on a snapshot; it must not write. It may be run twice. Raises `Unavailable`."""
        return await self._do(self._snapshots, lambda conn: query(conn, *args, **kwargs))

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` in a transaction; durable when this returns. It may be run again after one that changed nothing.

        Raises `Unavailable` where nothing was changed and `OutcomeUnknown` where that cannot be told.
        """
        return await self._do(self._engine, lambda conn: query(conn, *args, **kwargs))

    async def close(self) -> None:
        """Finish what was given, then close every connection."""
        self._closed = True
        await self._idle.wait()
        await self._engine.dispose()

    async def _do(self, engine: AsyncEngine, query: Callable[[Connection], T]) -> T:
        if self._closed:
            raise Unavailable("The server is stopping; send the request again in a moment.")
        self._under_way += 1
        self._idle.clear()
        try:
            value = await self._tried(engine, query)
        except Unavailable as error:
            self._note(error.detail)
            raise
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        self._note(None)
        return value

    async def _tried(self, engine: AsyncEngine, query: Callable[[Connection], T]) -> T:
        """Once, and again while that is safe and there is time."""
        loop = asyncio.get_running_loop()
        deadline, conflicts, lost = loop.time() + self._timeout_s, 0, 0
        while True:
            try:
                return await self._once(engine, query, deadline)
            except _Undone as undone:
                conflicts += undone.conflict
                lost += not undone.conflict
                late = loop.time() >= deadline
                if late or lost > 1 or conflicts > CONFLICTS_MAX:
                    reason = f"no answer within {self._timeout_s:g} s" if late else undone.reason
                    raise self._unavailable(reason) from undone.__cause__

    async def _once(self, engine: AsyncEngine, query: Callable[[Connection], T], deadline: float) -> T:
        """One transaction. Raises `_Undone` where it certainly changed nothing and may be tried again."""
        async with self._connection(engine, deadline) as (connection, raw):
            sent = False
            try:
                value = await connection.run_sync(query)
                if engine is self._snapshots:
                    return value  # there is nothing to commit
                # A connection that is known to be dead cannot have carried the commit.
                sent = not raw.is_closed()
                await connection.commit()
            except DBAPIError as error:
                raise self._what_became(error, sent=sent) from error
            except _NETWORK as error:
                # What the driver did not put into its own words. An error of the query's own leaves the connection alive.
                if not raw.is_closed():
                    raise
                raise self._what_became(error, sent=sent) from error
            return value

    @asynccontextmanager
    async def _connection(
        self, engine: AsyncEngine, deadline: float
    ) -> AsyncGenerator[tuple[AsyncConnection, _Raw]]:
        """A connection that is cut at the deadline, so that whoever waits for an answer on it waits no longer."""
        connection, loop = engine.connect(), asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline):
                await connection.start()
        except PoolTimeout as error:
            raise self._unavailable(f"all {self._pool_size} connections are in use") from error
        except (*_NETWORK, DBAPIError) as error:
            raise self._unavailable(_reason(error)) from error
        pooled = await connection.get_raw_connection()
        raw = cast("_Raw", pooled.driver_connection)
        cut = loop.call_at(deadline, raw.terminate)
        try:
            try:
                yield connection, raw
            finally:
                await _give_back(connection, raw)
        finally:
            cut.cancel()

    def _what_became(self, error: Exception, *, sent: bool) -> Exception:
        """What an error of the driver means for who asked."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        state = cast("str | None", getattr(cause, "sqlstate", None))
        if not isinstance(error, DBAPIError) or error.connection_invalidated or _is_loss(state):
            if sent:
                return OutcomeUnknown(
                    f"PostgreSQL at {self._place} was lost while it stored this, and nobody can say whether it did:"
                    " look before you send it again."
                )
            return _Undone(_reason(cause))
        if state in _CONFLICTS:
            return _Undone("it is too busy with the same rows", conflict=True)
        if "cached statement plan" in str(cause):  # the tables were changed by a newer process
            return _Undone("its tables are being changed")
        if state in _SLOW:
            return self._unavailable(f"no answer within {self._timeout_s:g} s")
        if (state or "").startswith(_SHORT):
            return self._unavailable(_reason(cause))
        if (state or "").startswith("22") or isinstance(cause, ValueError):
            return Invalid(
                "A value of the request cannot be stored: it is too large, or holds the character NUL."
            )
        return error

    def _unavailable(self, reason: str) -> Unavailable:
        return Unavailable(f"PostgreSQL at {self._place} cannot be used ({reason}); try again in a moment.")

    def _note(self, trouble: str | None) -> None:
        """Log the moment at which the database was lost, and that at which it was back."""
        if trouble is not None and not self._lost:
            _log.error("database lost", place=self._place, reason=trouble)
        elif trouble is None and self._lost:
            _log.warning("database is back", place=self._place)
        self._lost = trouble is not None


class _Undone(Exception):
    """A transaction changed nothing, and may be tried again."""

    def __init__(self, reason: str, *, conflict: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.conflict = conflict


async def _give_back(connection: AsyncConnection, raw: _Raw) -> None:
    """Roll back what was not committed, and give the connection to the next; a dead one is thrown away."""
    try:
        await connection.rollback()
    except (*_NETWORK, DBAPIError):
        await connection.invalidate()
    if raw.is_closed() and not connection.invalidated:
        await connection.invalidate()
    await connection.close()


def _reason(error: BaseException | None) -> str:
    """Why the database cannot be used, in a few words and without a secret."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    cause = error.orig if isinstance(error, DBAPIError) else error
    text = str(cause).partition("\n")[0]
    return text.rpartition(">: ")[2] or type(cause).__name__
