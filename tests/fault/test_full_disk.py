"""The disk is full: what cannot be written is refused, nothing that was acknowledged is lost, and with room all goes on.

SQLite itself says so, through its own limit of pages: the same error, at the same place, as of a disk without room.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.world import World, wait_for, wait_until, world

from runstead.domain.run import RunStatus
from runstead.llm.scripted import Cue, ScriptedGateway
from runstead.llm.types import ModelRequest, TextDelta
from runstead.settings import Settings

LEASE_S = 0.6
# More than the pages that are there have room for.
LONG = "long " * 20_000
ROOM_PAGES = 1_000_000
SHORT_LEASES = Settings(lease_s=LEASE_S, reconcile_s=0.1, drain_s=0.0)


def fill(conn: Connection) -> None:
    """Let the database grow no more."""
    pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
    conn.exec_driver_sql(f"PRAGMA max_page_count = {pages}")


def make_room(conn: Connection) -> None:
    """Let it grow again."""
    conn.exec_driver_sql(f"PRAGMA max_page_count = {ROOM_PAGES}")


class Gated:
    """Models whose answers stop at gates: `long` says much after its first gate, `other` waits at its own."""

    def __init__(self) -> None:
        self.long = asyncio.Event()
        self.other = asyncio.Event()
        self.gateway = ScriptedGateway(self._turn)

    def _turn(self, request: ModelRequest) -> list[Cue]:
        if request.messages[-1].text == "long":
            return [TextDelta("first "), self.long, TextDelta(LONG), TextDelta("last")]
        return [TextDelta("first "), self.other, TextDelta("last")]


async def begin(w: World, group: asyncio.TaskGroup, text: str) -> str:
    """A run that has said its first word, and somebody who reads it to its end."""
    agent = await w.agent()
    group.create_task(w.stream(agent, text, background=True))

    async def spoke() -> bool:
        found = await w.get(f"/v1/runs/?agent_id={agent}")
        return bool(found) and bool(await w.server.services.db.read(_said, found[0]["id"]))

    await wait_for(spoke, "its first word")
    return str((await w.get(f"/v1/runs/?agent_id={agent}"))[0]["id"])


def _said(conn: Connection, run_id: str) -> int:
    rows = conn.exec_driver_sql("SELECT count(*) FROM events WHERE run_id = ? AND first_seq > 1", (run_id,))
    return int(rows.scalar_one())


async def completed(w: World, run_id: str) -> bool:
    """Whether a run has ended well."""
    return (await w.run(run_id)).status is RunStatus.COMPLETED


async def given_up(w: World, held: int) -> None:
    """Wait until the process has let go of all runs but so many."""
    await wait_until(lambda: w.server.engine.owner.held == held, "a run being given up")


async def test_what_does_not_fit_is_refused(folder: Path) -> None:
    """503 and no run; one that was under way is given up, taken up again, and is over once there is room."""
    models = Gated()
    async with world(folder, models.gateway, settings=SHORT_LEASES) as w, asyncio.TaskGroup() as group:
        agent = await w.agent()
        run_id = await begin(w, group, "long")
        await w.server.services.db.write(fill)

        answer = await w.say(agent, LONG)
        models.long.set()

        assert 503 == answer.status_code
        assert "full" in answer.json()["detail"]
        assert [] == await w.get(f"/v1/runs/?agent_id={agent}")
        await given_up(w, 0)
        assert not (await w.run(run_id)).status.final
        await w.server.services.db.write(make_room)
        await wait_for(lambda: completed(w, run_id), "the end of the run")
        told = await w.resume(run_id)
        numbers = [frame.id for frame in told if frame.id is not None]
        assert list(range(1, len(numbers) + 1)) == numbers


@pytest.mark.slow
async def test_a_run_that_was_given_up_is_not_kept(folder: Path) -> None:
    """Its lease ends although its process goes on with other runs."""
    models = Gated()
    async with world(folder, models.gateway, settings=SHORT_LEASES) as w, asyncio.TaskGroup() as group:
        other = await begin(w, group, "other")
        run_id = await begin(w, group, "long")
        await w.server.services.db.write(fill)
        models.long.set()
        await given_up(w, 1)
        await w.server.services.db.write(make_room)
        try:
            await wait_for(lambda: completed(w, run_id), "the end of the run")
        finally:
            models.other.set()
            await wait_for(lambda: completed(w, other), "the end of the other run")
