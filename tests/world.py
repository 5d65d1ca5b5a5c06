"""A whole server inside the test: real store, real log, real engine, a scripted model, and a client of its HTTP API.

Nothing is replaced but the model and, where a test asks, the clock and the ids. Ships nothing; used by every folder here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
from tests.template import put_database

from runstead.app import Server, build, running
from runstead.clock import Clock
from runstead.domain.run import Run
from runstead.ids import Ids, RunId
from runstead.llm.types import Gateway
from runstead.settings import Settings
from runstead.store import runs
from runstead.store.migrate import migrate

Json = dict[str, Any]
# Until a wait is given up: only what hangs takes so long, however slow the machine is.
WAIT_S = 45.0


async def wait_until(condition: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition, looking often; fails with what it waited for."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s:g} s in vain for {what}") from None


async def wait_for(condition: Callable[[], Awaitable[bool]], what: str, timeout_s: float = WAIT_S) -> None:
    """Wait for a condition that must be asked for."""
    try:
        async with asyncio.timeout(timeout_s):
            while not await condition():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise AssertionError(f"waited {timeout_s:g} s in vain for {what}") from None


@dataclass(frozen=True, slots=True)
class Frame:
    """One SSE frame: its id, the name of its event, and its data as JSON (`None` for `[DONE]`)."""

    id: int | None
    event: str | None
    data: Json | None

    @property
    def kind(self) -> str:
        """Its message type, `[DONE]`, or the name of its event."""
        return "[DONE]" if self.data is None else str(self.data["message_type"])


def frames(text: str) -> list[Frame]:
    """The frames of a whole SSE body."""
    found: list[Frame] = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" not in fields:
            continue
        data = None if fields["data"] == "[DONE]" else orjson.loads(fields["data"])
        number = fields.get("id")
        found.append(Frame(None if number is None else int(number), fields.get("event"), data))
    return found


class World:
    """A server and a client of it."""

    def __init__(self, server: Server, client: httpx.AsyncClient) -> None:
        self.server = server
        self.client = client

    async def agent(self, **more: object) -> str:
        """The id of a new agent with a `human` block."""
        body = {
            "name": "tester",
            "model": "scripted/model",
            "memory_blocks": [{"label": "human", "value": "Nothing yet."}],
            **more,
        }
        answer = await self.client.post("/v1/agents/", json=body)
        assert answer.status_code == 200, answer.text
        return cast("str", answer.json()["id"])

    async def say(self, agent: str, text: str, **more: object) -> httpx.Response:
        """Send a message and wait for the answer."""
        body = {"messages": [{"role": "user", "content": text}], **more}
        return await self.client.post(f"/v1/agents/{agent}/messages", json=body)

    async def stream(self, agent: str, text: str, **more: object) -> list[Frame]:
        """Send a message and read its stream to the end."""
        body = {"messages": [{"role": "user", "content": text}], "stream_tokens": True, **more}
        answer = await self.client.post(f"/v1/agents/{agent}/messages/stream", json=body)
        assert answer.status_code == 200, answer.text
        return frames(answer.text)

    async def begin(self, agent: str, text: str, **more: object) -> str:
        """Send a message without waiting; the id of its run."""
        body = {"messages": [{"role": "user", "content": text}], **more}
        answer = await self.client.post(f"/v1/agents/{agent}/messages/async", json=body)
        assert answer.status_code == 200, answer.text
        return cast("str", answer.json()["id"])

    async def resume(self, run_id: str, after: int = 0, **more: object) -> list[Frame]:
        """Read a run's stream from a number on, to its end."""
        body = {"starting_after": after, **more}
        answer = await self.client.post(f"/v1/runs/{run_id}/stream", json=body)
        assert answer.status_code == 200, answer.text
        return frames(answer.text)

    async def get(self, path: str, status: int = 200) -> Any:
        """The JSON of a GET."""
        answer = await self.client.get(path)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def run(self, run_id: str) -> Run:
        """A run as the store has it."""
        found = await self.server.services.db.read(runs.get_run, RunId(run_id))
        assert found is not None
        return found

    async def ended(self, run_id: str) -> Run:
        """A run once it is over."""
        reader = await self.server.services.log.reader(RunId(run_id), 0)
        async with asyncio.timeout(WAIT_S):
            while not reader.ended:
                await reader.next(timeout_s=None)
        return await self.run(run_id)


@dataclass(frozen=True, slots=True)
class Place:
    """Where several processes keep what they share; empty: one process, and SQLite in a folder of its own."""

    database_url: str = ""
    redis_url: str = ""


@asynccontextmanager
async def world(
    folder: Path,
    gateway: Gateway,
    *,
    settings: Settings | None = None,
    clock: Clock | None = None,
    ids: Ids | None = None,
    place: Place | None = None,
) -> AsyncGenerator[World]:
    """A running server whose data is in `folder`, or in `place`."""
    shared = place or Place()
    chosen = replace(
        settings or Settings(drain_s=0.0, reconcile_s=0.05),
        data_dir=folder,
        database_url=shared.database_url,
        redis_url=shared.redis_url,
    )
    if not chosen.on_postgres:
        put_database(folder / "runstead.db")
    # In a thread: it has an event loop of its own for PostgreSQL.
    await asyncio.to_thread(migrate, chosen.database)
    server = build(chosen, gateway=gateway, clock=clock, ids=ids)
    async with running(server):
        transport = httpx.ASGITransport(server.api, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8283", timeout=WAIT_S
        ) as client:
            yield World(server, client)
