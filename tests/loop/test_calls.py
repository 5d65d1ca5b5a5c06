"""Tools in a run: approvals in both forms, denials, client tools, older agents' send_message, and cancelled calls."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.world import Frame, World, wait_until, world

from runstead.domain.run import RunStatus, StopReason
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.llm.types import CallDelta, Finish, TextDelta

SEARCH = ("conversation_search", '{"query": "tea"}')
ASK_FIRST = [{"type": "requires_approval", "tool_name": "conversation_search"}]


async def pending(w: World, agent: str, **more: object) -> tuple[list[Frame], dict[str, Any]]:
    """A run that ends waiting for approval, and its request."""
    told = await w.stream(agent, "look it up", background=True, **more)
    request = next(f.data for f in told if f.kind == "approval_request_message" and f.data)
    return told, request


def approve(call_id: str, verdict: bool, reason: str | None = None) -> dict[str, object]:
    """The newer form of an answer."""
    item = {"type": "approval", "tool_call_id": call_id, "approve": verdict, "reason": reason}
    return {"messages": [{"type": "approval", "approvals": [item]}]}


@pytest.mark.parametrize("stream_tokens", [True, False])
async def test_a_call_that_needs_approval_ends_the_run(tmp_path: Path, stream_tokens: bool) -> None:
    """The request is told, nothing is run, and the run is completed with its reason."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)

        told, request = await pending(w, agent, stream_tokens=stream_tokens)

        assert request["id"] == request["otid"]
        assert "stop_reason" == told[-3].kind
        found = await w.get("/v1/runs/?stop_reason=requires_approval")
        assert [("completed", request["run_id"])] == [(r["status"], r["id"]) for r in found]


