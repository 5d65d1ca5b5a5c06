"""Admission to a lane that is taken: wait, refuse, interrupt; by the server's setting or the request's own word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.runs.line import Held, held, saying, sent
from tests.world import frames, wait_for, world

from runstead.domain.run import BusyPolicy, RunStatus, StopReason
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.settings import Settings

MODES = ("", "/stream", "/async")
REFUSING = Settings(drain_s=0.0, reconcile_s=0.05, busy_policy="refuse")
SEARCH = ("conversation_search", '{"query": "tea"}')
ASK_FIRST = [{"type": "requires_approval", "tool_name": "conversation_search"}]


def decided(verdict: bool, **more: object) -> dict[str, Any]:
    """An answer to the call that `SEARCH` makes."""
    item = {"type": "approval", "tool_call_id": "call-1", "approve": verdict}
    return {"messages": [{"type": "approval", "approvals": [item]}], **more}


@pytest.mark.parametrize("mode", MODES)
async def test_refused_names_the_holder_and_stores_nothing(tmp_path: Path, mode: str) -> None:
    """409 in every form of sending, in the API's words, with the holder's id beside them."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)

        answer = await sent(w, agent, saying("me too", busy_policy="refuse"), mode)

        assert 409 == answer.status_code
        assert {
            "detail": f"CONFLICT: Cannot send a new message: Another request (run_id={holder}) is currently being"
            " processed for this conversation. Please wait for it to complete.",
            "run_id": holder,
        } == answer.json()
        assert [holder] == [run["id"] for run in await w.get("/v1/runs/")]
        said = await w.get(f"/v1/agents/{agent}/messages?order=asc")
        assert "me too" not in [m.get("content") for m in said]
        model.go.set()
        await w.ended(holder)
        assert 200 == (await sent(w, agent, saying("me too", busy_policy="refuse"), mode)).status_code
        await wait_for(lambda: _none_active(w), "the last run's end")


async def _none_active(w: Any) -> bool:
    return not await w.get("/v1/runs/active")


async def test_the_setting_holds_where_the_request_says_nothing(tmp_path: Path) -> None:
    """`RUNSTEAD_BUSY_POLICY` is the default, and a request's own word goes before it; other lanes are free."""
    model = Held()
    async with world(tmp_path, model.gateway, settings=REFUSING) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)

        assert 409 == (await sent(w, agent, saying("one"), "/async")).status_code
        assert 409 == (await sent(w, agent, saying("one", busy_policy=None), "/async")).status_code
        waiting = await w.begin(agent, "two", busy_policy="wait")
        assert 200 == (await w.say(await w.agent(), "elsewhere")).status_code

        model.go.set()
        assert RunStatus.COMPLETED is (await w.ended(holder)).status
        assert RunStatus.COMPLETED is (await w.ended(waiting)).status


async def test_an_unknown_policy_is_malformed(tmp_path: Path) -> None:
    """422, and no run."""
    async with world(tmp_path, ScriptedGateway()) as w:
        answer = await sent(w, await w.agent(), saying("x", busy_policy="queue"))
        assert 422 == answer.status_code
        assert [] == await w.get("/v1/runs/")


async def test_a_retry_of_the_holder_is_not_refused(tmp_path: Path) -> None:
    """The same key, or the same otids, is the holder itself: its run is given, busy or not."""
    model = Held()
    async with world(tmp_path, model.gateway, settings=REFUSING) as w:
        agent = await w.agent()
        body = saying("hold")
        body["messages"][0]["otid"] = "own-1"
        first = await sent(w, agent, body, "/async", **{"idempotency-key": "k"})

        by_key = await sent(w, agent, body, "/async", **{"idempotency-key": "k"})
        by_otid = await sent(w, agent, body, "/async")

        assert [200] * 3 == [answer.status_code for answer in (first, by_key, by_otid)]
        assert 1 == len({answer.json()["id"] for answer in (first, by_key, by_otid)})
        model.go.set()
        await w.ended(first.json()["id"])


