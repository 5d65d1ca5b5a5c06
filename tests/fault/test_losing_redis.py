"""Redis killed, emptied, stalled, full, replaced by a replica that lags: events are kept, each number has one content.

Two logs over one PostgreSQL and one Redis stand for two processes: one writes the run, the other has its readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from redis.exceptions import BusyLoadingError, OutOfMemoryError, ReadOnlyError
from tests.events.bench import LogBench, LogPlace, drained, said
from tests.services import RedisServer
from tests.world import WAIT_S, wait_until

from runstead.domain.event import Ping
from runstead.errors import StaleEpoch, Unavailable
from runstead.events import hot as hot_module
from runstead.events.log import Reader
from runstead.ids import RunId

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of this test's own, to be broken."""
    with RedisServer() as server:
        yield server


@pytest.fixture
def patience_s() -> float:
    """After how long Redis is given up that answers nothing. Only where it does so should that be short."""
    return 30.0


@pytest.fixture
def place(postgres_url: str, redis: RedisServer, patience_s: float) -> LogPlace:
    """Where the events of both processes are."""
    return LogPlace(postgres_url, redis.url, patience_s)


@pytest.fixture
async def writer(place: LogPlace) -> AsyncIterator[LogBench]:
    """The process that writes."""
    made = await LogBench.open(place)
    yield made
    await made.close()


@pytest.fixture
async def elsewhere(place: LogPlace, writer: LogBench) -> AsyncIterator[LogBench]:
    """Another process."""
    made = await LogBench.open(place)
    yield made
    await made.close()


class Following:
    """A reader in another process, and what it has been given."""

    def __init__(self, reader: Reader) -> None:
        self.got: list[tuple[int, bytes]] = []
        self._task = asyncio.create_task(self._follow(reader))

    async def _follow(self, reader: Reader) -> None:
        while not reader.ended:
            self.got += [(entry.seq, entry.data) for entry in await reader.next(timeout_s=30)]

    async def seen(self, text: str) -> None:
        """Wait until it was given this."""
        await wait_until(lambda: any(data == text.encode() for _, data in self.got), f"{text} elsewhere")

    async def all(self) -> list[tuple[int, bytes]]:
        """Everything, to the end."""
        await asyncio.wait_for(self._task, WAIT_S)
        return self.got


async def follow(bench: LogBench, run_id: RunId) -> Following:
    """Follow a run from its first event."""
    return Following(await bench.log.reader(run_id, 0))


def texts(got: list[tuple[int, bytes]]) -> list[str]:
    """What was said, in order; numbers must be 1, 2, 3, …."""
    assert [seq for seq, _ in got] == list(range(1, len(got) + 1)), got
    return [data.decode() for _, data in got]


async def test_a_redis_that_comes_back_empty(
    writer: LogBench, elsewhere: LogBench, redis: RedisServer
) -> None:
    """The owner goes on, and fills it again; the reader in the other process misses nothing and sees nothing twice."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    journal.emit(said("before"))
    await reader.seen("before")

    redis.restart_empty()
    journal.emit(said("while it was away"))
    await reader.seen("while it was away")
    assert writer.hot is not None
    await wait_until(lambda: writer.hot is not None and writer.hot.up, "the empty Redis")
    journal.emit(said("after"))
    await reader.seen("after")
    await writer.finish(run, journal, "end")

    expected = ["first", "before", "while it was away", "after", "end", "Stopped 6", "Used 7"]
    assert expected == texts(await reader.all())
    assert expected == texts(await elsewhere.read_all(run_id))


async def test_a_run_ends_without_redis(writer: LogBench, elsewhere: LogBench, redis: RedisServer) -> None:
    """Killed and not back: events go by the store, a commit waits for nothing, the end is heard of."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    redis.kill()
    for number in range(20):
        journal.emit(said(f"{number}"))
    await reader.seen("19")
    run = await writer.advance(run, journal, "step")
    await writer.finish(run, journal, "end")

    said_then = [*(f"{n}" for n in range(20)), "step", "end"]
    assert ["first", *said_then, "Stopped 24", "Used 25"] == texts(await reader.all())


