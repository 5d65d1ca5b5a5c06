"""What power-safe commits cost: the same work with `synchronous=NORMAL` and with `FULL`, side by side, with ratios.

`python -m benchmarks.durability FOLDER` puts its data into FOLDER, which decides everything: with FULL a commit waits for
that disk. The model is a scripted one in the process; the server is a whole one without its port. Rounds alternate, and
the median of each figure is shown.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any, cast

import httpx
import orjson
import uvloop

from runstead.app import Server, build, running
from runstead.clock import SystemClock
from runstead.events.log import Kind
from runstead.ids import RunId
from runstead.llm.scripted import ScriptedGateway
from runstead.llm.types import Delta, ModelRequest, TextDelta
from runstead.settings import Settings
from runstead.store import outbox
from runstead.store.migrate import migrate
from runstead.store.sqlite import SqliteDatabase

ROUNDS = 3
SECONDS = 2.0
WRITERS = 64
CLIENTS = 32
RUNS = 50
TOKENS = 60
TOKENS_PER_S = 20

Figures = dict[str, float]


class Ticking(ScriptedGateway):
    """A model that says the time, at an even pace; or one word, to who does not want tokens."""

    paced = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta]:
        """Say it."""
        for _ in range(TOKENS if self.paced else 1):
            if self.paced:
                await asyncio.sleep(1 / TOKENS_PER_S)
            yield TextDelta(f"{time.monotonic_ns()} ")


async def main(base: Path) -> None:
    """Measure and print."""
    rounds: dict[str, list[Figures]] = {"NORMAL": [], "FULL": []}
    for _ in range(ROUNDS):
        for synchronous, found in rounds.items():
            with tempfile.TemporaryDirectory(dir=base) as folder:
                figures = await _commits(Path(folder) / "commits.db", synchronous)
                found.append(figures | await _server(Path(folder), synchronous))
    print(f"fdatasync of 4 KiB here: {_sync_ms(base):.2f} ms at the median\n")
    print("| | NORMAL | FULL | FULL / NORMAL |\n| --- | --- | --- | --- |")
    for name in rounds["NORMAL"][0]:
        normal, full = (median(each[name] for each in rounds[kind]) for kind in ("NORMAL", "FULL"))
        print(f"| {name} | {normal:,.1f} | {full:,.1f} | {full / normal:.2f} |")


async def _commits(path: Path, synchronous: str) -> Figures:
    """Small commits by the store alone."""
    migrate(f"sqlite:///{path}")
    db, now = SqliteDatabase(path, synchronous=synchronous), SystemClock().now()

    async def write() -> None:
        await db.write(outbox.enqueue, RunId("run-x"), "callback", "http://127.0.0.1/", now)

    alone = await _per_second(write, 1)
    together = await _per_second(write, WRITERS)
    await db.close()
    return {"commits/s, one writer": alone, f"commits/s, {WRITERS} at once": together}


async def _server(folder: Path, synchronous: str) -> Figures:
    """Messages answered, and how late tokens are."""
    model = Ticking()
    async with _serving(folder, model, synchronous) as (server, http):
        agents = [await _agent(http) for _ in range(max(RUNS, CLIENTS))]
        turn = iter(range(10**9))

        async def message() -> None:
            path = f"/v1/agents/{agents[next(turn) % len(agents)]}/messages"
            answer = await http.post(path, json={"messages": [{"role": "user", "content": "x"}]})
            assert answer.status_code == 200, answer.text

        alone = await _per_second(message, 1)
        together = await _per_second(message, CLIENTS)
        model.paced = True
        late = [
            ms
            for some in await asyncio.gather(*(_late(server, http, a) for a in agents[:RUNS]))
            for ms in some
        ]
    cuts = quantiles(late, n=100)
    return {
        "messages/s, one client": alone,
        f"messages/s, {CLIENTS} clients": together,
        f"token lag p50 of {RUNS} runs, ms": cuts[49],
        f"token lag p99 of {RUNS} runs, ms": cuts[98],
    }


@asynccontextmanager
async def _serving(
    folder: Path, model: Ticking, synchronous: str
) -> AsyncGenerator[tuple[Server, httpx.AsyncClient]]:
    settings = Settings(data_dir=folder, drain_s=0.0, sqlite_synchronous=synchronous)
    migrate(settings.database)
    async with running(build(settings, gateway=model)) as server:
        transport = httpx.ASGITransport(server.api, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as http:
            yield server, http


async def _agent(http: httpx.AsyncClient) -> str:
    body = {"name": "bench", "model": "scripted/model", "include_base_tools": False}
    return cast("str", (await http.post("/v1/agents/", json=body)).json()["id"])


async def _late(server: Server, http: httpx.AsyncClient, agent: str) -> list[float]:
    """How many milliseconds after the model said them the tokens of a run reach a reader."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "stream_tokens": True}
    beginning = asyncio.get_running_loop().create_task(
        http.post(f"/v1/agents/{agent}/messages/stream", json=body | {"background": True})
    )
    found: list[float] = []
    reader = await server.services.log.reader(await _run_of(http, agent), 0)
    while not reader.ended:
        entries = await reader.next(timeout_s=None)
        now_ns = time.monotonic_ns()
        told = [orjson.loads(entry.data)["content"] for entry in entries if entry.kind is Kind.MESSAGE]
        found += [(now_ns - int(each)) / 1e6 for each in told]
    await beginning
    return found


async def _run_of(http: httpx.AsyncClient, agent: str) -> RunId:
    """The run that an agent has just been given. A client of a server in the process gets its own answer at the end only."""
    while True:
        if listed := (await http.get(f"/v1/runs/?agent_id={agent}&active=true")).json():
            return RunId(listed[0]["id"])
        await asyncio.sleep(0.001)


async def _per_second(what: Callable[[], Awaitable[None]], at_once: int) -> float:
    """How often something is done in a second by so many who do it again and again."""
    began = time.monotonic()
    until = began + SECONDS
    done = 0

    async def worker() -> None:
        nonlocal done
        while time.monotonic() < until:
            await what()
            done += 1

    await asyncio.gather(*(worker() for _ in range(at_once)))
    return done / (time.monotonic() - began)


def _sync_ms(base: Path) -> float:
    """What one page costs until the disk has it, in a file that is there already."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=base, buffering=0) as out:
        out.write(bytes(200 * 4096))
        os.fsync(out.fileno())
        for number in range(200):
            os.pwrite(out.fileno(), os.urandom(4096), number * 4096)
            began = time.monotonic_ns()
            os.fdatasync(out.fileno())
            took.append((time.monotonic_ns() - began) / 1e6)
    return median(took)


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1])))