async def test_an_interrupt_ends_the_holder_and_all_who_wait(tmp_path: Path) -> None:
    """The new message is next: what was said before stays in the transcript, what had not begun is never asked."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)
        waiters = [await w.begin(agent, f"later {n}") for n in range(3)]

        answer = await w.say(agent, "now", busy_policy="interrupt")

        assert "You said now." == answer.json()["messages"][-1]["content"]
        for run_id in (holder, *waiters):
            run = await w.run(run_id)
            assert (RunStatus.CANCELLED, StopReason.CANCELLED) == (run.status, run.stop_reason)
            assert run.cancel_requested_at is not None
        assert ["hold", "now"] == model.asked
        history = [m.text for m in model.gateway.requests[-1].messages]
        assert ["hold", "so far ", "now"] == [text for text in history if text]
        told = await w.get(f"/v1/runs/{holder}/messages")
        assert "so far " == told[-1]["content"]
        assert 1 == model.gateway.hung_up


@pytest.mark.parametrize("mode", MODES)
async def test_an_interrupt_in_every_form(tmp_path: Path, mode: str) -> None:
    """Blocking, streaming, async: the holder is cancelled, the new run completes."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)

        answer = await sent(w, agent, saying("now", busy_policy="interrupt"), mode)

        assert 200 == answer.status_code
        assert RunStatus.CANCELLED is (await w.ended(holder)).status
        newest = (await w.get("/v1/runs/?limit=1"))[0]["id"]
        assert RunStatus.COMPLETED is (await w.ended(newest)).status


async def test_an_interrupt_of_an_idle_agent_is_a_message(tmp_path: Path) -> None:
    """Nothing ran, nothing is ended."""
    async with world(tmp_path, ScriptedGateway(lambda r: says(r.messages[-1].text))) as w:
        agent = await w.agent()
        first = await w.say(agent, "one", busy_policy="interrupt")
        second = await w.say(agent, "two", busy_policy="interrupt")
        assert ["one", "two"] == [a.json()["messages"][-1]["content"] for a in (first, second)]
        assert {"completed"} == {run["status"] for run in await w.get("/v1/runs/")}


async def test_an_interrupt_ends_only_its_own_lane(tmp_path: Path) -> None:
    """Another agent's run goes on."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        other = await held(w, model, await w.agent())
        agent = await w.agent()
        mine = await held(w, model, agent, "hold mine")

        await w.say(agent, "now", busy_policy="interrupt")

        assert RunStatus.CANCELLED is (await w.run(mine)).status
        assert RunStatus.RUNNING is (await w.run(other)).status
        model.go.set()
        assert RunStatus.COMPLETED is (await w.ended(other)).status


@pytest.mark.parametrize("policy", [BusyPolicy.WAIT, BusyPolicy.REFUSE])
async def test_a_pending_approval_keeps_its_own_rule(tmp_path: Path, policy: BusyPolicy) -> None:
    """Its run is over and nothing is busy, but a new message is refused with PENDING_APPROVAL, unless it interrupts."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await w.say(agent, "look it up")

        answer = await sent(w, agent, saying("hello?", busy_policy=policy.value))

        assert 409 == answer.status_code
        assert "PENDING_APPROVAL" == answer.json()["detail"]["code"]


@pytest.mark.parametrize("policy", list(BusyPolicy))
@pytest.mark.parametrize("verdict", [True, False])
async def test_an_answer_is_no_new_message(tmp_path: Path, policy: BusyPolicy, verdict: bool) -> None:
    """An answer to an approval is taken under every policy."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH), says("Done.")])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await w.say(agent, "look it up")

        answer = await sent(w, agent, decided(verdict, busy_policy=policy.value))

        assert 200 == answer.status_code
        assert "Done." == answer.json()["messages"][-1]["content"]


async def test_a_stream_begins_with_its_own_run(tmp_path: Path) -> None:
    """Who interrupts and streams is told of the new run only."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        holder = await held(w, model, agent)

        answer = await sent(w, agent, saying("now", busy_policy="interrupt", stream_tokens=True), "/stream")

        told = frames(answer.text)
        assert holder not in answer.text
        assert ["ping", "assistant_message"] == [frame.kind for frame in told[:2]]
        assert "[DONE]" == told[-1].kind
