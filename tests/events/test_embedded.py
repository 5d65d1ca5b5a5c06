"""The embedded log beside its promises: what falls between a look at memory and one at the store; a failing disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import pytest
from sqlalchemy import Connection
from tests.events.bench import LogBench, LogPlace, drained, encode, said
from tests.world import wait_until

from runstead.errors import StaleEpoch, Unavailable
from runstead.events.embedded import EmbeddedLog
from runstead.store.database import Database

P = ParamSpec("P")
T = TypeVar("T")


class SlowStore:
    """A store that keeps what it read to itself while its gate is shut, and refuses to write when told to."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.gate = asyncio.Event()
        self.gate.set()
        self.reading = asyncio.Event()
        self.broken = False
        self.refused = 0

    async def read(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Read now, tell later."""
        found = await self._real.read(query, *args, **kwargs)
        self.reading.set()
        await self.gate.wait()
        return found

    async def write(
        self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Write, unless broken."""
        if self.broken:
            self.refused += 1
            raise Unavailable("the disk is full")
        return await self._real.write(query, *args, **kwargs)

    async def close(self) -> None:
        """Close the store."""
        await self._real.close()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LogBench]:
    """A log over a store of its own."""
    made = await LogBench.open(LogPlace.in_folder(tmp_path))
    yield made
    await made.close()


async def test_what_is_said_while_the_store_is_read_is_not_missed(bench: LogBench) -> None:
    """The run goes on and ends while a reader waits for the store's answer of before."""
    store = SlowStore(bench.db)
    bench.log = EmbeddedLog(store, encode)
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    reader = await bench.log.reader(run_id, 1)
    store.gate.clear()
    store.reading.clear()
    following = asyncio.create_task(drained(reader))
    await store.reading.wait()
    journal.emit(said("a"))
    await bench.finish(run, journal, "b")
    store.gate.set()

    assert [2, 3, 4, 5] == [seq for seq, _ in await following]


async def test_what_cannot_be_written_at_the_end_costs_the_owner_the_run(bench: LogBench) -> None:
    """After an append that was given up nothing more can be written, so that no gap can come to be; another goes on."""
    store = SlowStore(bench.db)
    bench.log = EmbeddedLog(store, encode)
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    store.broken = True
    journal.emit(said("lost"))
    await bench.log.close()
    store.broken = False

    with pytest.raises(StaleEpoch):
        await bench.finish(run, journal)

    run, journal = await bench.claim(run_id)
    await bench.finish(run, journal, "again")
    assert [1, 2, 3, 4] == [seq for seq, _ in await bench.read_all(run_id)]


async def test_a_commit_waits_for_the_disk(bench: LogBench) -> None:
    """While nothing can be written it is tried again, and stands once, under the same numbers."""
    store = SlowStore(bench.db)
    bench.log = EmbeddedLog(store, encode)
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    store.broken = True
    finishing = asyncio.create_task(bench.finish(run, journal, "a"))
    await wait_until(lambda: store.refused > 1, "two refusals")
    store.broken = False
    await finishing

    assert [b"first", b"a", b"Stopped 3", b"Used 4"] == [data for _, data in await bench.read_all(run_id)]


async def test_what_was_emitted_waits_for_the_disk(bench: LogBench) -> None:
    """Events that could not be written are written when they can be, before what came after them."""
    store = SlowStore(bench.db)
    bench.log = EmbeddedLog(store, encode)
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    store.broken = True
    journal.emit(said("a"))
    await wait_until(lambda: store.refused > 1, "two refusals")
    finishing = asyncio.create_task(bench.finish(run, journal, "b"))
    store.broken = False
    await finishing

    assert [b"first", b"a", b"b", b"Stopped 4", b"Used 5"] == [d for _, d in await bench.read_all(run_id)]
