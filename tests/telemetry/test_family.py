"""Processes of one port: whoever is asked tells the numbers of all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs
from tests.world import wait_until, world

from runstead.clock import ManualClock
from runstead.llm.scripted import ScriptedGateway, says
from runstead.settings import Settings
from runstead.telemetry.family import SILENT_S_MAX, Family
from runstead.telemetry.metrics import Meter


async def nothing_more() -> Mapping[str, Mapping[str, float]]:
    return {}


@asynccontextmanager
async def written(folder: Path, place: int, meter: Meter, clock: ManualClock) -> AsyncGenerator[Family]:
    """A process that writes its numbers down, while the block lasts."""
    family = Family(folder, place, meter, clock)
    async with asyncio.TaskGroup() as group:
        writing = group.create_task(family.run(nothing_more))
        await wait_until((folder / f"{place}.json").exists, "its numbers")
        yield family
        writing.cancel()


def counted() -> Meter:
    """A meter of a process in which something happened."""
    meter = Meter()
    meter.add("runstead_runs_finished_total", 7, "completed")
    meter.observe("runstead_tail_lag_seconds", 0.003)
    return meter


async def test_others_are_told_as_they_wrote(tmp_path: Path) -> None:
    """Counters and histograms; not oneself; and not who has been silent for long."""
    clock = ManualClock()
    async with written(tmp_path, 1, counted(), clock):
        pass
    family = Family(tmp_path, 0, Meter(), clock)
    other = (await family.others())["1"]
    assert other.values["runstead_runs_finished_total"]["completed"] == 7
    assert other.timings == counted().timings()
    assert await Family(tmp_path, 1, Meter(), clock).others() == {}
    clock.advance(SILENT_S_MAX + 1)
    assert await family.others() == {}


async def test_a_folder_that_is_gone_hinders_nobody(tmp_path: Path) -> None:
    """Writing is tried again; reading finds nobody."""
    family = Family(tmp_path / "gone", 0, Meter(), ManualClock())
    with capture_logs() as logged:
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(family.run(nothing_more))
            await wait_until(lambda: bool(logged), "the word that it cannot write")
            assert await family.others() == {}
            assert not writing.done()
            writing.cancel()


async def test_a_scrape_tells_all_processes_apart_and_the_store_once(tmp_path: Path) -> None:
    """`process` is on what is a process's own."""
    clock, shared = ManualClock(), tmp_path / "shared"
    shared.mkdir()
    async with written(shared, 1, counted(), clock):
        pass
    settings = Settings(drain_s=0.0, reconcile_s=0.05, family_dir=shared, family_place=0)
    gateway = ScriptedGateway(lambda _: says("x"))
    async with world(tmp_path, gateway, settings=settings, clock=clock) as w:
        await w.say(await w.agent(), "go")
        await wait_until((shared / "0.json").exists, "what it writes for others")
        await wait_until(lambda: w.server.engine.owner.held == 0, "the owner's letting go")
        text = (await w.client.get("/metrics")).text
    told = {
        (sample.name, sample.labels.get("process"), sample.labels.get("status")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    finished = "runstead_runs_finished_total"
    assert (1, 7) == (told[finished, "0", "completed"], told[finished, "1", "completed"])
    assert 1 == told["runstead_tail_lag_seconds_count", "1", None]
    assert 0 == told["runstead_leases_held", "0", None]
    assert (0, None) == (
        told["runstead_runs_active", None, "running"],
        told.get(("runstead_runs_active", "0", "running")),
    )
