"""A database that is asked again while it is away: for work that nobody waits for, and that must not end by an outage.

Only reads are repeated: who writes knows better whether that may be done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from runstead.errors import Unavailable
from runstead.store.database import Database

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_S = 300.0
RETRY_S = 0.2
RETRY_MAX_S = 2.0


class PatientDatabase:
    """Another database, with reads that wait out its absence for at most `patience_s`."""

    def __init__(self, db: Database, *, patience_s: float = PATIENCE_S) -> None:
        self._db = db
        self._patience_s = patience_s

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` on a snapshot, as soon as there is one. Raises `Unavailable` when patience ends."""
        deadline = asyncio.get_running_loop().time() + self._patience_s
        pause_s = RETRY_S
        while True:
            try:
                return await self._db.read(query, *args, **kwargs)
            except Unavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_MAX_S)

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run `query` in a transaction, once."""
        return await self._db.write(query, *args, **kwargs)

    async def close(self) -> None:
        """The database is its owner's to close."""
