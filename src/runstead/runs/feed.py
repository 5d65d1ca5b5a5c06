"""What happens to an actor's runs as a whole: which were made, changed, ended or deleted. What they say is the log's.

All readers of an actor share one look at the store, taken by whichever of them is waiting, so nothing runs while nobody
reads, and several processes need no word with one another. A look costs three index reads and takes at most a twentieth of
the time. Changes are counted in this process alone: a reader that comes back lists the runs again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from runstead.clock import Clock
from runstead.domain.run import Run
from runstead.errors import Gone
from runstead.ids import RunId, UserId
from runstead.store import deletions, runs, summaries
from runstead.store.database import Database
from runstead.store.summaries import RunSummary

LOOK_EVERY_S = 0.25
LOOK_SHARE = 0.05
# Another process's clock, or a commit that took long, may bring a run that is older than one already seen.
OVERLAP = timedelta(seconds=10)
CHANGES_KEPT_MAX = 2000
_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RunChange:
    """One run as it is now; `run` None: it was deleted."""

    run_id: RunId
    run: Run | None
    summary: RunSummary


@dataclass(frozen=True, slots=True)
class _Seen:
    """What was known of a run at the last look."""

    updated_us: int
    active: bool


_GONE = _Seen(updated_us=0, active=False)


class RunFeed:
    """The changes of one actor's runs, numbered from 1 in this process."""

    def __init__(self, db: Database, clock: Clock, user_id: UserId, every_s: float = LOOK_EVERY_S) -> None:
        self._db = db
        self._clock = clock
        self._user_id = user_id
        self._every_s = every_s
        self._looking = asyncio.Lock()
        self._looks = 0
        self._next_ns = 0
        self._seen: dict[RunId, _Seen] | None = None
        self._looked_at = clock.now()
        self._changes: deque[tuple[int, RunChange]] = deque(maxlen=CHANGES_KEPT_MAX)
        self._number = 0
        self.readers = 0

    async def begin(self) -> int:
        """The number from which a new reader reads on. What it lists afterwards is at least as new."""
        await self._look()
        return self._number

    async def next(self, after: int, timeout_s: float) -> tuple[int, Sequence[RunChange]]:
        """The changes after a number, once there are any, and the number to go on from; none after `timeout_s`.

        Of a run that changed several times only its newest state is given. Raises `Gone` where the reader was so slow
        that changes it has not seen are no longer kept.
        """
        until_ns = self._clock.monotonic_ns() + int(timeout_s * _NS)
        while self._number == after and self._clock.monotonic_ns() < until_ns:
            await self._look()
        if self._changes and self._changes[0][0] > after + 1:
            raise Gone("More runs changed than are kept for a reader; list the runs again.")
        newest = {change.run_id: change for number, change in self._changes if number > after}
        return self._number, tuple(newest.values())

    async def _look(self) -> None:
        """Look at the store, unless another reader does it meanwhile."""
        looks = self._looks
        async with self._looking:
            if self._looks != looks:
                return
            began_ns = self._clock.monotonic_ns()
            if self._next_ns > began_ns:
                await asyncio.sleep((self._next_ns - began_ns) / _NS)
            began_ns = self._clock.monotonic_ns()
            await self._compare()
            took_s = (self._clock.monotonic_ns() - began_ns) / _NS
            self._next_ns = self._clock.monotonic_ns() + int(max(self._every_s, took_s / LOOK_SHARE) * _NS)
            self._looks += 1

    async def _compare(self) -> None:
        looked_at = self._clock.now()
        # Nobody may have looked for long: what was made and ended meanwhile counts, too.
        since = min(self._looked_at, looked_at) - OVERLAP
        rows, gone = await self._db.read(_touched, self._user_id, since)
        now = {run_id: _Seen(updated, active) for run_id, updated, active in rows} | dict.fromkeys(
            gone, _GONE
        )
        if (before := self._seen) is not None:
            changed = [run_id for run_id, seen in now.items() if before.get(run_id) != seen]
            # What went on and is not among them has ended. What had ended only grew too old to be looked at.
            changed += [run_id for run_id, seen in before.items() if run_id not in now and seen.active]
            if changed:
                self._append(changed, await self._db.read(summaries.load_summed, self._user_id, changed))
        self._seen, self._looked_at = now, looked_at

    def _append(self, run_ids: Sequence[RunId], found: Sequence[tuple[Run, RunSummary]]) -> None:
        by_id = {run.id: (run, summary) for run, summary in found}
        for run_id in run_ids:
            run, summary = by_id.get(run_id, (None, RunSummary()))
            self._number += 1
            self._changes.append((self._number, RunChange(run_id, run, summary)))


def _touched(
    conn: Connection, user_id: UserId, since: datetime
) -> tuple[list[tuple[RunId, int, bool]], list[RunId]]:
    return runs.touched_runs(conn, user_id, since), deletions.deleted_since(conn, user_id, since)


class RunFeeds:
    """The feeds of one process: an actor's is there while somebody reads it."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._feeds: dict[UserId, RunFeed] = {}
        self._released = False

    @property
    def released(self) -> bool:
        """Whether readers are told to go: this process stops."""
        return self._released

    def release(self) -> None:
        """Let every reader go; it can come back, here or elsewhere."""
        self._released = True

    def enter(self, user_id: UserId) -> RunFeed:
        """The feed of an actor. Whoever enters leaves."""
        feed = self._feeds.setdefault(user_id, RunFeed(self._db, self._clock, user_id))
        feed.readers += 1
        return feed

    def leave(self, user_id: UserId) -> None:
        """Read no more."""
        feed = self._feeds[user_id]
        feed.readers -= 1
        if not feed.readers:
            del self._feeds[user_id]
