"""What every log over the store has in common: tapes in memory, readers on them, and rows for whoever is further behind.

How events get onto the tapes is each log's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import WeakSet, WeakValueDictionary

from runstead.errors import Gone, NotFound
from runstead.events.journal import entries_of
from runstead.events.log import Encoder, Entry
from runstead.events.tape import Tape, TapeReader
from runstead.ids import RunId
from runstead.store import events as rows
from runstead.store import runs
from runstead.store.database import Database
from runstead.telemetry import Meter

ANNOUNCED_MAX = 1000


class StoredLog:
    """Every run's events, read by memory first and by the store's rows where memory does not reach."""

    def __init__(self, db: Database, encode: Encoder, meter: Meter | None = None) -> None:
        self.db = db
        self.encode = encode
        self.meter = meter or Meter()
        self._tapes: WeakValueDictionary[RunId, Tape] = WeakValueDictionary()
        self._announced: dict[RunId, Tape] = {}
        self._released = False
        self._closing = False
        self._lingering: WeakSet[TapeReader] = WeakSet()

    @property
    def hot_id(self) -> str | None:
        """There is no hot log."""
        return None

    @property
    def missing(self) -> str | None:
        """Nothing is missing: the store is all it has."""
        return None

    @property
    def released(self) -> bool:
        """Whether readers are told to go."""
        return self._released

    @property
    def closing(self) -> bool:
        """Whether all of them are, also those that cannot come back."""
        return self._closing

    @property
    def lingering(self) -> int:
        """How many readers there are that cannot come back."""
        return sum(not reader.ended for reader in self._lingering)

    def release(self, *, lingering: bool = True) -> None:
        """Let every reader go; those that cannot come back only where `lingering` says so."""
        self._released = True
        self._closing = self._closing or lingering
        for tape in list(self._tapes.values()):
            tape.wake()

    def announce(self, run_id: RunId, first: Entry) -> None:
        """Keep a new run's first event in memory until its owner comes; the oldest go first."""
        tape = self.tape(run_id)
        tape.publish([first])
        self._announced[run_id] = tape
        if len(self._announced) > ANNOUNCED_MAX:
            del self._announced[next(iter(self._announced))]

    def attend(self, run_id: RunId, tape: Tape, seq: int) -> None:
        """Somebody waits for what follows `seq`; by itself this log hears of everything it must tell."""

    async def open(self) -> None:
        """Nothing: the store is open."""

    async def reader(self, run_id: RunId, after: int, *, lingers: bool = False) -> TapeReader:
        """A reader that has everything up to number `after`."""
        tape = self.tape(run_id)  # before the look at the run, so that its end cannot be missed
        if tape.end is None and not tape.entries:
            run = await self.db.read(runs.get_run, run_id)
            if run is None:
                raise NotFound("Run not found")
            tape.learn(run.last_seq, end=run.last_seq if run.status.final else None)
        reader = TapeReader(self, run_id, tape, after, lingers=lingers)
        if lingers:
            self._lingering.add(reader)
        if tape.end is not None and not reader.ended:  # also where memory still has what the store forgot
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

    async def stored(self, run_id: RunId, after: int) -> Sequence[Entry]:
        """Durable events after number `after`, from the store."""
        return entries_of(await self.db.read(rows.read, run_id, after), after)

    async def sizes(self) -> Mapping[str, float]:
        """Runs whose newest events are in memory, and how many events and bytes those are."""
        tapes = list(self._tapes.values())
        return {
            "tapes": len(tapes),
            "entries": sum(len(tape.entries) for tape in tapes),
            "bytes": sum(tape.size_bytes for tape in tapes),
        }

    def tape(self, run_id: RunId) -> Tape:
        """The tape of a run: the one that somebody holds, or a new one."""
        tape = self._tapes.get(run_id)
        if tape is None:
            tape = self._tapes[run_id] = Tape()
        return tape

    def announced(self, run_id: RunId) -> Tape:
        """The tape of a run that was just claimed; nobody needs to keep it for its owner any more."""
        return self._announced.pop(run_id, None) or self.tape(run_id)

    async def range(self, run_id: RunId, after: int, last: int) -> list[Entry]:
        """The stored events after one number, up to another, as far as they are there."""
        found: list[Entry] = []
        while after < last and (more := await self.stored(run_id, after)):
            found += more
            after = found[-1].seq
        return found

    async def _require_kept(self, run_id: RunId, after: int) -> None:
        if not await self.db.read(rows.last_seq, run_id):
            raise Gone(
                f"The events of this run were kept for a time that is over (asked for those after {after})."
            )
