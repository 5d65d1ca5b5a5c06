"""Calls side by side: begun at once, committed in their order, and none outlives its run."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.processes import named
from tests.world import World, wait_until, world

from runstead.domain.message import ToolCall
from runstead.domain.tool import ToolOutcome
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.loop.together import side_by_side


async def test_each_is_begun_before_another_ends() -> None:
    """Two calls that wait for one another both come to an end."""
    first, second = asyncio.Event(), asyncio.Event()

    async def run(call: ToolCall) -> ToolOutcome:
        mine, other = (first, second) if call.id == "a" else (second, first)
        mine.set()
        await other.wait()
        return ToolOutcome("success", call.id)

    async with side_by_side(run, [ToolCall("a", "x", ""), ToolCall("b", "x", "")]) as begun:
        outcomes = [await begun[each] for each in ("a", "b")]

    assert ["a", "b"] == [each.text for each in outcomes]


async def test_whoever_ends_early_ends_all() -> None:
    """The error comes out as it is, after every call was cancelled and had its end."""
    ended: list[str] = []

    async def run(call: ToolCall) -> ToolOutcome:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(call.id)
        raise AssertionError("nobody sets it")

    async def leave_early() -> None:
        async with side_by_side(run, [ToolCall("a", "x", ""), ToolCall("b", "x", "")]):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave_early()

    assert ["a", "b"] == sorted(ended)


async def tool(w: World, name: str, body: str, *, parallel: bool = True) -> None:
    """Make a tool of one number."""
    source = (
        f'def {name}(n: int) -> str:\n    """Do.\n\n    Args:\n        n: a number\n    """\n    {body}\n'
    )
    answer = await w.client.post(
        "/v1/tools/", json={"source_code": source, "enable_parallel_execution": parallel}
    )
    assert answer.status_code == 200, answer.text


async def test_an_actors_tool_is_called_in_a_run(tmp_path: Path) -> None:
    """The model is told of it, its return and what it printed are the run's, and its limit holds."""
    gateway = ScriptedGateway([calls(("double", '{"n": 21}'), ("double", '{"n": 4}')), says("42 and 8.")])
    async with world(tmp_path, gateway) as w:
        await tool(w, "double", "print('doubling'); return n * 2")
        agent = await w.agent(tools=["double"])

        answer = (await w.say(agent, "go")).json()

        returned = [m for m in answer["messages"] if m["message_type"] == "tool_return_message"]
        assert ["42", "8"] == [m["tool_return"] for m in returned]
        assert [["doubling\n"]] * 2 == [m["stdout"] for m in returned]
        told = next(spec for spec in gateway.requests[0].tools if spec.name == "double")
        assert {"n": {"type": "integer", "description": "a number"}} == told.parameters["properties"]


@pytest.mark.slow
async def test_a_cancelled_run_kills_what_it_called(tmp_path: Path) -> None:
    """Both calls are under way when the run is cancelled: their processes end, and each has its return."""
    gateway = ScriptedGateway([calls(("hang", '{"n": 1}'), ("hang", '{"n": 2}'))])
    mark = f"hang-{tmp_path.name}"[-15:]
    name_it = f"import ctypes, signal; ctypes.CDLL(None).prctl(15, {mark.encode()!r}, 0, 0, 0)"
    async with world(tmp_path, gateway) as w:
        await tool(w, "hang", f"{name_it}; signal.pause()")
        agent = await w.agent(tools=["hang"])
        run_id = await w.begin(agent, "go")
        await wait_until(lambda: len(named(mark)) == 2, "both calls being under way")

        await w.client.post(f"/v1/agents/{agent}/messages/cancel")

        assert "cancelled" == (await w.ended(run_id)).status
        await wait_until(lambda: named(mark) == [], "both processes being gone")
        messages = await w.get(f"/v1/runs/{run_id}/messages")
        assert 2 == sum(m["message_type"] == "tool_return_message" for m in messages)