async def test_approved_it_is_run_once(tmp_path: Path) -> None:
    """The answer makes a run of its own, whose first event is the return; a repeated answer is the same run."""
    gateway = ScriptedGateway([calls(SEARCH), says("Found it.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await pending(w, agent)

        answer = await w.client.post(f"/v1/agents/{agent}/messages", json=approve("call-1", True))
        again = await w.client.post(f"/v1/agents/{agent}/messages", json=approve("call-1", True))
        other = await w.client.post(f"/v1/agents/{agent}/messages", json=approve("call-1", False))

        assert ["tool_return_message", "assistant_message"] == [
            m["message_type"] for m in answer.json()["messages"]
        ]
        assert answer.json() == again.json()
        assert 409 == other.status_code
        assert 2 == len(gateway.requests)


async def test_a_step_says_when_each_of_its_calls_ran(tmp_path: Path) -> None:
    """Calls one after the other: each begins when the one before is over, and all are in the step's time."""
    gateway = ScriptedGateway([calls(SEARCH, ("no_such_tool", "{}")), says("Found it.")])
    async with world(tmp_path, gateway) as w:
        told = await w.stream(await w.agent(), "look it up")
        run_id = next(frame.data["run_id"] for frame in told if frame.data)

        first, last = await w.get(f"/v1/runs/{run_id}/steps?order=asc")

        assert [("conversation_search", "success"), ("no_such_tool", "error")] == [
            (each["name"], each["status"]) for each in first["tool_times"]
        ]
        one, two = first["tool_times"]
        assert 0 <= one["after_ns"] < one["after_ns"] + one["took_ns"] <= two["after_ns"]
        assert two["after_ns"] + two["took_ns"] <= first["tools_ns"]
        assert ([], 0) == (last["tool_times"], last["retries"])


async def test_the_retries_of_a_model_are_told(tmp_path: Path) -> None:
    """Those before an answer and those before a failure."""
    asked_again = [TextDelta("At last."), Finish("stop", retries=2)]
    given_up = ModelError(ModelErrorKind.OVERLOADED, "too many questions")
    given_up.retries = 3
    async with world(tmp_path, ScriptedGateway([asked_again, [given_up]])) as w:
        agent = await w.agent()
        for _ in range(2):
            await w.stream(agent, "hello")
        found = await w.get("/v1/steps/?order=asc")
        assert [2, 3] == [step["retries"] for step in found]


@pytest.mark.parametrize("kind", ["letta_v1_agent", "memgpt_agent", "memgpt_v2_agent", "react_agent"])
@pytest.mark.parametrize("older", [True, False])
async def test_denied_the_model_learns_why(tmp_path: Path, older: bool, kind: str) -> None:
    """Both forms deny, on every kind of agent; the run goes on with the denial as the call's return."""
    gateway = ScriptedGateway([calls(SEARCH), says("Then not.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(tool_rules=ASK_FIRST, agent_type=kind)
        _, request = await pending(w, agent)
        body = approve("call-1", False, "not now")
        if older:
            answer = {"approve": False, "approval_request_id": request["id"], "reason": "not now"}
            body = {"messages": [{"type": "approval", **answer}]}

        said = (await w.client.post(f"/v1/agents/{agent}/messages", json=body)).json()["messages"]

        assert ["tool_return_message", "assistant_message"] == [m["message_type"] for m in said]
        assert "error" == said[0]["status"]
        assert "Error: request to call tool denied. User reason: not now" == said[0]["tool_return"]
        assert said[0]["step_id"] == request["step_id"]
        history = gateway.requests[-1].messages
        assert ["user", "assistant", "tool"] == [m.role.value for m in history]


async def test_a_message_to_a_waiting_agent_is_refused(tmp_path: Path) -> None:
    """409 names the pending request; nothing is changed."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        _, request = await pending(w, agent)

        answer = await w.say(agent, "hello?")

        assert 409 == answer.status_code
        detail = answer.json()["detail"]
        assert ("PENDING_APPROVAL", request["id"]) == (detail["code"], detail["pending_request_id"])
        assert 1 == len(await w.get("/v1/runs/"))


async def test_an_answer_must_fit_what_is_pending(tmp_path: Path) -> None:
    """Unknown ids, or nothing to answer: 400, with what was expected."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        path = f"/v1/agents/{agent}/messages"
        nothing = await w.client.post(path, json=approve("call-1", True))
        await pending(w, agent)
        wrong = await w.client.post(path, json=approve("call-9", True))

        assert [400, 400] == [nothing.status_code, wrong.status_code]
        assert "call-1" in wrong.json()["detail"]
        assert "No tool call is currently awaiting approval" in nothing.json()["detail"]


async def test_calls_beside_a_waiting_one_wait_with_it(tmp_path: Path) -> None:
    """Partly approved: each call has one return, and none is run before the answer."""
    insert = ("memory_insert", '{"label": "human", "new_str": "Likes tea."}')
    gateway = ScriptedGateway([calls(SEARCH, insert), says("Done.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await pending(w, agent)
        block = f"/v1/agents/{agent}/core-memory/blocks/human"
        assert "Likes tea." not in (await w.get(block))["value"]

        answer = await w.client.post(f"/v1/agents/{agent}/messages", json=approve("call-1", True))

        returned = [m for m in answer.json()["messages"] if "tool_return" in m]
        assert {"call-1", "call-2"} == {m["tool_call_id"] for m in returned}
        assert "Likes tea." in (await w.get(block))["value"]


async def test_the_client_runs_its_own_tools(tmp_path: Path) -> None:
    """The run stops at the call; the client's return lets it go on, in either spelling."""
    tool = {"name": "read_file", "parameters": {"type": "object", "properties": {}}}
    gateway = ScriptedGateway([calls(("read_file", "{}")), says("It says hi.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        _, request = await pending(w, agent, client_tools=[tool])
        returned = {"tool_call_id": "call-1", "tool_return": "hi", "status": "success"}
        body = {"messages": [{"type": "tool_return", "tool_returns": [{"type": "tool", **returned}]}]}

        answer = await w.client.post(f"/v1/agents/{agent}/messages", json=body)

        assert "read_file" == request["tool_call"]["name"]
        assert ["hi", "It says hi."] == [
            m.get("tool_return") or m["content"] for m in answer.json()["messages"]
        ]
        assert ["read_file"] == [t.name for t in gateway.requests[0].tools if t.client]


async def test_an_older_agent_speaks_through_a_tool(tmp_path: Path) -> None:
    """What it sends is shown as the assistant's text, piece by piece, and ends the run; its return is hidden."""
    pieces = ['{"mess', 'age": "Hel', "lo ", "there", '"}']
    turn = [
        CallDelta(0, "c1", "send_message"),
        *(CallDelta(0, arguments=piece) for piece in pieces),
        Finish("tool_calls"),
    ]
    async with world(tmp_path, ScriptedGateway([turn, turn])) as w:
        agent = await w.agent(agent_type="memgpt_v2_agent")

        told = await w.stream(agent, "hi")
        whole = (await w.say(agent, "hi")).json()["messages"]

        spoken = [f.data["content"] for f in told if f.kind == "assistant_message" and f.data]
        assert ("Hello there", 3) == ("".join(spoken), len(spoken))
        assert ["assistant_message"] == [message["message_type"] for message in whole]
        assert "end_turn" == (told[-3].data or {})["stop_reason"]


async def test_shown_as_a_call_where_the_client_asks_for_it(tmp_path: Path) -> None:
    """`use_assistant_message` false: the call and its return are shown as they are."""
    turn = calls(("send_message", '{"message": "Hello"}'))
    async with world(tmp_path, ScriptedGateway([turn])) as w:
        agent = await w.agent(agent_type="memgpt_v2_agent")

        answer = (await w.say(agent, "hi", use_assistant_message=False)).json()["messages"]

        assert ["tool_call_message", "tool_return_message"] == [m["message_type"] for m in answer]


async def test_what_is_cancelled_before_its_calls_leaves_a_whole_transcript(tmp_path: Path) -> None:
    """A cancel in the middle of an answer: the next question has no call without a return."""
    never = asyncio.Event()
    gateway = ScriptedGateway([[CallDelta(0, "c1", "memory_insert"), never], says("Hi again.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        run_id = await w.begin(agent, "remember")
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")

        answer = await w.client.post(f"/v1/agents/{agent}/messages/cancel")

        assert {run_id: "cancelled"} == answer.json()
        run = await w.run(run_id)
        assert (RunStatus.CANCELLED, StopReason.CANCELLED) == (run.status, run.stop_reason)
        await w.say(agent, "hello")
        assert ["user", "user"] == [m.role.value for m in gateway.requests[-1].messages]
        assert 1 == gateway.hung_up
