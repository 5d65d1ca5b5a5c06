"""Time, passed in: every part that needs the hour or a duration is handed a `Clock`.

Never read `time` or `datetime.now` elsewhere (a lint rule holds it). Wall time is UTC with microseconds, which is what the
store keeps; durations come from the monotonic side, which no one can set back.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic_ns(self) -> int:
        """Nanoseconds since some moment, never going back."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        return datetime.now(UTC)

    def monotonic_ns(self) -> int:
        """The machine's monotonic clock."""
        return time.monotonic_ns()


class ManualClock:
    """A clock that moves only when told to; ships so that tests of leases and deadlines need not wait."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        self._ns = 0

    def now(self) -> datetime:
        """The time it was last set to."""
        return self._now

    def monotonic_ns(self) -> int:
        """Nanoseconds it was advanced by."""
        return self._ns

    def advance(self, seconds: float) -> None:
        """Move both sides of the clock on by `seconds`."""
        self._now += timedelta(seconds=seconds)
        self._ns += int(seconds * 1e9)
