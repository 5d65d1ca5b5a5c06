"""This process as an owner of runs: it claims, works, renews its leases, and lets go.

The store decides who owns a run; everything here acts on what it said. A claim that fails is no error: somebody else has
the run, or it is not its turn. When a run ends, the next of its lane is offered. A store that is away is waited for: a run
that cannot be written on is left as it is, never failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Protocol

from runstead.clock import Clock
from runstead.domain.run import Run
from runstead.domain.run_machine import Change, Claimed, HandedOver, transition
from runstead.errors import StaleEpoch, Unavailable
from runstead.events.log import EventLog
from runstead.ids import RunId
from runstead.loop.hold import Hold, Interrupt
from runstead.store import commit as commits
from runstead.store import runs
from runstead.store.database import Database
from runstead.telemetry import log
from runstead.telemetry.chore import came

FOLDED_MAX = 50
# How long handing over may take, once the time to drain is over; then the runs are left to their leases.
HAND_OVER_S = 5.0

_log = log("engine")


class Executor(Protocol):
    """What brings a claimed run to its end."""

    async def execute(self, hold: Hold) -> None:
        """Work on the run until it is over or must be left."""
        ...

    async def fail(self, hold: Hold, error: Exception) -> None:
        """End a run that something unforeseen broke."""
        ...


class Owner:
    """The runs in this process's hands. `name` is unique among processes and their restarts."""

    def __init__(
        self,
        name: str,
        lease_s: float,
        runs_max: int,
        db: Database,
        events: EventLog,
        clock: Clock,
        executor: Executor,
        offer: Callable[[RunId], Awaitable[None]],
    ) -> None:
        self.name = name
        self._lease_s = lease_s
        self._db = db
        self._events = events
        self._clock = clock
        self._executor = executor
        self._offer = offer
        self._runs_max = runs_max
        self._taken = 0
        self._free = asyncio.Condition()
        self._holds: dict[RunId, Hold] = {}
        self._renewed_ns = 0
        self._ended: list[RunId] = []
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def held(self) -> int:
        """How many runs are being worked on."""
        return len(self._holds)

    @property
    def lease_age_s(self) -> float:
        """Seconds since the leases were last renewed; 0 where there is none."""
        return (self._clock.monotonic_ns() - self._renewed_ns) / 1e9 if self._holds else 0.0

    @property
    def overslept(self) -> bool:
        """Whether this process stood still for so long that its leases may be over. Nobody need have taken its runs."""
        return self.lease_age_s >= self._lease_s

    @property
    def places(self) -> int:
        """How many more could be."""
        return 0 if self._stopping else max(0, self._runs_max - self._taken)

    async def begin(self, run_id: RunId, group: asyncio.TaskGroup) -> None:
        """Claim a run, as soon as there is a place for it, and work on it in `group`.

        Returns once it is claimed, or cannot be.
        """
        async with self._free:
            await self._free.wait_for(lambda: self._taken < self._runs_max)
            self._taken += 1
        hold = None
        try:
            # What is held already is renewed, or lost: claimed again, its answer would begin anew.
            if not self._stopping and run_id not in self._holds:
                hold = await self._claim(run_id, force=False)
        finally:
            if hold is None:
                await self._give_place_back()
        if hold is not None:
            group.create_task(self._work_in_place(hold))

    async def take(self, run_id: RunId) -> None:
        """Take a run from whoever has it, and work on it to its end."""
        if (hold := await self._claim(run_id, force=True)) is not None:
            await self._work(hold)

    async def _work_in_place(self, hold: Hold) -> None:
        try:
            await self._work(hold)
        finally:
            await self._give_place_back()

    async def _give_place_back(self) -> None:
        async with self._free:
            self._taken -= 1
            self._free.notify()

    async def _claim(self, run_id: RunId, *, force: bool) -> Hold | None:
        claimed = Claimed(self.name, self._lease_s)
        try:
            claim = await self._db.write(
                commits.claim, run_id, claimed, self._clock.now(), force=force, hot_id=self._events.hot_id
            )
            if claim is None:
                return None
            hold = Hold(claim.run, await self._events.journal(claim))
        except StaleEpoch:  # somebody else took it just now
            return None
        except Unavailable as error:
            _log.warning("run cannot be claimed", run_id=run_id, error=error.detail)
            return None
        except Exception as error:  # noqa: BLE001 - the run is found again by whoever reconciles
            _log.error("run could not be claimed", run_id=run_id, exc_info=error)
            return None
        if (before := self._holds.get(run_id)) is not None:
            before.interrupt(Interrupt.LOST)
        if not self._holds:
            self._renewed_ns = self._clock.monotonic_ns()
        self._holds[run_id] = hold
        self._idle.clear()
        if self._stopping:
            hold.interrupt(Interrupt.HAND_OVER)
        return hold

    async def _work(self, hold: Hold) -> None:
        try:
            await self._execute(hold)
        finally:
            self._events.lay_down(hold.journal)
            if self._holds.get(hold.run.id) is hold:
                del self._holds[hold.run.id]
            if not self._holds:
                self._idle.set()
        await self._settle(hold.run)

    def interrupt(self, run_id: RunId, why: Interrupt) -> bool:
        """Interrupt the work on a run; False where this process does not hold it."""
        hold = self._holds.get(run_id)
        if hold is not None:
            hold.interrupt(why)
        return hold is not None

    async def renew(self) -> None:
        """Renew every lease; runs that have another owner meanwhile are dropped, those that shall end are told so."""
        if not self._holds:
            return
        until = self._clock.now() + timedelta(seconds=self._lease_s)
        asked_ns = self._clock.monotonic_ns()
        before = dict(self._holds)
        mine = await self._db.write(runs.renew_leases, self.name, list(before), until)
        self._renewed_ns = asked_ns
        for run_id, hold in before.items():
            if self._holds.get(run_id) is not hold:
                continue
            still = mine.get(run_id)
            if still is None or still.epoch != hold.run.epoch:
                hold.interrupt(Interrupt.LOST)
            elif still.cancel_requested:
                hold.interrupt(Interrupt.CANCEL)

    async def drain(self, drain_s: float) -> int:
        """Claim no more; give what is held so long to end, then hand the rest over. Gives how many were handed over."""
        self._stopping = True
        if await came(self._idle, drain_s):
            return 0
        left = list(self._holds.values())
        for hold in left:
            hold.interrupt(Interrupt.HAND_OVER)
        if not await came(self._idle, HAND_OVER_S):
            _log.warning("runs are left to their leases", runs=len(self._holds))
            for hold in list(self._holds.values()):
                hold.journal.lose()
                hold.interrupt(Interrupt.LOST)
            await came(self._idle, HAND_OVER_S)
        return len(left)

    async def _execute(self, hold: Hold) -> None:
        try:
            await self._executor.execute(hold)
            if not hold.run.status.final:
                await self._hand_over(hold)
        except StaleEpoch:
            _log.warning("run has another owner", run_id=hold.run.id, epoch=hold.run.epoch)
        except Unavailable as error:
            _log.warning("run is left", run_id=hold.run.id, error=error.detail)
        except Exception as error:  # noqa: BLE001 - ends the run as failed, with the cause in the log
            _log.error("run broke", run_id=hold.run.id, exc_info=error)
            await self._break(hold, error)

    async def _break(self, hold: Hold, error: Exception) -> None:
        try:
            await self._executor.fail(hold, error)
        except Exception as second:  # noqa: BLE001 - the lease will end, and the run is claimed anew
            _log.error("run could not be ended", run_id=hold.run.id, exc_info=second)

    async def _hand_over(self, hold: Hold) -> None:
        after = transition(hold.run, HandedOver(), self._clock.now())
        await hold.journal.commit(Change(after))
        hold.run = after

    async def _settle(self, run: Run) -> None:
        """What follows a run's end: its lane's next is offered, its events are packed."""
        if self._stopping or not run.status.final:
            return
        self._ended.append(run.id)
        try:
            following = await self._db.read(runs.head_of_lane, run.lane)
        except Unavailable:  # whoever reconciles finds it
            return
        if following is not None:
            await self._offer(following)

    async def fold_ended(self) -> None:
        """Pack the events of what ended since the last time, a bounded number of runs a commit."""
        while self._ended:
            some = self._ended[:FOLDED_MAX]
            await self._events.fold(some)
            del self._ended[: len(some)]
