"""The log of a server that is one process: rows in the store's own database, readers woken in memory.

Every event goes through the database's one writer, so an event and the change it tells of can share a commit. Readers are
woken after that commit, never before. The newest events of a live run stay in memory, in a `Tape`; who is further behind
reads the store. There is one flush at a time for all runs: the busier the server, the more events a commit carries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from weakref import WeakValueDictionary

from runstead.domain.event import RunEvent
from runstead.domain.run import Run
from runstead.domain.run_machine import Change
from runstead.errors import Gone, NotFound, StaleEpoch
from runstead.events.log import Encoder, Entry, Kind
from runstead.ids import RunId
from runstead.store import commit as commits
from runstead.store import events as rows
from runstead.store import runs
from runstead.store.database import Database

TAPE_ENTRIES_MAX = 4096
TAPE_BYTES_MAX = 4 * 1024 * 1024
PENDING_ENTRIES_MAX = 1000
ANNOUNCED_MAX = 1000


class Tape:
    """The newest events of one run, in memory, and who waits for the next."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end: int | None = None
        self._bytes = 0
        self._waiting: list[asyncio.Future[bool]] = []

    def publish(self, entries: Sequence[Entry]) -> None:
        """Add durable entries and wake every reader."""
        if self.entries and entries[0].seq != self.entries[-1].seq + 1:
            self._clear()
        self.entries.extend(entries)
        self._bytes += sum(len(entry.data) for entry in entries)
        if len(self.entries) > 2 * TAPE_ENTRIES_MAX or self._bytes > 2 * TAPE_BYTES_MAX:
            self._shorten()
        if entries[-1].kind is Kind.USAGE:
            self.end = entries[-1].seq
        self.wake()

    @property
    def size_bytes(self) -> int:
        """How much text is in memory."""
        return self._bytes

    def after(self, seq: int) -> Sequence[Entry] | None:
        """The entries after number `seq`; None where memory does not reach back so far."""
        if not self.entries or self.entries[0].seq > seq + 1:
            return None
        return self.entries[seq + 1 - self.entries[0].seq :]

    def waiter(self) -> asyncio.Future[bool]:
        """What the next `wake` completes."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def wake(self) -> None:
        """Wake every reader."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(True)

    def leave(self, future: asyncio.Future[bool]) -> None:
        """A reader waits no more."""
        if future in self._waiting:
            self._waiting.remove(future)

    def _clear(self) -> None:
        self.entries, self._bytes = [], 0

    def _shorten(self) -> None:
        keep = self.entries[-TAPE_ENTRIES_MAX:]
        while sum(len(entry.data) for entry in keep) > TAPE_BYTES_MAX and len(keep) > 1:
            keep = keep[len(keep) // 2 :]
        self.entries, self._bytes = keep, sum(len(entry.data) for entry in keep)


class EmbeddedJournal:
    """The pen of one run's owner."""

    def __init__(self, log: EmbeddedLog, run: Run, tape: Tape) -> None:
        self._log = log
        self._run = run
        self.tape = tape
        self.last_seq = run.last_seq
        self.pending: list[Entry] = []
        self.lost = False
        self._room: asyncio.Event | None = None

    def emit(self, event: RunEvent) -> None:
        """Add an event."""
        if self.lost:
            raise StaleEpoch
        if self._encode(event, self.pending):
            self._log.flush_soon(self)

    async def room(self) -> None:
        """Wait while too much is on its way to the disk."""
        while len(self.pending) > PENDING_ENTRIES_MAX and not self.lost:
            self._room = asyncio.Event()
            await self._room.wait()
        if self.lost:
            raise StaleEpoch

    async def commit(self, change: Change) -> None:
        """Write a change and its events, after all emitted before."""
        if self.lost:
            raise StaleEpoch
        entries = self.take()
        seq_before = self.last_seq
        for event in change.events:
            self._encode(event, entries)
        try:
            await self._log.db.write(
                commits.commit, change, self._run.epoch, self.rows(entries), self.last_seq
            )
        except StaleEpoch:
            self.lost = True
            raise
        except BaseException:
            # Nothing was written: the numbers of the change's own events are free again, those emitted before are not lost.
            self.pending[:0] = [entry for entry in entries if entry.seq <= seq_before]
            self.last_seq = seq_before
            raise
        if entries:
            self.tape.publish(entries)
        if change.run.status.final:
            self.tape.end = self.last_seq
            self.tape.wake()

    @property
    def run_id(self) -> RunId:
        """Whose pen it is."""
        return self._run.id

    def lose(self) -> None:
        """The run is no longer this owner's: nothing more is taken."""
        self.lost = True
        self.take()

    def take(self) -> list[Entry]:
        """What is pending, no longer pending."""
        entries, self.pending = self.pending, []
        if self._room is not None:
            self._room.set()
            self._room = None
        return entries

    def rows(self, entries: list[Entry]) -> tuple[rows.EventRow, ...]:
        """The store's rows for entries that follow each other."""
        found: list[rows.EventRow] = []
        for start in range(0, len(entries), rows.FOLD_EVENTS_MAX):
            some = entries[start : start + rows.FOLD_EVENTS_MAX]
            body = b"\n".join([b"%b%b" % (entry.kind.encode(), entry.data) for entry in some])
            found.append(rows.EventRow(self._run.id, some[0].seq, some[-1].seq, self._run.epoch, body))
        return tuple(found)

    def _encode(self, event: RunEvent, onto: list[Entry]) -> bool:
        encoded = self._log.encode(event, self._run, self.last_seq + 1)
        if encoded is None:
            return False
        self.last_seq += 1
        onto.append(Entry(self.last_seq, encoded[0], encoded[1]))
        return True


class EmbeddedReader:
    """One reader's place."""

    def __init__(self, log: EmbeddedLog, run_id: RunId, tape: Tape, after: int) -> None:
        self._log = log
        self._run_id = run_id
        self._tape = tape
        self._seq = after

    @property
    def ended(self) -> bool:
        """Whether the run's last event was given."""
        return self._tape.end is not None and self._seq >= self._tape.end

    async def next(self, timeout_s: float | None) -> Sequence[Entry]:
        """The next events, all that are ready."""
        while not self.ended:
            waiter = self._tape.waiter()  # before the look, so that nothing can slip between
            entries = self._tape.after(self._seq)
            if entries is None:
                entries = await self._log.stored(self._run_id, self._seq)
            if entries:
                self._tape.leave(waiter)
                self._seq = entries[-1].seq
                return entries
            if waiter.done():  # something was published while the store was read: look again
                continue
            if self._tape.end is not None and not self.ended:
                raise Gone("The events of this run were swept while they were read.")
            if self.ended or self._log.released or not await self._woken(waiter, timeout_s):
                self._tape.leave(waiter)
                break
        return ()

    async def _woken(self, waiter: asyncio.Future[bool], timeout_s: float | None) -> bool:
        """Wait for the tape; False when the time is over first."""
        if timeout_s is None:
            return await waiter
        timer = asyncio.get_running_loop().call_later(timeout_s, _expire, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()
            self._tape.leave(waiter)


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)


class EmbeddedLog:
    """Every run's events in the store's database."""

    def __init__(self, db: Database, encode: Encoder) -> None:
        self.db = db
        self.encode = encode
        self._tapes: WeakValueDictionary[RunId, Tape] = WeakValueDictionary()
        self._dirty: dict[EmbeddedJournal, None] = {}
        self._flush: asyncio.Task[None] | None = None
        self._released = False
        self._announced: dict[RunId, Tape] = {}

    @property
    def released(self) -> bool:
        """Whether readers are told to go."""
        return self._released

    def release(self) -> None:
        """Let every reader go."""
        self._released = True
        for tape in list(self._tapes.values()):
            tape.wake()

    def announce(self, run_id: RunId, first: Entry) -> None:
        """Keep a new run's first event in memory until its owner comes; the oldest go first."""
        tape = self._tape(run_id)
        tape.publish([first])
        self._announced[run_id] = tape
        if len(self._announced) > ANNOUNCED_MAX:
            del self._announced[next(iter(self._announced))]

    def journal(self, run: Run) -> EmbeddedJournal:
        """The pen for a run that was just claimed."""
        tape = self._announced.pop(run.id, None)
        return EmbeddedJournal(self, run, tape or self._tape(run.id))

    async def reader(self, run_id: RunId, after: int) -> EmbeddedReader:
        """A reader that has everything up to number `after`."""
        tape = self._tape(run_id)  # before the look at the run, so that its end cannot be missed
        if tape.end is None and not tape.entries:
            run = await self.db.read(runs.get_run, run_id)
            if run is None:
                raise NotFound("Run not found")
            if run.status.final:
                tape.end = run.last_seq
        reader = EmbeddedReader(self, run_id, tape, after)
        if tape.end is not None and not tape.entries and not reader.ended:
            await self._require_kept(run_id, after)
        return reader

    async def fold(self, run_ids: Sequence[RunId]) -> None:
        """Pack finished runs' events."""
        await self.db.write(rows.fold, run_ids)

    def forget(self, run_id: RunId) -> None:
        """End the readers of a deleted run."""
        if (tape := self._tapes.get(run_id)) is not None:
            tape.end = 0
            tape.wake()

    def sizes(self) -> Mapping[str, float]:
        """Runs whose newest events are in memory, and how many events and bytes those are."""
        tapes = list(self._tapes.values())
        return {
            "tapes": len(tapes),
            "entries": sum(len(tape.entries) for tape in tapes),
            "bytes": sum(tape.size_bytes for tape in tapes),
        }

    async def close(self) -> None:
        """Write what was emitted."""
        while self._flush is not None:
            await self._flush

    def flush_soon(self, journal: EmbeddedJournal) -> None:
        """See to it that what is pending in a journal gets written."""
        self._dirty[journal] = None
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flush_all())

    async def stored(self, run_id: RunId, after: int) -> list[Entry]:
        """Durable events after number `after`, from the store."""
        found: list[Entry] = []
        for first, body in await self.db.read(rows.read, run_id, after):
            lines = body.split(b"\n")
            skip = max(0, after + 1 - first)
            found += [
                Entry(first + skip + n, Kind(chr(line[0])), line[1:]) for n, line in enumerate(lines[skip:])
            ]
        return found

    def _tape(self, run_id: RunId) -> Tape:
        tape = self._tapes.get(run_id)
        if tape is None:
            tape = self._tapes[run_id] = Tape()
        return tape

    async def _require_kept(self, run_id: RunId, after: int) -> None:
        if not await self.db.read(rows.last_seq, run_id):
            raise Gone(
                f"The events of this run were kept for a time that is over (asked for those after {after})."
            )

    async def _flush_all(self) -> None:
        """Write pending events of all runs, one commit after the other, until none is pending."""
        try:
            while self._dirty:
                journals, self._dirty = self._dirty, {}
                taken = [(journal, journal.take()) for journal in journals]
                await self._flush_some([(each, entries) for each, entries in taken if entries])
        finally:
            self._flush = None

    async def _flush_some(self, taken: list[tuple[EmbeddedJournal, list[Entry]]]) -> None:
        batch = [row for journal, entries in taken for row in journal.rows(entries)]
        try:
            refused = {(row.run_id, row.first_seq) for row in await self.db.write(rows.append, batch)}
        except Exception:  # noqa: BLE001 - becomes the loss of these runs, which are claimed anew
            for journal, _ in taken:
                journal.lose()
            return
        for journal, entries in taken:
            if (journal.run_id, entries[0].seq) in refused:
                journal.lose()
            else:
                journal.tape.publish(entries)
