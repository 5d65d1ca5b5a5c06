"""Hop 7: run, messages, steps, memory and events of one change commit together, or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.events.bench import LogBench, LogPlace
from tests.world import world

from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import StopReason
from runstead.domain.run_machine import Change, Finished, transition
from runstead.errors import StaleEpoch
from runstead.ids import MessageId
from runstead.llm.scripted import ScriptedGateway, says
from runstead.store import messages, runs


async def test_an_old_owner_commits_nothing_at_all(tmp_path: Path) -> None:
    """A process that slept through its lease changes neither the run nor the transcript."""
    bench = await LogBench.open(LogPlace.in_folder(tmp_path))
    run_id = await bench.new_run()
    old, journal = await bench.claim(run_id)
    await bench.claim(run_id)
    message = Message(MessageId("message-1"), old.user_id, old.agent_id, Role.ASSISTANT, bench.clock.now())
    over = transition(old, Finished(StopReason.END_TURN), bench.clock.now())

    with pytest.raises(StaleEpoch):
        await journal.commit(Change(over, messages=(replace(message, parts=(TextPart("x"),)),)))

    found = await bench.db.read(runs.get_run, run_id)
    assert found is not None
    assert not found.status.final
    assert None is await bench.db.read(messages.find_message, old.user_id, "message-1")
    await bench.close()


async def test_who_saw_the_end_reads_the_end(tmp_path: Path) -> None:
    """Once the last event was delivered, every read says the same."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("Done."))) as w:
        agent = await w.agent()
        for _ in range(20):
            frames = await w.stream(agent, "go", background=True)
            run_id = frames[-2].data["run_id"]  # pyright: ignore[reportOptionalSubscript]

            run = await w.get(f"/v1/runs/{run_id}")
            usage = await w.get(f"/v1/runs/{run_id}/usage")

            assert ("completed", "end_turn") == (run["status"], run["stop_reason"])
            assert usage["total_tokens"] == frames[-2].data["total_tokens"]  # pyright: ignore[reportOptionalSubscript]