@pytest.mark.parametrize("patience_s", [0.5])
async def test_a_redis_that_stalls(writer: LogBench, elsewhere: LogBench, redis: RedisServer) -> None:
    """It hangs with what it was given, and acts on it when it wakes up: no event is doubled by that."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    journal.emit(said("before"))
    await reader.seen("before")
    redis.stall()
    for number in range(5):
        journal.emit(said(f"stalled {number}"))
    await reader.seen("stalled 4")
    redis.resume()
    await wait_until(lambda: writer.hot is not None and writer.hot.up, "Redis awake")
    journal.emit(said("after"))
    await reader.seen("after")
    await writer.finish(run, journal)

    stalled = [f"stalled {n}" for n in range(5)]
    assert ["first", "before", *stalled, "after", "Stopped 9", "Used 10"] == texts(await reader.all())


async def test_a_redis_that_is_full(writer: LogBench, elsewhere: LogBench, redis: RedisServer) -> None:
    """It answers, and takes nothing: that is as good as away."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    journal.emit(said("before"))
    await reader.seen("before")
    with redis.client() as client:
        client.config_set("maxmemory", "1")
        journal.emit(said("full"))
        await reader.seen("full")
        await wait_until(lambda: writer.log.missing is not None, "Redis being taken for lost")
        client.config_set("maxmemory", "0")
    await wait_until(lambda: writer.log.missing is None, "Redis taking what it is given")
    journal.emit(said("after"))
    await writer.finish(run, journal)

    assert ["first", "before", "full", "after", "Stopped 5", "Used 6"] == texts(await reader.all())


async def test_a_replica_that_lags_takes_over(writer: LogBench, redis: RedisServer) -> None:
    """The new Redis lacks the last events that were given out: their owner gives them again, under the same numbers."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    journal.emit(said("kept"))
    await writer.log.flushed()
    journal.emit(said("lost by the replica"))
    await writer.log.flushed()
    with redis.client() as client:
        stream, state = f"runstead:{{{run_id}}}:events", f"runstead:{{{run_id}}}:writer"
        client.xdel(stream, "3-0")
        client.hset(state, "n", 2)
    journal.emit(said("next"))
    await writer.log.flushed()
    assert writer.hot is not None
    found = await writer.hot.range(run_id, 1)

    assert [(2, b"kept"), (3, b"lost by the replica"), (4, b"next")] == [(e.seq, e.data) for e in found]
    await writer.finish(run, journal)


async def test_what_another_process_said_is_taken_over(writer: LogBench, elsewhere: LogBench) -> None:
    """The owner is gone with what only Redis has: who goes on reads it there, and numbers on behind it."""
    run_id = await writer.new_run()
    _, journal = await writer.claim(run_id)
    journal.emit(said("a"))
    journal.emit(said("b"))
    await writer.log.flushed()

    run, taken = await elsewhere.claim(run_id)
    assert [b"a", b"b"] == [entry.data for entry in taken.inherited]
    assert taken.void == 0
    run = await elsewhere.advance(run, taken, "c")
    await elsewhere.finish(run, taken)

    assert ["first", "a", "b", "c", "Stopped 5", "Used 6"] == texts(await elsewhere.read_all(run_id))
    with pytest.raises(StaleEpoch):
        await writer.finish(run, journal)


async def test_an_owner_that_wakes_up_writes_nothing(writer: LogBench, elsewhere: LogBench) -> None:
    """Its append is refused by Redis, its commit by the store; readers in both processes see the new owner's events only."""
    run_id = await writer.new_run()
    old, sleeper = await writer.claim(run_id)
    sleeper.emit(said("before"))
    await writer.log.flushed()
    readers = [await follow(bench, run_id) for bench in (writer, elsewhere)]
    run, journal = await elsewhere.claim(run_id)

    sleeper.emit(said("stale"))
    await writer.log.flushed()
    with pytest.raises(StaleEpoch):
        sleeper.emit(said("stale too"))
    with pytest.raises(StaleEpoch):
        await writer.finish(old, sleeper, "stale end")
    await elsewhere.finish(run, journal, "end")

    for reader in readers:
        assert ["first", "before", "end", "Stopped 4", "Used 5"] == texts(await reader.all())


