"""What every event log promises (`events/log.py`), one test a promise. Each implementation runs all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.events.bench import LogBench, LogPlace, drained, said
from tests.services import RedisServer
from tests.world import WAIT_S

from runstead.errors import Gone, NotFound, StaleEpoch
from runstead.events.journal import PENDING_ENTRIES_MAX
from runstead.events.tape import TAPE_ENTRIES_MAX
from runstead.ids import RunId
from runstead.store import events as rows

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> LogPlace:
    """Where the events are: SQLite; PostgreSQL alone; PostgreSQL and Redis."""
    if request.param == "sqlite":
        return LogPlace.in_folder(tmp_path)
    url = request.getfixturevalue("postgres_url")
    if request.param == "postgres":
        return LogPlace(url)
    redis: RedisServer = request.getfixturevalue("redis_server")
    with redis.client() as client:
        client.flushall()
    return LogPlace(url, redis.url)


@pytest.fixture
async def bench(place: LogPlace) -> AsyncIterator[LogBench]:
    """A log over a store of its own."""
    made = await LogBench.open(place)
    yield made
    await made.close()


@pytest.fixture
async def other(place: LogPlace, bench: LogBench) -> AsyncIterator[LogBench]:
    """The same log, as another process has it. An embedded one has no other."""
    if place.url.startswith("sqlite"):
        pytest.skip("an embedded log is one process's")
    made = await LogBench.open(place)
    yield made
    await made.close()


async def test_events_are_numbered_from_one_without_gaps(bench: LogBench) -> None:
    """Emitted and committed events share one sequence; the last is the run's usage."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    journal.emit(said("a"))
    journal.emit(said("b"))
    run = await bench.advance(run, journal, "c")
    await bench.finish(run, journal, "d")

    found = await bench.read_all(run_id)

    assert list(range(1, 8)) == [seq for seq, _ in found]
    assert [b"first", b"a", b"b", b"c", b"d", b"Stopped 6", b"Used 7"] == [d for _, d in found]


async def test_an_event_that_is_filtered_gets_no_number(bench: LogBench) -> None:
    """What a run's request leaves out leaves no gap."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    for text in ("a", "filtered", "b"):
        journal.emit(said(text))
    await bench.finish(run, journal, "filtered")

    assert [1, 2, 3, 4, 5] == [seq for seq, _ in await bench.read_all(run_id)]


@pytest.mark.parametrize("fold", [False, True])
@pytest.mark.parametrize("after", [0, 1, 3, 5, 6])
async def test_a_reader_begins_right_after_its_cursor(bench: LogBench, after: int, fold: bool) -> None:
    """From any number on, the same events, packed or not."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    for text in "abcd":
        journal.emit(said(text))
    await bench.finish(run, journal)
    whole = await bench.read_all(run_id)
    if fold:
        await bench.log.fold([run_id])

    assert whole[after:] == await bench.read_all(run_id, after)


@pytest.mark.parametrize("beyond", [7, 8, 1_000_000])
async def test_a_cursor_at_or_past_the_end_ends_at_once(bench: LogBench, beyond: int) -> None:
    """Nothing is waited for that cannot come."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    for text in "abcd":
        journal.emit(said(text))
    await bench.finish(run, journal)

    reader = await bench.log.reader(run_id, beyond)

    assert reader.ended
    assert [] == list(await reader.next(timeout_s=None))


async def test_a_live_reader_is_told_what_comes(bench: LogBench) -> None:
    """A reader past the head of a living run waits, and gets each event once."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    reader = await bench.log.reader(run_id, 1)
    following = asyncio.create_task(drained(reader))
    for number in range(50):
        journal.emit(said(f"{number}"))
        await asyncio.sleep(0)
    await bench.finish(run, journal)

    found = await following

    assert [f"{n}".encode() for n in range(50)] == [data for _, data in found[:-2]]
    assert list(range(2, 54)) == [seq for seq, _ in found]


async def test_a_reader_that_attaches_while_the_run_ends_misses_nothing(bench: LogBench) -> None:
    """Whatever falls between its looks at memory and at the store, it gets everything and then the end."""
    for _ in range(100):
        run_id = await bench.new_run()
        run, journal = await bench.claim(run_id)
        following = asyncio.create_task(bench.read_all(run_id))
        journal.emit(said("a"))
        await asyncio.sleep(0)
        run = await bench.advance(run, journal, "b")
        await bench.finish(run, journal, "c")

        assert [1, 2, 3, 4, 5, 6] == [seq for seq, _ in await following]


async def test_a_reader_that_waits_in_vain_is_given_nothing(bench: LogBench) -> None:
    """A time-out is an empty answer, and the place is kept."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    reader = await bench.log.reader(run_id, 1)

    assert [] == list(await reader.next(timeout_s=0.01))
    journal.emit(said("a"))
    assert [(2, b"a")] == [(e.seq, e.data) for e in await reader.next(timeout_s=WAIT_S)]
    await bench.finish(run, journal)


async def test_a_cancelled_reader_leaves_nothing_behind(bench: LogBench) -> None:
    """A reader that goes away while it waits takes its waiting with it; others go on."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    gone = asyncio.create_task(drained(await bench.log.reader(run_id, 1)))
    stays = asyncio.create_task(drained(await bench.log.reader(run_id, 1)))
    await asyncio.sleep(0.01)  # both clients wait by now
    gone.cancel()
    await bench.finish(run, journal, "a")

    assert [2, 3, 4] == [seq for seq, _ in await stays]
    assert gone.cancelled() or (await asyncio.wait({gone}))[0]


