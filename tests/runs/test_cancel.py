"""Ending runs in the background: who interrupts does not wait for an owner that does not react, and the run ends anyway."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.runs.line import Held, held, saying, sent
from tests.world import world

from runstead.domain.run import RunStatus
from runstead.engine.engine import Engine
from runstead.ids import RunId
from runstead.runs import cancel


class DeafOwner:
    """Stops nothing until it is forced to, like an owner in a process that hangs."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.asked: list[tuple[RunId, bool]] = []
        self.may_lose = asyncio.Event()
        self.may_lose.set()

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        self.asked.append((run_id, force))
        if force:
            await self.may_lose.wait()
            await self._engine.stop(run_id, force=True)


async def test_an_owner_that_does_not_react_loses_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new message is admitted at once; after the patience its predecessor is taken from its owner and ended."""
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.05)
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)
        owner = DeafOwner(w.server.engine)
        owner.may_lose.clear()
        w.server.services.cancellation._stopper = owner

        answer = await sent(w, agent, saying("now", busy_policy="interrupt"), "/async")

        assert "created" == answer.json()["status"]
        assert (holder, 1) == (answer.json()["waiting_for"], answer.json()["line_position"])
        owner.may_lose.set()
        assert RunStatus.COMPLETED is (await w.ended(answer.json()["id"])).status
        assert RunStatus.CANCELLED is (await w.run(holder)).status
        assert [(holder, False), (holder, True)] == owner.asked


class BrokenOwner(DeafOwner):
    """The first signal fails, as where Redis cannot be reached."""

    async def stop(self, run_id: RunId, *, force: bool) -> None:
        first = not self.asked
        await super().stop(run_id, force=force)
        if first:
            raise ConnectionError("nobody is there to be told")


async def test_a_signal_that_fails_is_given_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message is admitted all the same, and what it interrupts ends."""
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.05)
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)
        owner = BrokenOwner(w.server.engine)
        w.server.services.cancellation._stopper = owner

        answer = await sent(w, agent, saying("now", busy_policy="interrupt"))

        assert 200 == answer.status_code
        assert RunStatus.CANCELLED is (await w.run(holder)).status
        assert [(holder, False), (holder, False), (holder, True)] == owner.asked
