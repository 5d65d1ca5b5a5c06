"""Bring a database up to this version's schema, once, before anything else touches it.

A current database costs one query and an empty one is made straight from `schema.py`: neither imports Alembic, whose import
takes most of a second. Everything happens in one transaction that excludes every other process, so two servers that start at
once do not collide: the second finds the work done. It never goes back to an older schema.
"""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from runstead.errors import CannotStart
from runstead.store.schema import metadata

HEAD = "0003"
VERSION_TABLE = "alembic_version"
BUSY_TIMEOUT_S = 30.0

_VERSION = text(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant


class _Upgrade(Protocol):
    """What is used of `runstead.store.upgrade`, which is loaded only where there is something to upgrade."""

    def known(self, version: str) -> bool: ...
    def upgrade(self, connection: Connection) -> None: ...


def migrate(url: str) -> None:
    """Make the database at `url` (a SQLAlchemy URL) current; its folder must be there.

    Raises `CannotStart` where the file is no database, cannot be written, or was made by a newer Runstead.
    """
    if not url.startswith("sqlite:"):
        kind = url.split(":", 1)[0]
        raise CannotStart(
            f"Runstead keeps its data in SQLite, but the database's URL is of the kind {kind!r}:"
            " unset RUNSTEAD_DATABASE_URL and LETTA_PG_URI, or give a sqlite:/// one."
        )
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            _make_current(connection)
    except DatabaseError as error:
        raise CannotStart(f"The database {engine.url.database} cannot be used: {error.orig}.") from error
    finally:
        engine.dispose()


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


def _make_current(connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE not in tables and not tables & set(metadata.tables):
        _make_new(connection)
        return
    version = connection.scalar(_VERSION) if VERSION_TABLE in tables else None
    if version == HEAD:
        return
    steps = cast("_Upgrade", import_module("runstead.store.upgrade"))
    if version is not None and not steps.known(version):
        raise CannotStart(
            f"The database is of version {version}, newer than this Runstead knows ({HEAD}): start the newer one."
        )
    steps.upgrade(connection)


def _make_new(connection: Connection) -> None:
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(
        f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
        f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
    )
    connection.exec_driver_sql(f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')")  # noqa: S608 - a constant
