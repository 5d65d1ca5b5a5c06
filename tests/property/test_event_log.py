"""Random interleavings of owners, readers, takeovers, folding and sweeping never lose, repeat or reorder an event."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from tests.events.bench import LogBench, LogPlace, said

from runstead.domain.run import Run
from runstead.errors import Gone, StaleEpoch
from runstead.events.journal import Pen
from runstead.events.log import Entry, Reader
from runstead.ids import RunId
from runstead.store import events as rows


@dataclass
class Told:
    """What a run must be read as: every text that was accepted, in order, and who may write now."""

    run: Run
    journal: Pen
    texts: list[bytes] = field(default_factory=lambda: [b"first"])
    over: bool = False
    swept: bool = False


@dataclass
class Place:
    """A reader, whose run, and what it has been given."""

    reader: Reader
    run_id: RunId
    seq: int


class EventLogMachine(RuleBasedStateMachine):
    """Drives a real log; the model is a list of texts a run."""

    runs = Bundle("runs")
    places = Bundle("places")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.bench = self.runner.run(LogBench.open(LogPlace.in_folder(Path(self.folder.name))))
        self.told: dict[RunId, Told] = {}
        self.count = 0

    def teardown(self) -> None:
        """Every run ends, and is then read whole, as the model says."""
        self.runner.run(self._end())
        self.runner.close()
        self.folder.cleanup()

    async def _end(self) -> None:
        for run_id, told in self.told.items():
            if not told.over:
                await self._finish(told)
            if not told.swept:
                expected = list(enumerate(told.texts, start=1))
                assert expected == await self.bench.read_all(run_id)
        await self.bench.close()

    async def _finish(self, told: Told) -> None:
        told.run = await self.bench.finish(told.run, told.journal)
        last = len(told.texts)
        told.texts += [f"Stopped {last + 1}".encode(), f"Used {last + 2}".encode()]
        told.over = True

    @rule(target=runs)
    def admit(self) -> RunId:
        """A new run with an owner."""

        async def begin() -> RunId:
            run_id = await self.bench.new_run()
            run, journal = await self.bench.claim(run_id)
            self.told[run_id] = Told(run, journal)
            return run_id

        return self.runner.run(begin())

    @rule(run_id=runs, count=st.integers(1, 5))
    def emit(self, run_id: RunId, count: int) -> None:
        """The owner says something, and does not wait."""
        told = self.told[run_id]
        if told.over:
            return

        async def speak() -> None:
            for _ in range(count):
                self.count += 1
                told.journal.emit(said(f"text {self.count}"))
                told.texts.append(f"text {self.count}".encode())

        self.runner.run(speak())

    @rule(run_id=runs)
    def commit(self, run_id: RunId) -> None:
        """The owner commits, saying something."""
        told = self.told[run_id]
        if told.over:
            return
        self.count += 1
        text = f"step {self.count}"
        told.run = self.runner.run(self.bench.advance(told.run, told.journal, text))
        told.texts.append(text.encode())

    @rule(run_id=runs)
    def take_over(self, run_id: RunId) -> None:
        """Another owner; the old one tries to go on and is refused."""
        told = self.told[run_id]
        if told.over:
            return

        async def take() -> None:
            await self.bench.log.flushed()  # what was emitted before is durable: it stays
            old_run, old_journal = told.run, told.journal
            told.run, told.journal = await self.bench.claim(run_id)
            old_journal.emit(said("stale"))
            try:
                await self.bench.advance(old_run, old_journal, "stale")
            except StaleEpoch:
                return
            raise AssertionError("an old owner was let write")

        self.runner.run(take())

    @rule(run_id=runs)
    def finish(self, run_id: RunId) -> None:
        """The run ends."""
        if not self.told[run_id].over:
            self.runner.run(self._finish(self.told[run_id]))

    @rule(run_id=runs)
    def fold(self, run_id: RunId) -> None:
        """A finished run's events are packed."""
        if self.told[run_id].over:
            self.runner.run(self.bench.log.fold([run_id]))

    @rule(run_id=runs)
    def sweep(self, run_id: RunId) -> None:
        """A finished run's events are dropped, as retention does it."""
        told = self.told[run_id]
        if not told.over or told.swept:
            return

        async def drop() -> None:
            later = self.bench.clock.now() + timedelta(days=8)
            over = await self.bench.db.read(rows.ended, rows.Ended(0, RunId("")), later, 1000)
            assert run_id in [each.run_id for each in over]
            assert await self.bench.db.write(rows.delete_ended, [run_id], later)

        self.runner.run(drop())
        told.swept = True

    @rule(target=places, run_id=runs, back=st.integers(0, 12))
    def attach(self, run_id: RunId, back: int) -> Place:
        """A reader, from some number at or behind the head on."""
        told = self.told[run_id]
        after = max(0, len(told.texts) - back)
        try:
            reader = self.runner.run(self.bench.log.reader(run_id, after))
        except Gone:
            assert told.swept and after < len(told.texts)
            reader = self.runner.run(self.bench.log.reader(run_id, len(told.texts)))
            after = len(told.texts)
        else:
            assert not told.swept or after == len(told.texts)
        return Place(reader, run_id, after)

    @rule(place=places)
    def read(self, place: Place) -> None:
        """A reader takes what is ready: the next texts of the model, and nothing else."""
        told = self.told[place.run_id]
        try:
            entries = self.runner.run(self._next(place.reader))
        except Gone:
            assert told.swept and place.seq < len(told.texts)
            return
        for entry in entries:
            assert entry.seq == place.seq + 1
            assert entry.data == told.texts[place.seq]
            place.seq = entry.seq
        assert place.reader.ended == (told.over and place.seq == len(told.texts))

    async def _next(self, reader: Reader) -> Sequence[Entry]:
        await self.bench.log.close()
        return await reader.next(timeout_s=0.001)

    @rule(run_id=runs)
    def replay(self, run_id: RunId) -> None:
        """A finished run reads the same, however often."""
        told = self.told[run_id]
        if told.over and not told.swept:
            assert told.texts == [data for _, data in self.runner.run(self.bench.read_all(run_id))]

    @invariant()
    def numbers_are_the_models(self) -> None:
        """The pen's number is the count of what was accepted."""
        for told in self.told.values():
            assert len(told.texts) == told.journal.last_seq


EventLogMachine.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestEventLog = EventLogMachine.TestCase
