"""What is kept how long: events of finished runs, traces, idempotency keys, callbacks, deletions. Swept in bounded batches.

Messages, steps and runs stay: only who made them deletes them. Events of a run that is not over are never touched.

Every process may sweep, also at once: each batch is a commit of its own that looks again at what it deletes, so the second
one finds nothing. A pass walks the finished runs in the order of their ends, from where the last one stood, so its cost is
what became due since, not what there is. A process's first pass walks them all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection

from runstead.clock import Clock
from runstead.events.log import EventLog
from runstead.ids import RunId
from runstead.settings import Settings
from runstead.store import deletions, events, idempotency, outbox, traces
from runstead.store.codec import to_us
from runstead.store.database import Database
from runstead.store.events import Ended
from runstead.telemetry import Meter, log
from runstead.telemetry.chore import for_ever

PASS_S_MAX = 5.0
PAUSE_S = 1.0
RUNS_WALKED = 500
RUNS_PER_FOLD = 20
ROWS_PER_COMMIT_MAX = 2000
# A trace may be two megabytes: few of them are a commit's worth.
TRACES_PER_COMMIT_MAX = 100
KEYS_KEEP = timedelta(days=7)
DELETIONS_KEEP = timedelta(days=1)
DONE_KEEP = timedelta(days=1)
# Owners pack what they end within a second; what they could not is left to the sweep after so long.
FOLD_AFTER = timedelta(seconds=30)
# Ends are written by several clocks, and become visible a moment after the time they carry: the walk looks back so far.
LOOK_BACK = timedelta(minutes=2)

# Deletes the oldest rows from before a time, at most so many, and gives how many.
_Forget = Callable[[Connection, datetime, int], int]

_log = log("retention")


@dataclass(slots=True)
class Swept:
    """What one pass deleted. `unfinished`: its time was over before all was done."""

    runs: int = 0
    rows: int = 0
    keys: int = 0
    callbacks: int = 0
    traces: int = 0
    deletions: int = 0
    unfinished: bool = False


class Retention:
    """Sweeps what is over."""

    def __init__(
        self, settings: Settings, db: Database, log_: EventLog, clock: Clock, meter: Meter | None = None
    ) -> None:
        self._settings = settings
        self._db = db
        self._events = log_
        self._clock = clock
        self._meter = meter or Meter()
        self._until_ns = 0
        kept = timedelta(seconds=settings.events_keep_s)
        self._kept = kept
        self._keys_kept = max(KEYS_KEEP, kept)
        self._deleted_to = Ended(0, RunId(""))
        self._folded_to = Ended(to_us(clock.now() - kept), RunId(""))

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        await for_ever(_log, "retention", self._pass, partial(asyncio.sleep, self._settings.sweep_s))

    async def _pass(self) -> bool:
        """One pass. Whether there is more to do: then the next one begins after a moment."""
        unfinished = (await self.sweep()).unfinished
        if unfinished:
            await asyncio.sleep(min(PAUSE_S, self._settings.sweep_s))
        return unfinished

    async def sweep(self) -> Swept:
        """One pass of at most `PASS_S_MAX` seconds and the batch that is under way then. Gives what it deleted."""
        self._until_ns = self._clock.monotonic_ns() + int(PASS_S_MAX * 1e9)
        now = self._clock.now()
        swept = Swept()
        await self._sweep_events(now - self._kept, swept)
        await self._fold(now - FOLD_AFTER)
        swept.keys = await self._forget(idempotency.forget_before, now - self._keys_kept)
        swept.callbacks = await self._forget(outbox.forget_done, now - DONE_KEEP)
        swept.traces = await self._forget(traces.forget_before, now - self._kept, TRACES_PER_COMMIT_MAX)
        swept.deletions = await self._forget(deletions.forget_before, now - DELETIONS_KEEP)
        swept.unfinished = self._late()
        self._note(swept)
        return swept

    async def _sweep_events(self, before: datetime, swept: Swept) -> None:
        """Delete the events of runs that ended before then."""
        while not self._late():
            some = await self._db.read(events.ended, self._deleted_to, before, RUNS_WALKED)
            if not some:
                break
            rows = await self._db.read(events.count_rows, [each.run_id for each in some])
            for batch in _batches(rows):
                if count := await self._db.write(events.delete_ended, batch, before):
                    swept.rows += count
                    swept.runs += len(batch)
            self._deleted_to = some[-1]
        else:
            return
        self._deleted_to = min(self._deleted_to, _mark(before))

    async def _fold(self, before: datetime) -> None:
        """Pack what ended before then and was left unpacked: its process died before it could."""
        while not self._late():
            some = await self._db.read(events.ended, self._folded_to, before, RUNS_WALKED)
            if not some:
                break
            left = await self._db.read(events.unpacked, [each.run_id for each in some])
            for start in range(0, len(left), RUNS_PER_FOLD):
                await self._events.fold(left[start : start + RUNS_PER_FOLD])
            self._folded_to = some[-1]
        else:
            return
        self._folded_to = min(self._folded_to, _mark(before))

    async def _forget(self, forget: _Forget, before: datetime, batch: int = ROWS_PER_COMMIT_MAX) -> int:
        """Forget what is older than that, a batch a commit, until nothing is left or the time is over. Gives how much."""
        total = 0
        while not self._late() and (count := await self._db.write(forget, before, batch)):
            total += count
        return total

    def _late(self) -> bool:
        return self._clock.monotonic_ns() >= self._until_ns

    def _note(self, swept: Swept) -> None:
        for name, count in (
            ("runs", swept.runs),
            ("rows", swept.rows),
            ("keys", swept.keys),
            ("callbacks", swept.callbacks),
            ("traces", swept.traces),
            ("deletions", swept.deletions),
        ):
            self._meter.add(f"runstead_swept_{name}_total", count)


def _mark(before: datetime) -> Ended:
    """The place from which the next pass looks again."""
    return Ended(to_us(before - LOOK_BACK), RunId(""))


def _batches(rows: dict[RunId, int]) -> Sequence[list[RunId]]:
    """The runs in batches of a bounded number of rows. A run is never cut: a log without its beginning would lie."""
    batches: list[list[RunId]] = []
    size = ROWS_PER_COMMIT_MAX
    for run_id, count in rows.items():
        if size + count > ROWS_PER_COMMIT_MAX:
            batches.append([])
            size = 0
        batches[-1].append(run_id)
        size += count
    return batches
