"""What is kept how long: events of finished runs, idempotency keys, done deliveries. Swept in bounded batches.

Messages, steps and runs stay: only who made them deletes them.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from runstead.clock import Clock
from runstead.events.log import EventLog
from runstead.settings import Settings
from runstead.store import events, idempotency, outbox
from runstead.store.database import Database
from runstead.telemetry import log

RUNS_PER_SWEEP_MAX = 200
KEYS_KEEP = timedelta(days=7)
DONE_KEEP = timedelta(days=1)

_log = log("retention")


class Retention:
    """Sweeps what is over."""

    def __init__(self, settings: Settings, db: Database, log_: EventLog, clock: Clock) -> None:
        self._settings = settings
        self._db = db
        self._events = log_
        self._clock = clock

    async def run(self) -> None:
        """Sweep now and then, for ever."""
        while True:
            try:
                while await self.sweep() == RUNS_PER_SWEEP_MAX:
                    pass
            except Exception as error:  # noqa: BLE001 - the next sweep finds the same things
                _log.error("sweep failed", exc_info=error)
            await asyncio.sleep(self._settings.sweep_s)

    async def sweep(self) -> int:
        """One bounded sweep. Gives how many runs' events were dropped."""
        now = self._clock.now()
        if left := await self._db.read(events.unfolded, RUNS_PER_SWEEP_MAX):
            await self._events.fold(left)
        before = now - timedelta(seconds=self._settings.events_keep_s)
        found = await self._db.read(events.expired, before, RUNS_PER_SWEEP_MAX)
        if found:
            await self._db.write(events.delete_events, found)
        await self._db.write(idempotency.forget_before, now - KEYS_KEEP)
        await self._db.write(outbox.forget_done, now - DONE_KEEP)
        return len(found)
