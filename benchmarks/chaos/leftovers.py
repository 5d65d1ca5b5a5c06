"""What must not be left over once all runs are over: leases, streams, connections, keys, requests to the model, files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import cast

from benchmarks.chaos.checks import Fault
from benchmarks.chaos.cluster import Cluster, open_files
from benchmarks.chaos.evidence import metric
from runstead.domain.run import Run
from runstead.events.hot import LIVE_TTL_S, OVER_TTL_S

QUIET_WITHIN_S = 60.0
LEVELS = ("runstead_leases_held", "runstead_streams_open")
LOOK_EVERY_S = 0.2
# What Redis says of a key that went meanwhile, and of one that stays.
GONE, FOR_EVER = -2, -1
# What a process may have open beside what it had when it first answered: its pools, full.
POSTGRES_POOL, REDIS_POOL, MODEL_POOL = 10, 24, 24
DOCKET_KEYS_MAX = 24


async def left_over(cluster: Cluster, ended: Sequence[Run]) -> list[Fault]:
    """Wait a while for everything to be put away; what is not, by then."""
    deadline = time.monotonic() + QUIET_WITHIN_S
    while True:
        found = [Fault("nothing_is_left_over", "", what) for what in await _now(cluster, ended)]
        if not found or time.monotonic() > deadline:
            return found
        await asyncio.sleep(LOOK_EVERY_S)


async def _now(cluster: Cluster, ended: Sequence[Run]) -> list[str]:
    found: list[str] = []
    for number, server in enumerate(cluster.servers):
        told = {name: await metric(server.port, name) for name in LEVELS}
        found += [f"process {number}: {name} is {value}" for name, value in told.items() if value != 0]
        allowed = cluster.files_at_start[number] + MODEL_POOL
        allowed += 0 if cluster.alone else POSTGRES_POOL + REDIS_POOL
        if (files := open_files(server)) > allowed:
            found.append(f"process {number} has {files} files open, more than {allowed}")
    return [
        *found,
        *_at_the_model(cluster),
        *await asyncio.to_thread(lambda: [*_keys(cluster, ended), *_sessions(cluster)]),
    ]


def _at_the_model(cluster: Cluster) -> Iterator[str]:
    for asked in list(cluster.model.asked):
        if asked.ended_ns is None and asked.hung_up_ns is None:
            yield f"a request to the model is open: {asked.user_text[-60:]}"


def _sessions(cluster: Cluster) -> Iterator[str]:
    """PostgreSQL: not more connections than the pools have, and none in the middle of something."""
    if cluster.postgres is None:
        return
    clients = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    count = int(cluster.postgres.sql(f"SELECT count(*) {clients}"))
    if count > (most := (POSTGRES_POOL + 1) * len(cluster.servers) + 2):
        yield f"PostgreSQL has {count} connections, more than {most}"
    for line in cluster.postgres.sql(
        f"SELECT state, left(query, 80) {clients} AND state LIKE 'idle in transaction%'"
        " AND state_change < now() - interval '3 s'"
    ).splitlines():
        yield f"PostgreSQL has a transaction that nobody ends: {line}"


def _keys(cluster: Cluster, ended: Sequence[Run]) -> Iterator[str]:
    """Redis: streams of runs that are over go within their time, and the queue's own keys are few.

    Where Redis or the owner was away when a run ended, nobody could shorten its stream's life: it goes after its hour.
    """
    if cluster.redis is None:
        return
    hurt = {run.id for run in ended if run.completed_at and cluster.was_broken(run.completed_at)}
    with cluster.redis.client() as redis:
        keys = cast("list[bytes]", redis.keys())
        for key in keys:
            ttl = redis.ttl(key)
            if b"{" not in key or ttl == GONE:
                continue
            most = LIVE_TTL_S if key.decode().split("{")[1].split("}")[0] in hurt else OVER_TTL_S
            if not 0 <= ttl <= most:
                yield f"Redis keeps {key.decode()} for {ttl} s"
        queue = [key for key in keys if b"{" not in key and redis.ttl(key) == FOR_EVER]
        if len(queue) > DOCKET_KEYS_MAX:
            yield f"Redis has {len(queue)} keys of the queue without an end: {sorted(queue)}"
