"""The seam between queries and a database: `read` and `write` run a function of a SQLAlchemy connection.

A query is a synchronous function whose first parameter is the connection. `write` makes one transaction of it: all of it
is there afterwards, or none. Queries never open, commit or roll back anything, and never wait for anything but the database.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from sqlalchemy import Connection

P = ParamSpec("P")
T = TypeVar("T")


class Database(Protocol):
    """A store of tables. Errors of the database come out as SQLAlchemy's, those of a query as they were raised."""

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` on a snapshot; it must not write."""
        ...

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` in a transaction of its own; what it wrote is durable when this returns."""
        ...

    async def close(self) -> None:
        """Finish what was given, then let go of every connection."""
        ...
