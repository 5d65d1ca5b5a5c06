"""The engine: docket delivers "this run has work", the store decides who does it, and a reconciler forgets nothing.

A delivery is only a hint, and over once its runs are claimed. One that is lost, doubled or late does no harm: claims are
fenced, and every `reconcile_s` all runs that have work and no living owner are claimed by whoever has a place. Where the
queue is away, runs are begun in the process that admitted them. docket is imported when the engine starts, not before: the
port is open by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from runstead.clock import Clock
from runstead.engine.owner import Executor, Owner
from runstead.engine.process import is_dead, own_name
from runstead.errors import Unavailable
from runstead.events.log import EventLog
from runstead.events.signals import Signals
from runstead.ids import Ids, RunId
from runstead.loop.hold import Interrupt
from runstead.settings import Settings
from runstead.store import runs
from runstead.store.agreed_clock import AgreedClock
from runstead.store.database import Database
from runstead.telemetry import log
from runstead.telemetry.chore import every
from runstead.telemetry.without_sdk import load_without_sdk

if TYPE_CHECKING:
    from docket import Docket

RENEWALS_PER_LEASE = 3
DUE_RUNS_MAX = 500
FOLD_EVERY_S = 1.0
# A queue that is shared: so many runs a delivery, so many deliveries at once that wait for a place here and not elsewhere.
SHARED_RUNS_PER_DELIVERY = 4
SHARED_DELIVERIES_MAX = 32
DELIVERIES_MAX = 10_000
# With a shared queue: a process that holds fewer runs begins what it admits itself, where the client's connection is too.
OWN_RUNS_FIRST = 50
DELIVERY_S = 1.0
QUEUE_RETRY_S = 1.0
AGAIN_S = 0.5
QUEUE_CLOSE_S = 3.0
ASK_AGAIN_S = 0.5
# After the store was away, owners renew what they have before anybody takes it from them.
GRACE_S = 2.0

_log = log("engine")


class Engine:
    """Works on runs, in this process, or only sees to it that others do (`settings.works` False)."""

    def __init__(
        self,
        settings: Settings,
        db: Database,
        events: EventLog,
        clock: Clock,
        ids: Ids,
        executor: Executor,
        signals: Signals,
    ) -> None:
        self._settings = settings
        self._db = db
        self._events = events
        self._clock = clock
        self._ids = ids
        self._signals = signals
        self.owner = Owner(
            own_name(ids), settings.lease_s, settings.runs_max, db, events, clock, executor, self.dispatch
        )
        self._queue: Docket | None = None
        self._group: asyncio.TaskGroup | None = None
        self._offered: list[RunId] = []
        self._offer = asyncio.Event()
        self._stop = asyncio.Event()
        self._store_lost = False
        self._grace_until_ns = 0
        self.drained = asyncio.Event()

    async def run(self) -> None:
        """Work until `shut_down` is called, then let go of everything in order."""
        docket = await asyncio.to_thread(load_without_sdk, "docket")
        async with asyncio.TaskGroup() as group:
            self._group = group
            queueing = group.create_task(self._queue_for_ever(docket))
            chores = [
                group.create_task(every(seconds, _log, name, once)) for name, seconds, once in self._chores()
            ]
            await self._stop.wait()
            left = await self.owner.drain(self._settings.drain_s)
            if left:
                _log.info("handed over", runs=left)
            self.drained.set()
            queueing.cancel()
            await asyncio.wait({queueing}, timeout=QUEUE_CLOSE_S)
            await end({queueing, *chores})

    def _chores(self) -> Iterator[tuple[str, float, Callable[[], Awaitable[object]]]]:
        """What is done beside the queue: its name, how often (or how soon again, where it should not end), and how."""
        yield "deliver", AGAIN_S, self._deliver
        yield "renew", self._settings.lease_s / RENEWALS_PER_LEASE, self._renew
        yield "fold", FOLD_EVERY_S, self.owner.fold_ended
        yield "hear", AGAIN_S, self._hear
        if self._settings.works:
            yield "reconcile", self._settings.reconcile_s, self.reconcile

    async def dispatch(self, run_id: RunId) -> None:
        """Say that a run has work. Runs that come while a delivery is being made go out together in the next one."""
        self._offered.append(run_id)
        self._offer.set()

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """See to it that a run whose cancel is written ends."""
        if force:
            await self.owner.take(run_id)
        elif not self.owner.interrupt(run_id, Interrupt.CANCEL):
            await self._signals.tell(run_id)
            await self.dispatch(run_id)

    def shut_down(self) -> None:
        """Begin to let go: `run` returns once all is handed over."""
        self._stop.set()

    async def reconcile(self) -> int:
        """Claim runs that have work and no living owner, as many as there are places for. Gives how many were tried."""
        try:
            # A process that slept, as a laptop does, keeps what nobody took meanwhile.
            if self._store_lost or self.owner.overslept:
                await self._renew()
            if self._clock.monotonic_ns() < self._grace_until_ns:
                return 0
            await self._bury_the_dead()
            places = min(self.owner.places, DUE_RUNS_MAX)
            due = await self._db.read(runs.due_runs, self._clock.now(), places) if places else []
        except Unavailable:
            self._store_lost = True
            raise
        await self._begin(due)
        return len(due)

    async def _bury_the_dead(self) -> None:
        """Runs of processes that this machine knows to be dead need not wait for the end of their leases."""
        owners = await self._db.read(runs.owners)
        if dead := [name for name in owners if name != self.owner.name and is_dead(name)]:
            _log.warning("owners are dead", owners=len(dead))
            await self._db.write(runs.disown, dead)

    async def _renew(self) -> None:
        try:
            if isinstance(self._clock, AgreedClock):
                await self._clock.agree(self._db)
            await self.owner.renew()
        except Unavailable:
            self._store_lost = True
            raise
        if self._store_lost:
            self._store_lost = False
            self._grace_until_ns = self._clock.monotonic_ns() + int(GRACE_S * 1e9)

    async def _work(self, run_ids: list[str]) -> None:
        """One delivery: claim its runs. What is claimed goes on when the delivery is over."""
        await self._begin([RunId(run_id) for run_id in run_ids])

    async def _begin(self, run_ids: Sequence[RunId]) -> None:
        assert self._group is not None, "the engine runs"
        await asyncio.gather(*(self.owner.begin(run_id, self._group) for run_id in run_ids))

    async def _hear(self) -> None:
        """End the work on runs that others want to end."""
        async for run_id in self._signals.heard():
            self.owner.interrupt(run_id, Interrupt.CANCEL)

    async def _deliver(self) -> None:
        """Hand what was offered to the queue, for ever."""
        while True:
            await self._offer.wait()
            self._offer.clear()
            some, self._offered = self._offered, []
            if self._settings.redis_url and self._settings.works:
                here = max(0, OWN_RUNS_FIRST - self.owner.held)
                self._begin_here(some[:here])
                some = some[here:]
            size = SHARED_RUNS_PER_DELIVERY if self._settings.redis_url else len(some)
            for start in range(0, len(some), size or 1):
                batch = some[start : start + size]
                if not await self._queued(batch) and self._settings.works:
                    self._begin_here(batch)

    def _begin_here(self, run_ids: Sequence[RunId]) -> None:
        assert self._group is not None, "the engine runs"
        if run_ids:
            self._group.create_task(self._begin(run_ids))

    async def _queued(self, run_ids: Sequence[RunId]) -> bool:
        """Give one delivery to the queue; False where it is not there."""
        queue = self._queue
        if queue is None or self._events.missing is not None:
            return False
        try:
            async with asyncio.timeout(DELIVERY_S):
                # A key of its own: whether two deliveries are one is for the claim to decide, not for the queue.
                await queue.add(self._work, key=f"runs:{self._ids.uuid()}")(list[str](run_ids))
        except Exception as error:  # noqa: BLE001 - the run is begun here instead, and found by whoever reconciles
            _log.warning("queue did not take a delivery", error=type(error).__name__)
            return False
        return True

    async def _queue_for_ever(self, docket: Any) -> None:
        """Be connected with the queue and work on what it delivers; after a failure again.

        docket's worker takes a cancel for a wish to end in order and returns: whether to go on is asked, not concluded.
        """
        while not self._stop.is_set():
            try:
                await self._be_delivered(docket)
            except Exception as error:  # noqa: BLE001 - the queue is away; runs are found without it
                _log.warning("queue is away", error=type(error).__name__)
            finally:
                self._queue = None
            if not self._stop.is_set():
                await asyncio.sleep(QUEUE_RETRY_S)

    async def _be_delivered(self, docket: Any) -> None:
        shared = self._settings.redis_url
        async with AsyncExitStack() as stack:
            queue = await stack.enter_async_context(
                docket.Docket(
                    name="runstead", url=shared or f"memory://{self.owner.name}", execution_ttl=timedelta(0)
                )
            )
            queue.register(self._work)
            self._queue = cast("Docket", queue)
            if not self._settings.works:
                await asyncio.Event().wait()
            worker = await stack.enter_async_context(
                docket.Worker(
                    queue,
                    name=self.owner.name,
                    concurrency=SHARED_DELIVERIES_MAX if shared else DELIVERIES_MAX,
                    redelivery_timeout=timedelta(seconds=self._settings.lease_s),
                    reconnection_delay=timedelta(seconds=QUEUE_RETRY_S),
                    schedule_automatic_tasks=False,
                )
            )
            await worker.run_forever()


async def end(tasks: set[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are over. A cancel may get lost: a library that is just connecting takes it for a timeout."""
    while tasks:
        for task in tasks:
            task.cancel()
        _, tasks = await asyncio.wait(tasks, timeout=ASK_AGAIN_S)
