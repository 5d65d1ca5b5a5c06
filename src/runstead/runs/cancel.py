"""Ending runs on request: the wish is written first, then the owner is told; the answer is what became of the run.

`end_soon` does not wait for the answer: a message that interrupts others is admitted at once, and `run` sees them end.

Works in every state: a run that nobody owns is claimed only to be ended, one that ended with a question has it
denied, and an owner that does not react within `PATIENCE_S` loses the run to who asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from runstead.clock import Clock
from runstead.domain.actor import User
from runstead.domain.run import Run, RunStatus
from runstead.errors import Conflict, Gone, NotFound
from runstead.events.log import EventLog
from runstead.ids import AgentId, Ids, RunId
from runstead.runs.refuse import CANCELLED_REASON, delete_asking, refuse
from runstead.store import approvals, runs
from runstead.store.database import Database
from runstead.telemetry import log

PATIENCE_S = 5.0
RUNS_MAX = 100
ATTEMPTS_MAX = 5

_log = log("cancel")


class Stopper(Protocol):
    """Who can end a run that is being worked on."""

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        """See to it that a run whose cancel is written ends. `force`: take it from an owner that does not react."""
        ...


@dataclass(frozen=True, slots=True)
class _Cancelled:
    """A run as it is after a cancel, and whether that ended it, or what it asked."""

    run: Run | None
    cancelled: bool


class Cancellation:
    """Ends and deletes runs."""

    def __init__(self, db: Database, log: EventLog, clock: Clock, ids: Ids, stopper: Stopper) -> None:
        self._db = db
        self._log = log
        self._clock = clock
        self._ids = ids
        self._stopper = stopper
        self._ending: asyncio.Queue[RunId] = asyncio.Queue()

    async def run(self) -> None:
        """See to it, for ever, that what was told to `end_soon` ends."""
        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(self._insist(await self._ending.get()))

    def end_soon(self, run_ids: Sequence[RunId]) -> None:
        """See to the end of runs whose cancel is written, in the background: no failure of that is the caller's."""
        for run_id in run_ids:
            self._ending.put_nowait(run_id)

    async def cancel_runs(self, user: User, run_ids: Sequence[str]) -> dict[str, str]:
        """End these runs; per id `cancelled`, or `failed` where it is unknown or had ended otherwise before."""
        ended = await asyncio.gather(*(self._cancel(user, run_id) for run_id in run_ids))
        return {
            run_id: "cancelled" if found.cancelled else "failed"
            for run_id, found in zip(run_ids, ended, strict=True)
        }

    async def cancel_agent(self, user: User, agent_id: str) -> dict[str, str]:
        """End every run of an agent that is not over, and what it asks. Raises `Conflict` where there is neither."""
        active = await self._db.read(runs.active_of_agent, user.id, AgentId(agent_id))
        asking = await self._db.read(approvals.asking, user.id, agent_id=agent_id)
        if not active and not asking:
            raise Conflict(f"CONFLICT: No active runs to cancel for agent {agent_id}")
        return await self.cancel_runs(user, _newest(active, asking))

    async def cancel_lane(self, user: User, lane: str) -> dict[str, str]:
        """End every run of a conversation, or of an agent's own history, that is not over; as `cancel_agent` does."""
        active = await self._db.read(runs.active_in_lane, user.id, lane)
        asking = await self._db.read(approvals.asking, user.id, lane=lane)
        if not active and not asking:
            raise Conflict(f"CONFLICT: No active runs to cancel for conversation {lane}")
        return await self.cancel_runs(user, _newest(active, asking))

    async def delete(self, user: User, run_id: str) -> Run:
        """End a run if it is not over, delete it with what it asks, and give it as it was. Raises `NotFound`."""
        run = await self._end(user, run_id)
        if run is None:
            raise NotFound("Run not found")
        await self._db.write(delete_asking, run, self._clock.now(), self._ids)
        self._log.forget(run.id)
        return run

    async def _cancel(self, user: User, run_id: str) -> _Cancelled:
        """End a run, and what it asks. What is over stays as it is; but nobody waits for its answer any longer."""
        run = await self._end(user, run_id)
        if run is None:
            return _Cancelled(None, cancelled=False)
        told = run.asks is not None and await self._db.write(
            refuse, run, CANCELLED_REASON, self._clock.now(), self._ids
        )
        return _Cancelled(run, cancelled=told or run.status is RunStatus.CANCELLED)

    async def _end(self, user: User, run_id: str) -> Run | None:
        run = await self._db.read(runs.find_run, user.id, run_id)
        if run is None or run.status.final:
            return run
        run = await self._db.write(runs.request_cancel, user.id, run_id, self._clock.now())
        if run is None or run.status.final:
            return run
        await self._stop(run.id)
        return await self._db.read(runs.find_run, user.id, run_id)

    async def _stop(self, run_id: RunId) -> None:
        """Tell the owner of a run whose cancel is written; one that does not react in time loses it."""
        for force in (False, True):
            await self._stopper.stop(run_id, force=force)
            if await self._over(run_id):
                break

    async def _insist(self, run_id: RunId) -> None:
        for _ in range(ATTEMPTS_MAX):
            try:
                await self._stop(run_id)
            except Exception as error:  # noqa: BLE001 - tried again; at last the run's next owner sees the cancel
                _log.warning("run could not be ended yet", run_id=run_id, exc_info=error)
                await asyncio.sleep(PATIENCE_S)
            else:
                return

    async def _over(self, run_id: RunId) -> bool:
        """Whether the run ended while one was patient."""
        try:
            reader = await self._log.reader(run_id, 0)
        except (NotFound, Gone):
            return True
        deadline_ns = self._clock.monotonic_ns() + int(PATIENCE_S * 1e9)
        try:
            while not reader.ended:
                left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
                if left_s <= 0:
                    return False
                await reader.next(timeout_s=left_s)
        except Gone:
            return True
        finally:
            reader.leave()
        return True


def _newest(active: Sequence[Run], asking: Sequence[Run]) -> list[str]:
    """The newest of these runs, newest first."""
    found = sorted((*active, *asking), key=lambda run: run.position)
    return [run.id for run in reversed(found[-RUNS_MAX:])]