async def test_an_old_owner_writes_nothing(bench: LogBench) -> None:
    """Who lost the run is refused, for appends and for commits, and nothing of it reaches a reader."""
    run_id = await bench.new_run()
    old, old_journal = await bench.claim(run_id)
    new, new_journal = await bench.claim(run_id)
    old_journal.emit(said("stale"))
    with pytest.raises(StaleEpoch):
        await bench.finish(old, old_journal, "stale too")
    with pytest.raises(StaleEpoch):
        old_journal.emit(said("and again"))
    new_journal.emit(said("fresh"))
    await bench.finish(new, new_journal)

    assert [b"first", b"fresh", b"Stopped 3", b"Used 4"] == [data for _, data in await bench.read_all(run_id)]


async def test_a_refused_append_is_told_to_the_next_emit(bench: LogBench) -> None:
    """An owner that only emits learns it too, by itself."""
    run_id = await bench.new_run()
    _, old_journal = await bench.claim(run_id)
    new, new_journal = await bench.claim(run_id)
    old_journal.emit(said("stale"))
    await bench.log.flushed()

    with pytest.raises(StaleEpoch):
        await old_journal.room()
    await bench.finish(new, new_journal)


async def test_after_a_restart_the_sequence_goes_on(bench: LogBench, place: LogPlace) -> None:
    """What was emitted and is durable keeps its number when another process takes over."""
    run_id = await bench.new_run()
    _, journal = await bench.claim(run_id)
    journal.emit(said("a"))
    await bench.log.flushed()
    second = await LogBench.open(place)
    try:
        run, journal = await second.claim(run_id)
        await second.finish(run, journal, "b")

        found = await second.read_all(run_id)
    finally:
        await second.close()

    assert [b"first", b"a", b"b", b"Stopped 4", b"Used 5"] == [data for _, data in found]


async def test_a_slow_reader_reads_the_store(bench: LogBench) -> None:
    """Who falls behind what memory holds loses nothing."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    slow = await bench.log.reader(run_id, 0)
    assert [1] == [entry.seq for entry in await slow.next(timeout_s=WAIT_S)]
    count = 2 * TAPE_ENTRIES_MAX + 500
    for number in range(count):
        journal.emit(said(f"{number}"))
        if number % 200 == 0:
            await journal.room()
    await bench.finish(run, journal)

    found = await drained(slow)

    assert list(range(2, count + 4)) == [seq for seq, _ in found]
    assert [f"{n}".encode() for n in range(count)] == [data for _, data in found[:-2]]


async def test_an_owner_is_held_back_while_the_disk_is_behind(bench: LogBench) -> None:
    """`room` returns only when little is pending."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    for number in range(3 * PENDING_ENTRIES_MAX):
        journal.emit(said(f"{number}"))

    await journal.room()

    assert journal.pending <= PENDING_ENTRIES_MAX
    await bench.finish(run, journal)


async def test_swept_events_are_gone_by_name(bench: LogBench) -> None:
    """Behind what is kept: an error that says so. At the end: still the plain end."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    done = await bench.finish(run, journal, "a")
    del journal
    await bench.forget()
    await bench.log.fold([run_id])
    later = bench.clock.now() + timedelta(days=30)
    over = await bench.db.read(rows.ended, rows.Ended(0, RunId("")), later, 10)
    assert [run_id] == [each.run_id for each in over]
    assert await bench.db.write(rows.delete_ended, [run_id], later)

    with pytest.raises(Gone):
        await bench.log.reader(run_id, 0)
    assert (await bench.log.reader(done.id, 4)).ended


async def test_swept_events_are_gone_though_memory_has_them(bench: LogBench) -> None:
    """Who was there reads on; nobody else comes, however long a reader, or garbage, keeps the events in memory."""
    run_id = await bench.new_run()
    run, journal = await bench.claim(run_id)
    reader = await bench.log.reader(run_id, 0)
    await bench.finish(run, journal, "a")
    assert (await reader.next(timeout_s=None))[0].seq == 1
    assert await bench.db.write(rows.delete_ended, [run_id], bench.clock.now() + timedelta(days=30))

    with pytest.raises(Gone):
        await bench.log.reader(run_id, 0)


async def test_an_unknown_run_is_not_found(bench: LogBench) -> None:
    """No reader waits for a run that is not there."""
    with pytest.raises(NotFound):
        await bench.log.reader(RunId("run-nowhere"), 0)


async def test_a_deleted_run_ends_its_readers(bench: LogBench) -> None:
    """A reader of a run that is deleted is let go."""
    run_id = await bench.new_run()
    _run, _journal = await bench.claim(run_id)
    following = asyncio.create_task(drained(await bench.log.reader(run_id, 1)))
    await asyncio.sleep(0)
    bench.log.forget(run_id)

    assert [] == await following


async def test_a_reader_that_left_holds_nothing(bench: LogBench) -> None:
    """Whoever still refers to it, as the traceback of a cancel does: no events are kept for it, and no stop waits for it."""
    run_id = await bench.new_run()
    reader = await bench.log.reader(run_id, 0, lingers=True)
    assert [1] == [each.seq for each in await reader.next(timeout_s=None)]
    assert (await bench.log.sizes())["tapes"] == 1

    reader.leave()

    assert (await bench.log.sizes())["tapes"] == 0
    assert bench.log.lingering == 0
    assert reader.ended
    assert () == await reader.next(timeout_s=None)


async def test_released_readers_return(bench: LogBench) -> None:
    """A stopping process lets its readers go, with their place untouched."""
    run_id = await bench.new_run()
    await bench.claim(run_id)
    reader = await bench.log.reader(run_id, 1)
    waiting = asyncio.create_task(reader.next(timeout_s=None))
    await asyncio.sleep(0)
    bench.log.release()

    assert [] == list(await waiting)
    assert not reader.ended
