"""Callbacks: told once the run is over, again until somebody takes it, signed, and only where this server may go."""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.world import World, wait_for, world

from runstead.clock import ManualClock
from runstead.domain.run import Run
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import RunId
from runstead.llm.scripted import ScriptedGateway, says
from runstead.outward.inward import CALLBACKS, Inward
from runstead.settings import Secret, Settings
from runstead.store import runs
from runstead.store.sqlite import SqliteDatabase
from runstead.webhooks.deliver import Callbacks

# Each is a whole server and a listener.
pytestmark = pytest.mark.slow


@dataclass
class Listener:
    """A server that takes callbacks, answering with the statuses it was given, then 200."""

    statuses: list[int] = field(default_factory=list[int])
    heard: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    bodies: list[bytes] = field(default_factory=list[bytes])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    url: str = ""

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read one request and answer it."""
        _, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        self.headers.append(headers)
        self.bodies.append(await reader.readexactly(int(headers["content-length"])))
        self.heard.append(orjson.loads(self.bodies[-1]))
        status = self.statuses.pop(0) if self.statuses else 200
        writer.write(f"HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def listening(*statuses: int) -> AsyncGenerator[Listener]:
    """A listener on a port of its own."""
    listener = Listener(list(statuses))
    server = await asyncio.start_server(listener.hear, "127.0.0.1", 0)
    async with server:
        listener.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/done"
        yield listener


async def told(w: World, run_id: str) -> Run:
    """The run once what came of its callback is noted."""
    await w.ended(run_id)

    async def noted() -> bool:
        return (await w.run(run_id)).callback_sent_at is not None

    await wait_for(noted, "the callback being noted")
    return await w.run(run_id)


async def test_the_end_of_a_run_is_told_with_its_answer(tmp_path: Path) -> None:
    """Both generations' members, and the status that the listener gave."""
    async with listening() as listener, world(tmp_path, ScriptedGateway([says("Done.")])) as w:
        agent = await w.agent()
        run_id = await w.begin(agent, "go", callback_url=listener.url)

        run = await told(w, run_id)

        body = listener.heard[0]
        assert (run_id, run_id, "completed") == (body["run_id"], body["job_id"], body["status"])
        assert ["Done."] == [m["content"] for m in body["metadata"]["result"]["messages"]]
        assert (200, None) == (run.callback_status_code, run.callback_error)


async def test_a_failed_run_is_told_too(tmp_path: Path) -> None:
    """With its error, in its metadata."""
    failure = ModelError(ModelErrorKind.AUTHENTICATION, "The provider refused the key.")
    async with listening() as listener, world(tmp_path, ScriptedGateway([[failure]])) as w:
        run_id = await w.begin(await w.agent(), "go", callback_url=listener.url)
        await told(w, run_id)

        body = listener.heard[0]
        assert ("failed", "llm_authentication") == (
            body["status"],
            body["metadata"]["error"]["error_type"],
        )


async def test_a_listener_that_fails_is_told_again(tmp_path: Path) -> None:
    """A 503 is not the last word: later, and later still, until it is taken."""
    clock = ManualClock()
    settings = Settings(drain_s=0.0)
    async with listening(503, 500) as listener:
        async with world(tmp_path, ScriptedGateway([says("Done.")]), clock=clock) as w:
            run_id = await w.begin(await w.agent(), "go", callback_url=listener.url)
            await told(w, run_id)
        # The server is gone, so that nobody else delivers what is due.
        db = SqliteDatabase(tmp_path / "runstead.db")

        async def render(_run: Run) -> bytes:
            return b'{"again": true}'

        async def status() -> int | None:
            run = await db.read(runs.get_run, RunId(run_id))
            return None if run is None else run.callback_status_code

        later = Callbacks(settings, db, clock, render, Inward("127.0.0.1", CALLBACKS))
        try:
            assert (1, 503) == (len(listener.heard), await status())
            assert not await later.deliver_due()
            for _ in range(2):
                clock.advance(3600)
                assert await later.deliver_due()
            clock.advance(3600)
            assert not await later.deliver_due()

            assert 3 == len(listener.heard)
            assert {run_id} == {headers["webhook-id"] for headers in listener.headers}
            assert 200 == await status()
        finally:
            await later.close()
            await db.close()


async def test_a_callback_is_signed(tmp_path: Path) -> None:
    """As Standard Webhooks has it: over the id, the time and the very bytes."""
    secret = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
    settings = Settings(drain_s=0.0, webhook_secret=Secret(secret))
    async with listening() as listener:
        async with world(tmp_path, ScriptedGateway([says("Done.")]), settings=settings) as w:
            run_id = await w.begin(await w.agent(), "go", callback_url=listener.url)
            await told(w, run_id)

    headers = listener.headers[0]
    assert run_id == headers["webhook-id"]
    signed = f"{run_id}.{headers['webhook-timestamp']}.".encode() + listener.bodies[0]
    mac = hmac.digest(bytes(range(32)), signed, "sha256")
    assert f"v1,{base64.b64encode(mac).decode()}" == headers["webhook-signature"]
    assert listener.url.removeprefix("http://").removesuffix("/done") == headers["host"]


async def test_a_server_with_a_key_posts_nowhere_inward(tmp_path: Path) -> None:
    """Whoever may talk to an agent could make it knock at its own network: only where the operator says so."""
    closed = Settings(drain_s=0.0, server_password=Secret("word"), callback_attempts_max=1)
    async with listening() as listener:
        async with world(tmp_path, ScriptedGateway([says("Done.")]), settings=closed) as w:
            w.client.headers["authorization"] = "Bearer word"
            run_id = await w.begin(await w.agent(), "go", callback_url=listener.url)
            run = await told(w, run_id)
        assert (None, []) == (run.callback_status_code, listener.heard)
        assert "RUNSTEAD_CALLBACK_ALLOW_HOSTS" in (run.callback_error or "")

        allowing = replace(closed, callback_allow_hosts="127.0.0.1")
        async with world(tmp_path, ScriptedGateway([says("Done.")]), settings=allowing) as w:
            w.client.headers["authorization"] = "Bearer word"
            run_id = await w.begin(await w.agent(), "go", callback_url=listener.url)
            run = await told(w, run_id)
        assert (200, 1) == (run.callback_status_code, len(listener.heard))


async def test_nobody_there_is_noted_on_the_run(tmp_path: Path) -> None:
    """A refused connection is an error on the run, not of it."""
    async with world(tmp_path, ScriptedGateway([says("Done.")])) as w:
        run_id = await w.begin(await w.agent(), "go", callback_url="http://127.0.0.1:9/")

        run = await told(w, run_id)

        assert "completed" == run.status
        assert run.callback_error is not None
        assert f"Failed to dispatch callback for run {run_id}" in run.callback_error
