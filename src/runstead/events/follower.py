"""Runs of other processes, followed for the readers in this one: one waiting read for all of them together.

It publishes on the tapes that readers hold and forgets a run when nobody holds its tape. Whatever Redis may not tell (it was
lost, it was emptied, the run was deleted, its end was written but not announced) is asked of the store now and then, one
question for all runs that were silent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import ReferenceType, ref

from runstead.errors import Unavailable
from runstead.events.tape import Tape
from runstead.ids import RunId
from runstead.store import events as rows
from runstead.store.database import Database
from runstead.telemetry import log

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from runstead.events.hot import HotStreams

WATCH_EVERY_S = 1.0
# While Redis is away, the store is the only way by which events come from one process to another.
WATCH_ALONE_EVERY_S = 0.2
WATCHED_MAX = 1000
WAKE_EVERY_S = 0.003

_log = log("events")


@dataclass(slots=True)
class _Followed:
    """A run that readers here wait for: where its tape is, and how far it was told."""

    tape: ReferenceType[Tape]
    seq: int
    silent: bool = True


class Follower:
    """Follows runs whose owner is another process."""

    def __init__(self, db: Database, hot: HotStreams | None) -> None:
        self._db = db
        self._hot = hot
        self._followed: dict[RunId, _Followed] = {}
        self._some = asyncio.Event()
        self._new = asyncio.Event()
        self._added = 0
        self._asked_for = 0

    @property
    def count(self) -> int:
        """How many runs are followed."""
        return len(self._followed)

    def follow(self, run_id: RunId, tape: Tape, seq: int) -> None:
        """Publish on the tape what comes after `seq`, or after what the tape has."""
        if run_id in self._followed and self._followed[run_id].tape() is tape:
            return
        self._followed[run_id] = _Followed(ref(tape), max(seq, tape.last_seq))
        self._added += 1
        self._some.set()
        self._new.set()

    def leave(self, run_id: RunId) -> None:
        """Follow it no more: this process writes it now."""
        self._followed.pop(run_id, None)

    async def run(self) -> None:
        """Follow for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_for_ever())
            if self._hot is not None:
                group.create_task(self._read_for_ever(self._hot))
                group.create_task(self._wake_for_ever(self._hot))

    async def _read_for_ever(self, hot: HotStreams) -> None:
        while True:
            await self._some.wait()
            if not hot.up:
                await asyncio.sleep(WATCH_ALONE_EVERY_S)
                continue
            try:
                async with hot.following() as client:
                    while await self._read(hot, client):
                        pass
            except Unavailable:
                continue  # the store is asked until Redis is back

    async def _read(self, hot: HotStreams, client: Redis) -> bool:
        """Wait for what comes next and publish it; False where nothing is followed any more."""
        self._drop()
        if not self._followed:
            self._some.clear()
            return False
        places = {run_id: each.seq for run_id, each in self._followed.items()}
        self._asked_for = self._added
        found = await hot.follow(places, client)
        for run_id, entries in found.items():
            followed = self._followed.get(run_id)
            if followed is None or (tape := followed.tape()) is None or not entries:
                continue
            followed.seq, followed.silent = entries[-1].seq, False
            tape.publish(entries)
        return True

    async def _wake_for_ever(self, hot: HotStreams) -> None:
        """Let the waiting read ask anew when a run is added; again where it had not begun to wait when it was told."""
        while True:
            await self._new.wait()
            self._new.clear()
            while hot.up and self._asked_for < self._added:
                try:
                    await hot.wake()
                except Unavailable:
                    break
                await asyncio.sleep(WAKE_EVERY_S)

    async def _watch_for_ever(self) -> None:
        while True:
            await self._some.wait()
            alone = self._hot is None or not self._hot.up
            try:
                await self._watch(everyone=alone)
            except Unavailable as error:
                _log.info("runs cannot be watched", error=error.detail)
            await asyncio.sleep(WATCH_ALONE_EVERY_S if alone else WATCH_EVERY_S)

    async def _watch(self, *, everyone: bool) -> None:
        """Ask the store about runs that nothing was heard of."""
        self._drop()
        if not self._followed:
            self._some.clear()
        silent = [run_id for run_id, each in self._followed.items() if everyone or each.silent]
        for each in self._followed.values():
            each.silent = True
        for start in range(0, len(silent), WATCHED_MAX):
            some = silent[start : start + WATCHED_MAX]
            heads = await self._db.read(rows.heads, some)
            for run_id in some:
                self._learn(run_id, heads.get(run_id))

    def _learn(self, run_id: RunId, head: rows.LogHead | None) -> None:
        followed = self._followed.get(run_id)
        tape = None if followed is None else followed.tape()
        if tape is None:
            return
        if head is None:  # it was deleted
            tape.end = 0
            tape.wake()
            self.leave(run_id)
        else:
            tape.learn(head.last_seq, end=head.last_seq if head.over else None)

    def _drop(self) -> None:
        """Forget runs that nobody reads here, and those whose end is on the tape."""
        for run_id, each in list(self._followed.items()):
            tape = each.tape()
            if tape is None or (tape.end is not None and tape.last_seq >= tape.end):
                del self._followed[run_id]
