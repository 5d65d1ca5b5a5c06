"""The log of several processes: the newest events in Redis, all of them in the store, readers anywhere.

An owner's events go to Redis as they come, many runs in one go, and to the store with each commit of its run. While Redis is
away they go to the store at once, a few times a second: a reader is never given what is kept nowhere, and never waits for
Redis. Without any Redis the store alone carries them. What the store does not have yet stays in the owner's memory, so that
an emptied Redis is filled again.

Numbers are never used twice, whatever is lost: the store knows up to which number an owner may have given out events
(`reserved_seq`) and in which Redis (`hot_id`). Where both the owner and that Redis are gone, who goes on begins after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from runstead.domain.run_machine import Change
from runstead.errors import StaleEpoch, Unavailable
from runstead.events.follower import Follower
from runstead.events.journal import Pen
from runstead.events.log import Append, Encoder, Entry, Journal
from runstead.events.stored import StoredLog
from runstead.events.tape import Tape
from runstead.ids import RunId
from runstead.store import commit as commits
from runstead.store import events as rows
from runstead.store.commit import RESERVED_AHEAD, Claim
from runstead.store.database import Database
from runstead.telemetry import Meter, log
from runstead.telemetry.chore import every

if TYPE_CHECKING:
    from runstead.events.hot import HotStreams

# While Redis is away, events go to the store so often.
SPILL_EVERY_S = 0.2
FLUSHED_LOOK_S = 0.005
# An answer that is longer than so many events goes to the store before its commit, so that memory has a bound.
TAIL_ENTRIES_MAX = 8192

_log = log("events")


class SharedJournal(Pen):
    """A pen whose events go to Redis and to the store."""

    def __init__(self, log_: SharedLog, claim: Claim, tape: Tape) -> None:
        super().__init__(log_.db, log_.encode, claim.run, tape, log_.flush_soon, log_.meter)
        self.reserved_seq = claim.run.reserved_seq
        self.hot_id = claim.run.hot_id
        self.opened = False
        self.void_until = 0
        self.over = False
        self.storing = asyncio.Lock()
        self._log = log_

    async def commit(self, change: Change) -> None:
        """See `Pen.commit`."""
        async with self.storing:
            try:
                await super().commit(change)
            except StaleEpoch:
                self._log.lose(self)
                raise
            self.over = change.run.status.final
        self._log.stored_up_to(self)

    @property
    def in_doubt(self) -> bool:
        """Whether the store lacks numbers that may be lost: until it has them, nothing of this pen goes to Redis.

        Else the next owner would find a whole stream there, and could not know that others heard of those numbers.
        """
        return self.stored_seq < self.void_until

    def owed(self) -> list[Entry]:
        """What the store does not have."""
        return self.between(self.stored_seq, self.last_seq)

    def unheated(self) -> list[Entry]:
        """What Redis shall have next: what it does not have, or, where it must begin anew, what the store does not."""
        after = self.hot_seq if self.opened else self.stored_seq
        return self.between(after, self.reserved_seq)


class SharedLog(StoredLog):
    """Every run's events, for any number of processes. `hot` None: there is no Redis."""

    def __init__(
        self, db: Database, encode: Encoder, hot: HotStreams | None, meter: Meter | None = None
    ) -> None:
        super().__init__(db, encode, meter)
        self._hot = hot
        self._follower = Follower(db, hot)
        self._pens: dict[RunId, SharedJournal] = {}
        self._dirty: dict[SharedJournal, None] = {}
        self._flushing = False
        self._some = asyncio.Event()
        self._short: dict[SharedJournal, None] = {}
        self._running_short = asyncio.Event()
        if hot is not None:
            hot.on_lost = self._hot_lost

    @property
    def hot_id(self) -> str | None:
        """Which Redis new events go to."""
        return None if self._hot is None else self._hot.id

    @property
    def missing(self) -> str | None:
        """What is not there of what this log was given."""
        if self._hot is None or self._hot.up:
            return None
        return f"Redis at {self._hot.place} cannot be reached"

    async def open(self) -> None:
        """Look whether Redis is there."""
        if self._hot is not None:
            try:
                await self._hot.look()
            except Unavailable as error:
                _log.warning("redis is not there; runs go on without it", error=error.detail)

    async def run(self) -> None:
        """Write what is emitted, follow the runs of others, look after Redis."""
        hot = self._hot
        chores: dict[str, Callable[[], Awaitable[None]]] = {
            "follow runs": self._follower.run,
            "keep events": self._flush_for_ever,
        }
        if hot is not None:
            chores |= {"look after redis": hot.run, "reserve numbers": partial(self._reserve_for_ever, hot)}
        async with asyncio.TaskGroup() as group:
            for name, chore in chores.items():
                group.create_task(every(SPILL_EVERY_S, _log, name, chore))

    async def journal(self, claim: Claim) -> SharedJournal:
        """The pen for a run that was just claimed, with what its owners before left in Redis or lost with it."""
        run = claim.run
        journal = SharedJournal(self, claim, self.announced(run.id))
        if run.epoch > 1:
            journal.inherited = await self.range(run.id, claim.committed_seq, run.last_seq)
        if self._hot is not None:
            await self._inherit(self._hot, journal, claim)
        self._follower.leave(run.id)
        self._pens[run.id] = journal
        return journal

    def lay_down(self, journal: Journal) -> None:
        """The pen's owner is done with it: readers here follow whoever goes on."""
        if isinstance(journal, SharedJournal) and not journal.over:
            self.lose(journal)

    def lose(self, pen: SharedJournal) -> None:
        """The run has another owner, or none: its readers follow it from afar."""
        pen.lose()
        self._put_away(pen)

    def attend(self, run_id: RunId, tape: Tape, seq: int) -> None:
        """Somebody waits: where this process does not write the run, it is followed."""
        if run_id not in self._pens:
            self._follower.follow(run_id, tape, seq)

    def flush_soon(self, pen: Pen) -> None:
        """See to it that what is pending with a pen is kept."""
        assert isinstance(pen, SharedJournal), "pens of this log only"
        self._dirty[pen] = None
        self._some.set()

    def stored_up_to(self, pen: SharedJournal) -> None:
        """A commit stands: readers elsewhere hear of it by Redis, memory forgets what it need not keep."""
        if self._hot is not None and self._hot.up:
            self.flush_soon(pen)
        else:
            pen.trim(pen.stored_seq)
            if pen.over:
                self._put_away(pen)

    async def stored(self, run_id: RunId, after: int) -> Sequence[Entry]:
        """Durable events after a number: the store's, or those that only Redis has."""
        if found := await super().stored(run_id, after):
            return found
        if self._hot is None or not self._hot.up:
            return ()
        try:
            found = await self._hot.range(run_id, after)
        except Unavailable:
            return ()
        if not found or found[0].seq == after + 1:
            return found
        return await super().stored(run_id, after)  # committed meanwhile, and gone from Redis

    async def sizes(self) -> Mapping[str, float]:
        """How much of the log is where."""
        found = {**await super().sizes(), "pens": len(self._pens), "followed": self._follower.count}
        if self._hot is None:
            return found
        found["hot_up"] = int(self._hot.up)
        try:
            found["hot_memory_bytes"] = await self._hot.size_bytes()
        except Unavailable:
            found["hot_up"] = 0
        return found

    async def flushed(self) -> None:
        """Wait until everything that was emitted is kept."""
        while self._flushing or self._dirty or any(pen.pending for pen in self._pens.values()):  # noqa: ASYNC110 - only at the end of a process
            await asyncio.sleep(FLUSHED_LOOK_S)

    async def close(self) -> None:
        """Write what was emitted, then let go of Redis."""
        self._closing = True
        self._some.set()
        try:
            async with asyncio.timeout(SPILL_EVERY_S * 10):
                await self.flushed()
        except TimeoutError:
            _log.warning("events were not written", runs=len(self._pens))
        if self._hot is not None:
            await self._hot.close()

    def _hot_lost(self) -> None:
        """What only Redis had is kept elsewhere now."""
        for pen in self._pens.values():
            self.flush_soon(pen)

    def _put_away(self, pen: SharedJournal) -> None:
        if self._pens.get(pen.run_id) is pen:
            del self._pens[pen.run_id]
        self._dirty.pop(pen, None)
        pen.tape.wake()

    async def _inherit(self, hot: HotStreams, pen: SharedJournal, claim: Claim) -> None:
        """Take the run's stream over; find what is in it alone, and how many numbers may be lost. Raises `StaleEpoch`."""
        found = None
        if hot.up:
            try:
                fresh = claim.given_by is None
                found = await hot.take(pen.run_id, pen.epoch, pen.last_seq, begin=fresh)
                if found == pen.last_seq or (found is None and fresh):
                    pen.opened, pen.hot_seq = True, pen.last_seq
                elif found is not None and found > pen.last_seq:
                    await self._read_tail(hot, pen, found)
            except Unavailable:
                found = None
        if claim.given_by is not None and (found is None or hot.id != claim.given_by):
            pen.void = max(0, claim.given_seq - pen.last_seq)
            pen.void_until = claim.given_seq
            _log.warning("numbers may be lost", run_id=pen.run_id, void=pen.void)

    async def _read_tail(self, hot: HotStreams, pen: SharedJournal, last_seq: int) -> None:
        """What the owner before said and the store does not have: it is this pen's to keep now."""
        entries: list[Entry] = []
        after = pen.last_seq
        while after < last_seq and (more := await hot.range(pen.run_id, after)):
            if more[0].seq != after + 1:
                break
            entries += more
            after = more[-1].seq
        if not entries:
            return
        pen.tail = entries
        pen.inherited = [*pen.inherited, *entries]
        pen.last_seq = pen.hot_seq = after
        pen.opened = True
        pen.tape.publish(entries)

    async def _flush_for_ever(self) -> None:
        while True:
            await self._some.wait()
            self._some.clear()
            while self._dirty:
                await self._flush_dirty()

    async def _flush_dirty(self) -> None:
        """Flush what is dirty now; nothing of it is held on to while nothing is to be done."""
        pens, self._dirty = self._dirty, {}
        self._flushing = True
        try:
            await self._flush([pen for pen in pens if not pen.lost])
        finally:
            self._flushing = False

    async def _flush(self, pens: Sequence[SharedJournal]) -> None:
        """Keep what is pending, in Redis where it is there, in the store where it is not."""
        hot = self._hot
        try:
            if hot is not None and hot.up:
                await self._heat(hot, pens)
            else:
                await self._spill(pens)
                if hot is not None and not self._closing:
                    await asyncio.sleep(SPILL_EVERY_S)
            for pen in pens:
                if pen.over and pen not in self._dirty:
                    self._put_away(pen)
        except Unavailable:  # neither is there, or Redis was just lost: the next time, wherever it goes then
            self._dirty |= dict.fromkeys(pens)
            await asyncio.sleep(SPILL_EVERY_S)
        except Exception as error:  # noqa: BLE001 - becomes the loss of these runs, which are claimed anew
            _log.error("events could not be kept", exc_info=error)
            for pen in pens:
                self.lose(pen)

    async def _heat(self, hot: HotStreams, pens: Sequence[SharedJournal]) -> None:
        """Give Redis what it shall have of these runs, in one go."""
        for pen in pens:
            self._reserve_soon(hot, pen)
        sure = [pen for pen in pens if pen.hot_id == hot.id and not pen.in_doubt]
        ready = [(pen, entries) for pen in sure if (entries := pen.unheated())]
        if ready:
            answers = await hot.append([self._append_of(pen, entries) for pen, entries in ready])
            for (pen, entries), answer in zip(ready, answers, strict=True):
                if isinstance(answer, StaleEpoch):
                    self.lose(pen)
                else:
                    self._heated(pen, entries, done=answer)
        if long := [pen for pen in pens if len(pen.tail) > TAIL_ENTRIES_MAX and not pen.lost]:
            await self._spill(long)

    def _append_of(self, pen: SharedJournal, entries: Sequence[Entry]) -> Append:
        over = pen.over and entries[-1].seq == pen.last_seq
        return Append(pen.run_id, pen.epoch, entries, pen.stored_seq, anew=not pen.opened, over=over)

    def _heated(self, pen: SharedJournal, entries: Sequence[Entry], *, done: bool) -> None:
        if done:
            pen.opened = True
            pen.keep(hot_seq=entries[-1].seq)
            pen.trim(min(pen.stored_seq, pen.hot_seq))
        else:
            pen.opened = False
        if pen.unheated():
            self._dirty[pen] = None

    def _reserve_soon(self, hot: HotStreams, pen: SharedJournal) -> None:
        """Where a run nears the last of its numbers, has some to fill, or Redis is another one: see that the store knows."""
        if pen.in_doubt or pen.hot_id != hot.id or pen.reserved_seq - pen.last_seq < RESERVED_AHEAD // 2:
            self._short[pen] = None
            self._running_short.set()

    async def _reserve_for_ever(self, hot: HotStreams) -> None:
        while True:
            await self._running_short.wait()
            self._running_short.clear()
            pens, self._short = [pen for pen in self._short if not pen.lost], {}
            try:
                await self._reserve(hot.id, pens)
            except Unavailable:  # what is reserved may still be given out; the rest waits
                self._short |= dict.fromkeys(pens)
                self._running_short.set()
                await asyncio.sleep(SPILL_EVERY_S)

    async def _reserve(self, hot_id: str | None, pens: Sequence[SharedJournal]) -> None:
        """Let the store have what is in doubt; then let it know how far numbers may be given out."""
        doubtful = [pen for pen in pens if pen.in_doubt]
        await self._spill(doubtful)
        for pen in doubtful:
            if not (pen.in_doubt or pen.lost):
                self.flush_soon(pen)
        sure = [pen for pen in pens if not (pen in doubtful or pen.over)]
        if hot_id is not None and sure:
            await self._reserve_sure(hot_id, sure)

    async def _reserve_sure(self, hot_id: str, pens: Sequence[SharedJournal]) -> None:
        wanted = {pen: (pen.last_seq + RESERVED_AHEAD, hot_id) for pen in pens}
        refused = await self.db.write(_reserve_all, wanted)
        for pen, (reserved_seq, _) in wanted.items():
            if pen in refused and not pen.over:
                self.lose(pen)
            else:
                pen.reserved_seq, pen.hot_id = reserved_seq, hot_id
                self.flush_soon(pen)

    async def _spill(self, pens: Sequence[SharedJournal]) -> None:
        """Write to the store what Redis cannot keep. A pen whose commit is under way is written by that."""
        free = [pen for pen in pens if not pen.storing.locked() and pen.owed()]
        for pen in free:
            await pen.storing.acquire()
        try:
            taken = [(pen, entries) for pen in free if (entries := pen.owed())]
            if batch := [row for pen, entries in taken for row in pen.rows(entries)]:
                refused = {row.run_id for row in await self.db.write(rows.extend, batch)}
                self._spilt(taken, refused)
        finally:
            for pen in free:
                pen.storing.release()

    def _spilt(self, taken: Sequence[tuple[SharedJournal, list[Entry]]], refused: set[RunId]) -> None:
        for pen, entries in taken:
            if pen.run_id in refused:
                self.lose(pen)
            else:
                pen.keep(stored_seq=entries[-1].seq)
                pen.trim(pen.stored_seq)
                pen.opened = False  # what Redis has of it is no longer whole


def _reserve_all(
    conn: Connection, wanted: Mapping[SharedJournal, tuple[int, str | None]]
) -> set[SharedJournal]:
    """Reserve numbers for several runs; gives those that have another owner."""
    return {
        pen
        for pen, (seq, hot_id) in wanted.items()
        if not commits.reserve(conn, pen.run_id, pen.epoch, seq, hot_id)
    }
