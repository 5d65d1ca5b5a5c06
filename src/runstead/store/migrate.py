"""Bring a database up to this version's schema, once, before anything else touches it.

A current database costs one query and an empty one is made straight from `schema.py`: neither imports Alembic, whose import
takes most of a second. Everything happens in one transaction that excludes every other process, so servers that start at
once do not collide: the first does the work, the others find it done. It never goes back to an older schema.

For the time of a rolling upgrade two releases serve from one database. The newer one writes beside the version which
release may still use it (`OLDEST_READABLE`); an older program that finds a version it does not know starts if it is not
older than that. It works because steps only add: tables, and columns that are nullable or have a default of the database's.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from importlib import import_module
from typing import Any, Protocol, cast

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.pool import NullPool

from runstead.errors import CannotStart, Unavailable
from runstead.store.distance import add_pgvector
from runstead.store.locks import hold
from runstead.store.schema import metadata

HEAD = "0011"
# The oldest version whose program can use tables of HEAD. Raise it when a step does more than add.
OLDEST_READABLE = "0003"  # before it, secrets stood in the agents' documents as they were
VERSION_TABLE = "alembic_version"
READABLE_TABLE = "runstead_schema"
BUSY_TIMEOUT_S = 30.0

_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
_READABLE = text(f"SELECT oldest_readable FROM {READABLE_TABLE}")  # noqa: S608 - a constant


class _Upgrade(Protocol):
    """What is used of `runstead.store.upgrade`, which is loaded only where there is something to upgrade."""

    def known(self, version: str) -> bool: ...
    def upgrade(self, connection: Connection) -> None: ...


def migrate(url: str) -> None:
    """Make the database at `url` current. SQLite's folder, or PostgreSQL's database, must be there.

    Runs an event loop of its own for PostgreSQL: inside of one, call it in a thread. Raises `CannotStart` where the database
    cannot be reached or written, is none, or was made by a Runstead that this one is too old for.
    """
    kind = url.split(":", 1)[0]
    if kind.startswith("postgres"):
        asyncio.run(_migrate_postgres(url))
        return
    if kind != "sqlite":
        raise CannotStart(
            f"Runstead keeps its data in SQLite or PostgreSQL, but the database's URL is of the kind {kind!r}:"
            " give a sqlite:/// or a postgresql:// one as RUNSTEAD_DATABASE_URL (or LETTA_PG_URI), or unset it."
        )
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            make_current(connection)
    except DatabaseError as error:
        raise CannotStart(f"The database {engine.url.database} cannot be used: {error.orig}.") from error
    finally:
        engine.dispose()


async def _migrate_postgres(url: str) -> None:
    driver: Any = import_module("runstead.store.postgres")
    db = driver.PostgresDatabase(url, pool_size=1, timeout_s=BUSY_TIMEOUT_S)
    try:
        await db.write(make_current)
        with suppress(
            DBAPIError
        ):  # not ours to add, or another process adds it now: vectors are counted without
            await db.write(add_pgvector)
    except Unavailable as error:
        raise CannotStart(error.detail) from error
    except ValueError:  # its text may hold a part of the password
        raise CannotStart(
            "The database's URL cannot be read: write postgresql://user:password@host:port/name,"
            " with %40 for an @ in the password and %2F for a slash."
        ) from None
    except DBAPIError as error:
        raise CannotStart(f"The database at {driver.place_of(url)} cannot be used: {error.orig}.") from error
    finally:
        await db.close()


def migration_engine(url: str) -> Engine:
    """An engine whose every transaction excludes other writers from its first moment."""
    engine = create_engine(url, poolclass=NullPool, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _leave_transactions_to_us)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _leave_transactions_to_us(raw: object, _record: object) -> None:
    # The driver would open a transaction of its own, and not before table definitions.
    setattr(raw, "isolation_level", None)  # noqa: B010 - the driver's connection has no public type here


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def make_current(connection: Connection) -> None:
    """Do what is missing, in the caller's transaction. Raises `CannotStart` where the database is too new."""
    hold(connection, "runstead:schema")
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables and not tables & set(metadata.tables):
        _make_new(connection)
        return
    version = connection.scalar(_VERSION) if VERSION_TABLE in tables else None
    if version == HEAD:
        return
    steps = cast("_Upgrade", import_module("runstead.store.upgrade"))
    if version is not None and not steps.known(version):
        if READABLE_TABLE in tables and (connection.scalar(_READABLE) or version) <= HEAD:
            return
        raise CannotStart(
            f"The database is of version {version}, newer than this Runstead knows ({HEAD}): start the newer one."
        )
    steps.upgrade(connection)
    _say_who_can_read(connection)


def _make_new(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
        f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")  # noqa: S608 - a constant
    _say_who_can_read(connection)


def _say_who_can_read(connection: Connection) -> None:
    for statement in (
        f"CREATE TABLE IF NOT EXISTS {READABLE_TABLE} (oldest_readable VARCHAR(32) NOT NULL)",
        f"DELETE FROM {READABLE_TABLE}",  # noqa: S608 - a constant
        f"INSERT INTO {READABLE_TABLE} VALUES ('{OLDEST_READABLE}')",  # noqa: S608 - a constant
    ):
        connection.exec_driver_sql(statement)
