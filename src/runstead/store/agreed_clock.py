"""The time of several machines: each one's own clock, set right by the database that all of them share.

So that leases mean the same everywhere, and lists of what several processes made are in order. Durations are the machine's
own. While the database is away the last correction holds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, func, select

from runstead.clock import Clock
from runstead.store.database import Database

_NOW = select(func.clock_timestamp())


class AgreedClock:
    """A clock that agrees with the database's."""

    def __init__(self, own: Clock) -> None:
        self._own = own
        self._ahead = timedelta(0)

    def now(self) -> datetime:
        """The time of day, in UTC, as the database has it."""
        return self._own.now() + self._ahead

    def monotonic_ns(self) -> int:
        """The machine's monotonic clock."""
        return self._own.monotonic_ns()

    async def agree(self, db: Database) -> None:
        """Ask what time it is. The answer is taken for that of the middle of the asking. Raises `Unavailable`."""
        before = self._own.now()
        theirs = await db.read(_now)
        after = self._own.now()
        self._ahead = theirs - (before + (after - before) / 2)


def _now(conn: Connection) -> datetime:
    found = conn.scalar(_NOW)
    assert isinstance(found, datetime), "a database has a clock"
    return found.astimezone(UTC)
