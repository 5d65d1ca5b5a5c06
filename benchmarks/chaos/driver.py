"""A whole chaos run: servers up, clients at work, faults as planned, everything mended, then the looking."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.chaos.checks import Fault, broken
from benchmarks.chaos.client import Client
from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.evidence import gather
from benchmarks.chaos.figures import Figures, figures
from benchmarks.chaos.leftovers import left_over
from benchmarks.chaos.plan import plan
from benchmarks.chaos.surprises import surprises
from benchmarks.chaos.takeover import Watch, database_of

SETTLE_S = 120.0
SHOWN = 12


@dataclass(frozen=True, slots=True)
class Chaos:
    """How a chaos run shall be. `alone`: one process on SQLite. `late_s_max`: a fault that would be later is left out."""

    seed: int
    seconds: float = 60.0
    clients: int = 20
    processes: int = 3
    lease_s: float = 2.0
    every_s: float = 2.0
    alone: bool = False
    settle_s: float = SETTLE_S
    late_s_max: float = math.inf


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the figures, and every promise that was broken, in words (the first few)."""

    figures: Figures
    broken: Sequence[str]


def run(chaos: Chaos, folder: Path) -> Outcome:
    """Do it. Takes `seconds`, some more to start, and up to `settle_s` to let all runs end."""
    with Cluster(folder, processes=chaos.processes, lease_s=chaos.lease_s, alone=chaos.alone) as cluster:
        return asyncio.run(_run(chaos, cluster))


async def _run(chaos: Chaos, cluster: Cluster) -> Outcome:
    db = database_of(cluster)
    watch = Watch(cluster, db)
    clients = [Client(chaos.seed, number, cluster.ports) for number in range(chaos.clients)]
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(watch.run())
            await _suffer(chaos, cluster, clients, watch)
            watching.cancel()
        evidence = await gather(cluster, db, clients)
        stops = [Fault("who_is_told_to_stop_stops", "", what) for what in cluster.troubles]
        left = await left_over(cluster, [each.run for each in evidence.ended])
        faults = [*surprises(cluster.servers), *stops, *left, *broken(evidence)]
    finally:
        await db.close()
    counted = figures(
        cluster,
        evidence,
        watch.found,
        faults,
        seed=chaos.seed,
        seconds=chaos.seconds,
        lease_s=chaos.lease_s,
    )
    return Outcome(counted, [_told(cluster, fault) for fault in faults[:SHOWN]])


async def _suffer(chaos: Chaos, cluster: Cluster, clients: Sequence[Client], watch: Watch) -> None:
    """Let the clients work and everything break; give the runs time to end once all is mended."""
    faults = plan(
        chaos.seed,
        chaos.seconds,
        len(cluster.servers),
        chaos.lease_s,
        alone=chaos.alone,
        every_s=chaos.every_s,
    )
    until = time.monotonic() + chaos.seconds
    async with asyncio.TaskGroup() as group:
        working = [group.create_task(client.work(until)) for client in clients]
        await cluster.suffer(faults, watch.before, chaos.late_s_max)
        await asyncio.wait(working, timeout=max(0.0, until - time.monotonic()) + chaos.settle_s)
        for task in working:
            task.cancel()


def _told(cluster: Cluster, fault: Fault) -> str:
    lines = cluster.lines_about(fault.run_id) if fault.run_id else ""
    return f"{fault}\n{lines}" if lines else str(fault)
