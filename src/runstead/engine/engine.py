"""The engine: docket delivers "this run has work", the store decides who does it, and a reconciler forgets nothing.

A delivery is only a hint. One that is lost, doubled or late does no harm: claims are fenced, and every `reconcile_s` all
runs that have work and no living owner are offered again. docket is imported when the engine starts, not before: the port
is open by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from runstead.clock import Clock
from runstead.engine.owner import Executor, Owner
from runstead.events.log import EventLog
from runstead.ids import Ids, RunId
from runstead.loop.hold import Interrupt
from runstead.settings import Settings
from runstead.store import runs
from runstead.store.database import Database
from runstead.telemetry import log

if TYPE_CHECKING:
    from docket import Docket

RENEWALS_PER_LEASE = 3
DUE_RUNS_MAX = 500
DELIVERIES_MAX = 10_000
FOLD_EVERY_S = 1.0

_log = log("engine")


class Engine:
    """Works on runs, in this process."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        events: EventLog,
        clock: Clock,
        ids: Ids,
        executor: Executor,
    ) -> None:
        self._settings = settings
        self._db = db
        self._clock = clock
        self._ids = ids
        name = "process-" + ids.uuid()
        self.owner = Owner(
            name, settings.lease_s, settings.runs_max, db, events, clock, executor, self.dispatch
        )
        self._offered: list[RunId] = []
        self._offer = asyncio.Event()
        self._stop = asyncio.Event()
        self.drained = asyncio.Event()

    async def run(self) -> None:
        """Work until `stop` is called, then let go of everything in order."""
        docket = await asyncio.to_thread(import_module, "docket")
        async with AsyncExitStack() as stack:
            url = f"memory://{self.owner.name}"
            queue = await stack.enter_async_context(
                docket.Docket(name="runstead", url=url, execution_ttl=timedelta(0))
            )
            queue.register(self._work)
            worker = await stack.enter_async_context(
                docket.Worker(
                    queue,
                    concurrency=DELIVERIES_MAX,
                    redelivery_timeout=timedelta(seconds=self._settings.lease_s),
                    schedule_automatic_tasks=False,
                )
            )
            await self._serve(cast("Docket", queue), worker)

    async def dispatch(self, run_id: RunId) -> None:
        """Say that a run has work. Runs that come while a delivery is being made go out together in the next one."""
        self._offered.append(run_id)
        self._offer.set()

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """See to it that a run whose cancel is written ends."""
        if force:
            await self.owner.work(run_id, force=True)
        elif not self.owner.interrupt(run_id, Interrupt.CANCEL):
            await self.dispatch(run_id)

    def shut_down(self) -> None:
        """Begin to let go: `run` returns once all is handed over."""
        self._stop.set()

    async def reconcile(self) -> int:
        """Offer every run that has work and no living owner. Gives how many."""
        due = await self._db.read(runs.due_runs, self._clock.now(), DUE_RUNS_MAX)
        for run_id in due:
            await self.dispatch(run_id)
        return len(due)

    async def _work(self, run_ids: list[str]) -> None:
        """One delivery: work on each of its runs, side by side."""
        async with asyncio.TaskGroup() as group:
            for run_id in run_ids:
                group.create_task(self.owner.work(RunId(run_id)))

    async def _deliver(self, queue: Docket) -> None:
        """Hand what was offered to the queue, for ever."""
        while True:
            await self._offer.wait()
            self._offer.clear()
            some, self._offered = self._offered, []
            # A key of its own: whether two deliveries are one is for the claim to decide, not for the queue.
            await queue.add(self._work, key=f"runs:{self._ids.uuid()}")(list[str](some))

    async def _serve(self, queue: Docket, worker: Any) -> None:
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(worker.run_forever())
            every = self._settings.lease_s / RENEWALS_PER_LEASE
            chores = [
                group.create_task(self._every(0, lambda: self._deliver(queue))),
                group.create_task(self._every(every, self.owner.renew)),
                group.create_task(self._every(FOLD_EVERY_S, self.owner.fold_ended)),
                group.create_task(self._every(self._settings.reconcile_s, self.reconcile)),
            ]
            await self._stop.wait()
            left = await self.owner.drain(self._settings.drain_s)
            if left:
                _log.info("handed over", runs=left)
            self.drained.set()
            for task in (serving, *chores):
                task.cancel()

    async def _every(self, seconds: float, chore: Callable[[], Any]) -> None:
        """Do a chore now and every so many seconds; its failure is logged and does not end the others."""
        while True:
            try:
                await chore()
            except Exception as error:  # noqa: BLE001 - the next time may go well
                _log.error("chore failed", chore=repr(chore), exc_info=error)
            await asyncio.sleep(seconds)