async def test_when_owner_and_redis_are_both_gone_no_number_is_used_twice(
    writer: LogBench, elsewhere: LogBench, redis: RedisServer
) -> None:
    """What was given out is lost; who goes on fills every number that a reader may have seen, and begins behind them."""
    run_id = await writer.new_run()
    _, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    for text in "abc":
        journal.emit(said(text))
    await reader.seen("c")
    # Both at once: the owner's memory and Redis's are gone, only the store and the reader have anything.
    await writer.close()
    redis.restart_empty()
    await wait_until(lambda: elsewhere.hot is not None and elsewhere.hot.up, "the empty Redis")

    run, taken = await elsewhere.claim(run_id)
    assert taken.void >= 3
    for number in range(taken.void):
        taken.emit(Ping(f"ping-{number}", elsewhere.clock.now()))
    await elsewhere.finish(run, taken, "new")

    got = await reader.all()
    assert ["first", "a", "b", "c"] == texts(got)[:4]
    assert "new" in texts(got)
    late = await drained(await elsewhere.log.reader(run_id, 4))
    assert got[4:] == late, "from there on both see the same"


async def test_long_answers_reserve_their_numbers(writer: LogBench, elsewhere: LogBench) -> None:
    """Thousands of events without a commit: the store is asked now and then, never an event at a time, and all arrive."""
    run_id = await writer.new_run()
    run, journal = await writer.claim(run_id)
    reader = await follow(elsewhere, run_id)
    for number in range(3000):
        journal.emit(said(f"{number}"))
        if number % 100 == 0:
            await journal.room()
    await reader.seen("2999")
    await writer.finish(run, journal)

    assert [f"{n}" for n in range(3000)] == texts(await reader.all())[1:-2]


@pytest.mark.parametrize("fills", [False, True])
async def test_numbers_stay_lost_until_they_are_filled(
    writer: LogBench, elsewhere: LogBench, redis: RedisServer, place: LogPlace, fills: bool
) -> None:
    """Owner and Redis are gone, and who went on dies before it has filled anything: the third owner still knows."""
    run_id = await writer.new_run()
    _, journal = await writer.claim(run_id)
    for text in "abc":
        journal.emit(said(text))
    await writer.log.flushed()
    await writer.close()
    before = elsewhere.log.hot_id
    redis.restart_empty()
    await wait_until(lambda: elsewhere.log.hot_id not in {None, before}, "the empty Redis")

    _, second = await elsewhere.claim(run_id)
    assert second.void >= 3
    if fills:
        second.emit(Ping("ping-0", elsewhere.clock.now()))
        await elsewhere.log.flushed()
    third = await LogBench.open(place)
    run, taken = await third.claim(run_id)
    for number in range(taken.void):
        taken.emit(Ping(f"ping-{number}", third.clock.now()))
    await third.finish(run, taken, "new")

    got = await third.read_all(run_id)
    await third.close()
    assert got[0] == (1, b"first")
    assert texts(got).index("new") >= 4, "a number that a reader may have seen is used again"


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        RuntimeError("unable to perform operation on <TCPTransport>; the handler is closed"),
        BusyLoadingError("Redis is loading the dataset in memory"),
        ReadOnlyError("You can't write against a read only replica."),
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'."),
    ],
)
async def test_whatever_it_says_of_its_trouble_is_a_loss(error: Exception) -> None:
    """It is told as what it is, nothing more is asked of it until it was looked at, and closing it harms nobody."""
    hot = hot_module.HotStreams("redis://127.0.0.1:1/0")
    lost: list[bool] = []
    hot.id, hot.on_lost = "some", lambda: lost.append(True)

    with pytest.raises(Unavailable, match=rf"Redis at 127.0.0.1:1 cannot be used \({type(error).__name__}\)"):
        async with hot._asking():
            raise error

    assert (hot.up, lost) == (False, [True])
    await hot.close()
