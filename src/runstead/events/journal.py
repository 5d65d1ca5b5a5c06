"""The pen of one run's owner: it gives out numbers and remembers which events are already kept where.

Every log's pen is one of these; how events become durable is the log's own. Two marks say how far they are: `stored_seq`, in
the store's own rows; `hot_seq`, in the hot log (0 where there is none). An event is durable, and may be read, as soon as one
of the two has reached it. What is not in the store yet stays in memory, so that a hot log may be lost while its owner lives.
`sent_seq` is how far events were handed to the store, whether or not it has answered.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from functools import partial

from runstead.domain.event import RunEvent
from runstead.domain.run import Run
from runstead.domain.run_machine import Change
from runstead.errors import StaleEpoch, Unavailable
from runstead.events.log import Encoder, Entry
from runstead.events.tape import Tape
from runstead.ids import RunId
from runstead.store import commit as commits
from runstead.store import events as rows
from runstead.store.database import Database
from runstead.telemetry import Meter, log

PENDING_ENTRIES_MAX = 1000
# How long a commit is tried again while the store cannot be reached; then the run is left to who claims it next.
COMMIT_PATIENCE_S = 300.0
COMMIT_RETRY_S = 0.2
COMMIT_RETRY_MAX_S = 2.0

_log = log("events")


class Pen(ABC):
    """One run's numbers, and its events that are not in the store yet."""

    def __init__(
        self, db: Database, encode: Encoder, run: Run, tape: Tape, dirty: Callable[[Pen], None], meter: Meter
    ) -> None:
        self.run = run
        self.tape = tape
        self.last_seq = run.last_seq
        self.sent_seq = run.last_seq
        self.stored_seq = run.last_seq
        self.hot_seq = 0
        self.lost = False
        self.inherited: Sequence[Entry] = ()
        self.void = 0
        self.tail: list[Entry] = []
        self._db = db
        self._encode_event = encode
        self._dirty = dirty
        self._room: asyncio.Event | None = None
        self._meter = meter
        # One event at a time is timed; 0: none is on its way.
        self._timed_seq = 0
        self._timed_at_s = 0.0

    @property
    def run_id(self) -> RunId:
        """Whose pen it is."""
        return self.run.id

    @property
    def epoch(self) -> int:
        """Which owner's pen it is."""
        return self.run.epoch

    @property
    def durable_seq(self) -> int:
        """Up to here everything is kept somewhere."""
        return max(self.stored_seq, self.hot_seq)

    @property
    def pending(self) -> int:
        """How many events are kept nowhere but here."""
        return self.last_seq - self.durable_seq

    def emit(self, event: RunEvent) -> None:
        """Add an event; it reaches readers once it is durable. Raises `StaleEpoch` where the run has another owner."""
        if self.lost:
            raise StaleEpoch
        if (entry := self.encode(event, self.last_seq + 1)) is not None:
            self.tail.append(entry)
            self.last_seq = entry.seq
            if not self._timed_seq:
                self._timed_seq, self._timed_at_s = entry.seq, asyncio.get_running_loop().time()
            self._dirty(self)

    async def commit(self, change: Change) -> None:
        """Write a change and its events, after all emitted before, in one commit. Raises `StaleEpoch`, nothing written."""
        if self.lost:
            raise StaleEpoch
        told = self.told_by(change)
        last_seq = self.last_seq + len(told)
        written = self.rows([*self.owed(), *told])
        before, self.sent_seq = self.sent_seq, last_seq
        try:
            await patiently(self, partial(self.write, change, written, last_seq))
        except StaleEpoch:
            self.lose()
            raise
        except BaseException:
            # Nothing was written: the numbers of the change's own events are free again, those emitted before are not lost.
            self.sent_seq = before
            raise
        self.tail += told
        self.last_seq = last_seq
        self.keep(stored_seq=last_seq)
        if change.run.status.final:
            self.tape.learn(last_seq, end=last_seq)

    @abstractmethod
    def owed(self) -> list[Entry]:
        """What was emitted and goes to the store with the next commit, before the change's own events."""

    async def write(self, change: Change, written: tuple[rows.EventRow, ...], last_seq: int) -> None:
        """Put a change and events up to `last_seq` into the store."""
        await self._db.write(commits.commit, change, self.epoch, written, last_seq)

    async def room(self) -> None:
        """Wait while too much is on its way to be kept."""
        while self.pending > PENDING_ENTRIES_MAX and not self.lost:
            self._room = asyncio.Event()
            await self._room.wait()
        if self.lost:
            raise StaleEpoch

    def encode(self, event: RunEvent, seq: int) -> Entry | None:
        """The event under that number; None where the run's request leaves it out."""
        encoded = self._encode_event(event, self.run, seq)
        return None if encoded is None else Entry(seq, encoded[0], encoded[1])

    def told_by(self, change: Change) -> list[Entry]:
        """The events of a change, under the next numbers. They are not given out: the change may be refused."""
        found: list[Entry] = []
        for event in change.events:
            if (entry := self.encode(event, self.last_seq + len(found) + 1)) is not None:
                found.append(entry)
        return found

    def unsent(self) -> list[Entry]:
        """What was not handed to the store yet."""
        return self.between(self.sent_seq, self.last_seq)

    def between(self, after: int, last: int) -> list[Entry]:
        """The events after one number, up to another, as far as memory has them."""
        return self.tail[self._index(after) : self._index(last)]

    def _index(self, seq: int) -> int:
        """Where in the tail the first event after `seq` stands."""
        return max(0, seq + 1 - self.tail[0].seq) if self.tail else 0

    def keep(self, *, stored_seq: int | None = None, hot_seq: int | None = None) -> None:
        """Events up to there are kept now: readers are given them, and memory what nobody needs from it."""
        before = self.durable_seq
        self.stored_seq = stored_seq if stored_seq is not None else self.stored_seq
        self.hot_seq = hot_seq if hot_seq is not None else self.hot_seq
        if fresh := self.between(before, self.durable_seq):
            self.tape.publish(fresh)
        if 0 < self._timed_seq <= self.durable_seq:
            lag_s = asyncio.get_running_loop().time() - self._timed_at_s
            self._meter.observe("runstead_tail_lag_seconds", lag_s)
            self._timed_seq = 0
        if self._room is not None and self.pending <= PENDING_ENTRIES_MAX:
            self._room.set()
            self._room = None

    def trim(self, seq: int) -> None:
        """Forget what is kept up to `seq`."""
        if self.tail and self.tail[0].seq <= seq:
            del self.tail[: self._index(seq)]

    def lose(self) -> None:
        """The run is no longer this owner's: nothing more is taken."""
        self.lost = True
        self.tail = []
        if self._room is not None:
            self._room.set()
            self._room = None

    def rows(self, entries: Sequence[Entry]) -> tuple[rows.EventRow, ...]:
        """The store's rows for entries that follow each other."""
        found: list[rows.EventRow] = []
        for start in range(0, len(entries), rows.FOLD_EVENTS_MAX):
            some = entries[start : start + rows.FOLD_EVENTS_MAX]
            body = b"\n".join([b"%b%b" % (entry.kind.encode(), entry.data) for entry in some])
            found.append(rows.EventRow(self.run.id, some[0].seq, some[-1].seq, self.epoch, body))
        return tuple(found)


async def patiently(pen: Pen, write: Callable[[], Coroutine[None, None, None]]) -> None:
    """Write a commit, again and again while the store is away: a commit that stands already is not made twice.

    Raises what the write raises, `Unavailable` only after `COMMIT_PATIENCE_S`, and `StaleEpoch` once the pen is lost.
    """
    deadline = asyncio.get_running_loop().time() + COMMIT_PATIENCE_S
    pause_s = COMMIT_RETRY_S
    while True:
        try:
            await write()
        except Unavailable as error:
            if pen.lost:
                raise StaleEpoch from error
            if asyncio.get_running_loop().time() > deadline:
                raise
            _log.warning("commit waits for the store", run_id=pen.run_id, error=error.detail)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, COMMIT_RETRY_MAX_S)
        else:
            return


def entries_of(found: Sequence[tuple[int, bytes]], after: int) -> list[Entry]:
    """The events after a number in rows of the store."""
    entries: list[Entry] = []
    for first, body in found:
        lines = body.split(b"\n")
        skip = max(0, after + 1 - first)
        entries += [Entry.of_line(first + skip + n, line) for n, line in enumerate(lines[skip:])]
    return entries
