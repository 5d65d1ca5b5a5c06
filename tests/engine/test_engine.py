"""The engine: no run is forgotten, doubled or kept for ever, whatever becomes of deliveries and owners.

Every test runs on both backends of its queue: in memory with SQLite, and on Redis with PostgreSQL.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.services import RedisServer
from tests.world import Place, wait_for, wait_until, world

from runstead.clock import ManualClock
from runstead.domain.run import RunStatus
from runstead.domain.run_machine import Claimed
from runstead.engine.engine import end
from runstead.ids import RunId
from runstead.llm.scripted import ScriptedGateway, says
from runstead.runs.admit import Dispatch
from runstead.settings import Settings
from runstead.store import commit as commits

PROMPT = Settings(drain_s=0.0, reconcile_s=0.02)
# A busy machine may leave an owner without a turn for longer than a lease: only where that does no harm, or no time goes by.
QUICK = replace(PROMPT, lease_s=1.0)
BACKENDS = ("embedded", pytest.param("scaled", marks=pytest.mark.slow))


@pytest.fixture(params=BACKENDS)
def place(request: pytest.FixtureRequest) -> Place:
    """Where the engine's queue and its store are."""
    if request.param == "embedded":
        return Place()
    redis: RedisServer = request.getfixturevalue("redis_server")
    with redis.client() as client:
        client.flushall()
    return Place(request.getfixturevalue("postgres_store_url"), redis.url)


async def test_a_delivery_that_is_lost_is_made_up_for(tmp_path: Path, place: Place) -> None:
    """A run that was admitted but never offered is found by the reconciler."""
    async with world(tmp_path, ScriptedGateway([says("Found.")]), settings=PROMPT, place=place) as w:
        lost: list[str] = []
        admission = w.server.services.admission
        admission._dispatch = _swallow(lost)

        run_id = await w.begin(await w.agent(), "go")

        assert [run_id] == lost
        assert RunStatus.COMPLETED is (await w.ended(run_id)).status


def _swallow(lost: list[str]) -> Dispatch:
    async def swallow(run_id: RunId) -> None:
        lost.append(run_id)

    return swallow


async def test_a_delivery_that_comes_twice_does_no_harm(tmp_path: Path, place: Place) -> None:
    """The store lets one owner in; the model is asked once."""
    gateway = ScriptedGateway([says("Once.")])
    async with world(tmp_path, gateway, settings=PROMPT, place=place) as w:
        run_id = await w.begin(await w.agent(), "go")
        for _ in range(20):
            await w.server.engine.dispatch((await w.run(run_id)).id)

        assert RunStatus.COMPLETED is (await w.ended(run_id)).status
        assert 1 == len(gateway.requests)


@pytest.mark.slow
async def test_a_long_run_keeps_its_lease(tmp_path: Path, place: Place) -> None:
    """A run that takes longer than a lease is not taken from a living owner."""
    more, clock = asyncio.Event(), ManualClock()
    gateway = ScriptedGateway([[more, *says("Late.")]])
    async with world(tmp_path, gateway, settings=QUICK, place=place, clock=clock) as w:
        run_id = await w.begin(await w.agent(), "go")
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")
        first = (await w.run(run_id)).lease_until
        assert first is not None

        async def renewed() -> bool:
            until = (await w.run(run_id)).lease_until
            return until == clock.now() + timedelta(seconds=QUICK.lease_s)

        for _ in range(4):
            clock.advance(QUICK.lease_s / 2)
            await wait_for(renewed, "the lease being renewed")
        assert clock.now() > first
        more.set()

        run = await w.ended(run_id)

        assert (RunStatus.COMPLETED, 1) == (run.status, run.epoch)


async def test_who_slept_keeps_what_nobody_took(tmp_path: Path, place: Place) -> None:
    """A process that stood still past its leases, and wakes up alone, goes on with its answers: none is begun anew."""
    more, clock = asyncio.Event(), ManualClock()
    gateway = ScriptedGateway([[more, *says("Late.")]])
    async with world(tmp_path, gateway, settings=PROMPT, place=place, clock=clock) as w:
        run_id = await w.begin(await w.agent(), "go")
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")
        clock.advance(PROMPT.lease_s * 100)

        async def renewed() -> bool:
            until = (await w.run(run_id)).lease_until
            return until is not None and until > clock.now()

        await wait_for(renewed, "the lease being renewed")
        more.set()

        run = await w.ended(run_id)

        assert (RunStatus.COMPLETED, 1, 1) == (run.status, run.epoch, len(gateway.requests))


async def test_a_run_of_a_dead_owner_is_taken_over(tmp_path: Path, place: Place) -> None:
    """An owner that renews nothing loses the run when its lease is over."""
    taken = (
        asyncio.Event()
    )  # who offers the run again may be quicker than this test: it must not end the run before
    gateway = ScriptedGateway(lambda _: [taken, *says("Taken over.")])
    async with world(tmp_path, gateway, settings=QUICK, place=place) as w:
        services = w.server.services
        admission = services.admission
        admission._dispatch = _swallow([])
        agent = await w.agent()
        run_id = await w.begin(agent, "go")
        dead = await services.db.write(
            commits.claim,
            (await w.run(run_id)).id,
            Claimed("a dead process", 0.2),
            services.clock.now(),
            force=True,
        )
        assert dead is not None
        taken.set()

        run = await w.ended(run_id)

        assert RunStatus.COMPLETED is run.status
        assert run.epoch > dead.run.epoch


async def test_a_cancel_reaches_a_run_that_waits_in_line(tmp_path: Path, place: Place) -> None:
    """Nobody owns it yet: it is claimed only to be ended, and the run before it goes on."""
    more = asyncio.Event()
    gateway = ScriptedGateway([[more, *says("First.")], says("Never asked.")])
    async with world(tmp_path, gateway, settings=PROMPT, place=place) as w:
        agent = await w.agent()
        first = await w.begin(agent, "one")
        second = await w.begin(agent, "two")

        answer = await w.client.post(f"/v1/agents/{agent}/messages/cancel", json={"run_ids": [second]})
        more.set()

        assert {second: "cancelled"} == answer.json()
        assert RunStatus.COMPLETED is (await w.ended(first)).status
        assert 1 == len(gateway.requests)


async def test_deleting_a_run_ends_it_first(tmp_path: Path, place: Place) -> None:
    """The model is hung up on; the run is gone; its messages stay."""
    never = asyncio.Event()
    gateway = ScriptedGateway([[never]])
    async with world(tmp_path, gateway, settings=PROMPT, place=place) as w:
        agent = await w.agent()
        run_id = await w.begin(agent, "go")
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")

        answer = await w.client.delete(f"/v1/runs/{run_id}")

        assert (200, "cancelled") == (answer.status_code, answer.json()["status"])
        assert 1 == gateway.hung_up
        await w.get(f"/v1/runs/{run_id}", 404)
        history = await w.get(f"/v1/agents/{agent}/messages")
        assert "go" in [message.get("content") for message in history]


async def test_a_chore_that_misses_a_cancel_is_asked_again() -> None:
    """A client of Redis that is stopped while it connects takes the cancel for a timeout, and goes on listening."""
    begun = asyncio.Event()
    missed: list[str] = []

    async def listen() -> None:
        try:
            begun.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            missed.append("one")
        await asyncio.Event().wait()

    task = asyncio.create_task(listen())
    await begun.wait()

    await end({task})

    assert ["one"] == missed
    assert task.cancelled()
