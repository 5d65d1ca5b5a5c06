"""Sweeping: what is over goes in bounded batches, what is not over never does, and two who sweep at once do no harm."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest
from tests.runs.line import Held, held
from tests.world import World, frames, world

from runstead import retention
from runstead.clock import ManualClock
from runstead.domain.run import RunStatus
from runstead.engine import engine
from runstead.ids import DEFAULT_USER, RunId
from runstead.llm.scripted import ScriptedGateway, says
from runstead.retention import DELETIONS_KEEP, ROWS_PER_COMMIT_MAX, Retention
from runstead.settings import Settings
from runstead.store import deletions, events

KEPT_S = 3600.0
SETTINGS = Settings(drain_s=0.0, reconcile_s=0.05, events_keep_s=KEPT_S)


def retention_of(w: World) -> Retention:
    """Another process's sweep of the same store."""
    parts = w.server.services
    return Retention(parts.settings, parts.db, parts.log, parts.clock)


async def ended(w: World, count: int) -> list[RunId]:
    """Runs that are over, each of an agent of its own."""
    found: list[RunId] = []
    for n in range(count):
        run = await w.ended(await w.begin(await w.agent(), f"n{n}"))
        found.append(run.id)
    return found


async def rows_left(w: World, run_ids: list[RunId]) -> dict[RunId, int]:
    """How many rows of events these runs have."""
    return await w.server.services.db.read(events.count_rows, run_ids)


async def test_what_is_over_goes_and_what_is_not_stays(tmp_path: Path) -> None:
    """A run that goes on keeps every event, however old it is; its reader gets all of it."""
    clock, model = ManualClock(), Held()
    async with world(tmp_path, model.gateway, settings=SETTINGS, clock=clock) as w:
        agent = await w.agent()
        path = f"/v1/agents/{agent}/messages/stream"
        body = {"messages": [{"role": "user", "content": "hold"}], "stream_tokens": True, "background": True}
        async with asyncio.TaskGroup() as group:
            streaming = group.create_task(w.client.post(path, json=body))
            going = await held(w, model, await w.agent(), "hold another")
            over = await ended(w, 3)
            clock.advance(KEPT_S + 1)
            await w.server.engine.owner.renew()

            swept = await w.server.retention.sweep()

            assert (3, False) == (swept.runs, swept.unfinished)
            assert {} == await rows_left(w, over)
            assert RunStatus.RUNNING is (await w.run(going)).status
            assert await rows_left(w, [RunId(going)])
            model.go.set()
        told = frames(streaming.result().text)
        numbers = [frame.id for frame in told if frame.id is not None]
        assert numbers == list(range(1, len(numbers) + 1))
        assert "[DONE]" == told[-1].kind


async def test_a_pass_is_bounded_and_the_next_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When its time is over it stops between two batches, says so, and nothing is left out in the end."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway(lambda _: says("x")), settings=SETTINGS, clock=clock) as w:
        over = await ended(w, 5)
        clock.advance(KEPT_S + 1)
        monkeypatch.setattr(retention, "RUNS_WALKED", 2)
        sweeping = retention_of(w)
        with monkeypatch.context() as none_at_all:
            none_at_all.setattr(retention, "PASS_S_MAX", 0)
            swept = await sweeping.sweep()
        assert (0, True) == (swept.runs, swept.unfinished)
        assert 5 == len(await rows_left(w, over))

        swept = await sweeping.sweep()

        assert (5, False) == (swept.runs, swept.unfinished)
        assert {} == await rows_left(w, over)
        assert 0 == (await sweeping.sweep()).runs


async def test_runs_that_end_later_are_found_later(tmp_path: Path) -> None:
    """The walk goes on from where it stood, and looks back far enough for an end that became visible late."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway(lambda _: says("x")), settings=SETTINGS, clock=clock) as w:
        first = await ended(w, 1)
        clock.advance(KEPT_S / 2)
        second = await ended(w, 1)
        clock.advance(KEPT_S / 2 + 1)
        assert 1 == (await w.server.retention.sweep()).runs
        assert list(second) == list(await rows_left(w, [*first, *second]))
        clock.advance(KEPT_S / 2)
        assert 1 == (await w.server.retention.sweep()).runs


async def test_two_sweeps_at_once_do_no_harm(tmp_path: Path) -> None:
    """Each row is deleted once, by either."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway(lambda _: says("x")), settings=SETTINGS, clock=clock) as w:
        over = await ended(w, 6)
        rows = sum((await rows_left(w, over)).values())
        clock.advance(KEPT_S + 1)

        passes = await asyncio.gather(*(retention_of(w).sweep() for _ in range(3)))

        assert rows == sum(swept.rows for swept in passes)
        assert {} == await rows_left(w, over)


async def test_what_a_dead_owner_left_unpacked_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process died between the run's end and the folding."""
    monkeypatch.setattr(engine, "FOLD_EVERY_S", 3600)
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway(lambda _: says("x y z")), clock=clock) as w:
        over = await ended(w, 2)
        assert set(over) == set(await w.server.services.db.read(events.unpacked, over))
        await w.server.retention.sweep()
        assert set(over) == set(await w.server.services.db.read(events.unpacked, over)), "that is its owner's"
        clock.advance(60)

        await w.server.retention.sweep()

        assert [] == await w.server.services.db.read(events.unpacked, over)
        assert dict.fromkeys(over, 1) == await rows_left(w, over)


def test_batches_are_bounded_in_rows() -> None:
    """A commit deletes so many rows at most, but a run is never cut."""
    rows = {RunId(f"run-{n}"): count for n, count in enumerate((1, 1999, 1, 5000, 700, 700, 700))}
    batches = retention._batches(rows)
    assert [2, 1, 1, 2, 1] == [len(batch) for batch in batches]
    assert list(rows) == [run_id for batch in batches for run_id in batch]
    for batch in batches:
        assert len(batch) == 1 or sum(rows[run_id] for run_id in batch) <= ROWS_PER_COMMIT_MAX
    assert all(one[-1] != two[0] for one, two in pairwise(batches))
    assert [] == list(retention._batches({}))


async def test_deletions_are_forgotten_after_a_day(tmp_path: Path) -> None:
    """Only then: who comes back after a night finds what went meanwhile."""
    clock = ManualClock()
    async with world(tmp_path, Held().gateway, settings=SETTINGS, clock=clock) as w:
        (run_id,) = await ended(w, 1)
        db = w.server.services.db
        start = clock.now()
        await w.client.delete(f"/v1/runs/{run_id}")
        clock.advance(DELETIONS_KEEP.total_seconds())
        assert 0 == (await w.server.retention.sweep()).deletions
        assert [run_id] == await db.read(deletions.deleted_since, DEFAULT_USER, start)
        clock.advance(1)
        assert 1 == (await w.server.retention.sweep()).deletions
        assert [] == await db.read(deletions.deleted_since, DEFAULT_USER, start)
