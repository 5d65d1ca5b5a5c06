"""Stores for the queries' own tests: SQLite in memory, and PostgreSQL in a transaction that is rolled back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any, cast

import pytest
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection
from tests.store.rows import NOW, fresh_connection

from runstead.store import actors
from runstead.store.postgres import engine_of


class Bridge:
    """An asynchronous connection for a test that is not: each call runs the event loop until it is done."""

    def __init__(self, conn: AsyncConnection, loop: asyncio.AbstractEventLoop) -> None:
        self._conn = conn
        self._loop = loop
        self.dialect = conn.dialect

    def __getattr__(self, name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            def there(conn: Connection) -> Any:
                return getattr(conn, name)(*args, **kwargs)

            return self._loop.run_until_complete(self._conn.run_sync(there))

        return call


@pytest.fixture(params=["sqlite", "postgres"])
def conn(request: pytest.FixtureRequest) -> Iterator[Connection]:
    """A connection to an empty store that knows the default user only."""
    if request.param == "sqlite":
        with fresh_connection() as connection:
            yield connection
        return
    url: str = request.getfixturevalue("postgres_tables")
    with asyncio.Runner() as runner:
        engine = engine_of(url, pool_size=1, timeout_s=60)
        connection = engine.connect()
        runner.run(connection.start())
        bridge = cast("Connection", Bridge(connection, runner.get_loop()))
        actors.ensure_defaults(bridge, NOW)
        yield bridge
        runner.run(connection.rollback())
        runner.run(connection.close())
        runner.run(engine.dispose())
