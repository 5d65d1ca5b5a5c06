"""What is there once all is over: each run's transcript, steps and log, and what the processes and services still hold."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.chaos.client import Client, Following, Got, Sent
from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.wire import Lost, asked, said
from runstead.domain.message import Mark, Message
from runstead.domain.run import Run
from runstead.domain.step import Step
from runstead.ids import RunId
from runstead.store import messages, runs, steps
from runstead.store.database import Database
from runstead.store.messages import MessageFilter, MessagePage
from runstead.store.pages import Page
from runstead.store.steps import StepFilter

READS_AT_ONCE = 8
LIST_MAX = 1000


@dataclass(frozen=True, slots=True)
class Logged:
    """One event of a finished run's log."""

    seq: int
    data: bytes

    @property
    def json(self) -> dict[str, Any]:
        """What it says."""
        return json.loads(self.data)


@dataclass(slots=True)
class Ended:
    """One run at its end. `logs`: its events, as each process gives them."""

    sent: Sent
    run: Run
    messages: Sequence[Message]
    steps: Sequence[Step]
    logs: list[list[Got]] = field(default_factory=list[list[Got]])

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def kept(self) -> list[Message]:
        """Its transcript without what was given up."""
        return [m for m in self.messages if m.mark is not Mark.ABANDONED]

    @property
    def log(self) -> list[Logged]:
        """Its events by the first process."""
        return [Logged(got.seq, got.data) for got in self.logs[0]]


@dataclass(slots=True)
class Evidence:
    """All of it. `never` are requests that were not admitted or whose run is unknown."""

    ended: list[Ended]
    never: list[Sent]
    active: list[str]
    blocks: dict[str, str]
    clients: Sequence[Client]


async def gather(cluster: Cluster, db: Database, clients: Sequence[Client]) -> Evidence:
    """Read everything about every run: from the database, and its log from every process."""
    sent = [each for client in clients for each in client.sent]
    found: list[Ended] = []
    never: list[Sent] = []
    for each in sent:
        ended = None if each.run_id is None else await db.read(_ended, each)
        if ended is None:
            never.append(each)
        else:
            found.append(ended)
    limit = asyncio.Semaphore(READS_AT_ONCE)

    async def read(ended: Ended) -> None:
        async with limit:
            ended.logs = [await reread(port, ended.id) for port in cluster.ports]

    await asyncio.gather(*(read(each) for each in found if each.run.status.final))
    return Evidence(found, never, await db.read(_active), await db.read(_blocks), clients)


def _ended(conn: Connection, sent: Sent) -> Ended | None:
    run = runs.get_run(conn, RunId(str(sent.run_id)))
    if run is None:
        return None
    listed = messages.list_messages(
        conn, run.user_id, MessageFilter(run_id=run.id), MessagePage(limit=LIST_MAX)
    )
    made = steps.list_steps(
        conn, run.user_id, StepFilter(run_id=run.id), Page(limit=LIST_MAX, ascending=True)
    )
    return Ended(sent, run, listed, made)


def _active(conn: Connection) -> list[str]:
    query = "SELECT id FROM runs WHERE status IN ('created', 'running') OR owner IS NOT NULL"
    return list(conn.scalars(text(query)))


def _blocks(conn: Connection) -> dict[str, str]:
    query = "SELECT a.agent_id AS id, b.value AS value FROM agent_blocks a JOIN blocks b ON b.id = a.block_id"
    return {row.id: row.value for row in conn.execute(text(query))}


async def reread(port: int, run_id: str) -> list[Got]:
    """A finished run's events from the first on, as a process gives them now; empty where it does not."""
    following = Following("again")
    try:
        body = {"starting_after": 0, "include_pings": True}
        async with asked(port, "POST", f"/v1/runs/{run_id}/stream", body) as answer:
            if answer.status == 200:
                await following.take_all(answer.chunks(), port)
    except Lost:
        return []
    return following.got if following.done else []


async def metric(port: int, name: str) -> float:
    """A number that a process tells of itself; -1 where it does not."""
    try:
        _, body = await said(port, "GET", "/metrics")
    except Lost:
        return -1.0
    for line in body.decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split(" ")[1])
    return -1.0
