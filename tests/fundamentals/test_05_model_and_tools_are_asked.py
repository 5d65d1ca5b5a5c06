"""Hop 5: what goes to the model comes back in pieces, which are in the log at once; a tool's failure is an answer too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.world import WAIT_S, wait_until, world

from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.llm.types import Finish, TextDelta


async def test_a_piece_reaches_readers_before_the_answer_is_whole(tmp_path: Path) -> None:
    """A reader sees the first words while the model still thinks about the next."""
    more = asyncio.Event()
    gateway = ScriptedGateway([[TextDelta("Once "), more, TextDelta("upon"), Finish("stop")]])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        answer = asyncio.create_task(w.stream(agent, "a story"))
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")
        run = (await w.get("/v1/runs/active"))[0]
        reader = await w.server.services.log.reader(run["id"], 1)

        first = await reader.next(timeout_s=WAIT_S)

        assert b'"content":"Once "' in first[0].data
        more.set()
        assert "[DONE]" == (await answer)[-1].kind


async def test_a_tool_that_fails_tells_the_model(tmp_path: Path) -> None:
    """An unknown block, malformed arguments, an unknown tool: the run goes on."""
    asked = (
        ("memory_insert", '{"label": "nowhere", "new_str": "x"}'),
        ("memory_insert", "{no json"),
        ("fly_to_the_moon", "{}"),
    )
    async with world(tmp_path, ScriptedGateway([calls(*asked), says("I cannot.")])) as w:
        answer = (await w.say(await w.agent(), "try")).json()

        returned = [m for m in answer["messages"] if m["message_type"] == "tool_return_message"]
        assert ["error"] * 3 == [message["status"] for message in returned]
        assert "end_turn" == answer["stop_reason"]["stop_reason"]


async def test_a_model_that_fails_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    """What was said until then stays; the error has its own type, and the next message works."""
    failure = ModelError(ModelErrorKind.OVERLOADED, "The model is overloaded.", retryable=False)
    gateway = ScriptedGateway([[TextDelta("I thi"), failure], says("Back again.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()

        frames = await w.stream(agent, "hello", background=True)
        run = await w.get(f"/v1/runs/{frames[0].data['run_id']}")  # pyright: ignore[reportOptionalSubscript]

        kinds = ["ping", "assistant_message", "error_message", "stop_reason"]
        assert [*kinds, "usage_statistics", "[DONE]"] == [frame.kind for frame in frames]
        assert ("failed", "llm_api_error") == (run["status"], run["stop_reason"])
        assert "llm_overloaded" == run["metadata"]["error"]["error_type"]
        assert "agent_id" in run["metadata"]
        assert 200 == (await w.say(agent, "again")).status_code
