"""Questions that are taken away: by a cancel, a deletion or a new message. The agent is free in the same commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.runs.asked import ASK_FIRST, INSERT, SEARCH, answer, asking, returned, verdict, waiting
from tests.world import World, world

from runstead.clock import ManualClock
from runstead.domain.run import RunStatus
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.settings import Settings
from runstead.store import runs

DENIED = "Error: request to call tool denied. User reason: "
CANCELLED = DENIED + "The user cancelled the request, so the tool call was denied."
BY_HAND = Settings(drain_s=0.0, reconcile_s=1000.0)


async def free(w: World, agent: str) -> None:
    """Nothing waits, and a message is answered."""
    assert [] == await waiting(w)
    said = await w.say(agent, "hello?")
    assert 200 == said.status_code, said.text
    assert "Hello." == said.json()["messages"][-1]["content"]


@pytest.mark.parametrize("how", ["run", "agent"])
async def test_a_cancel_denies_what_is_asked(tmp_path: Path, how: str) -> None:
    """By the run's id or the agent's; calls beside the one that waits are not run. The run stays as it ended."""
    gateway = ScriptedGateway([calls(SEARCH, INSERT), says("Hello.")])
    async with world(tmp_path, gateway) as w:
        agent, run = await asking(w)
        body = {"run_ids": [run["id"]]} if how == "run" else None

        told = await w.client.post(f"/v1/agents/{agent}/messages/cancel", json=body)
        again = await w.client.post(f"/v1/agents/{agent}/messages/cancel", json=body)

        assert {run["id"]: "cancelled"} == told.json()
        assert again.json() == {run["id"]: "failed"} if how == "run" else again.status_code == 409
        assert [("error", CANCELLED)] * 2 == await returned(w, agent)
        assert (RunStatus.COMPLETED, None) == ((after := await w.run(run["id"])).status, after.asks)
        explained = (await w.get(f"/v1/runs/{run['id']}/messages"))[-3]
        assert "approval_response_message" == explained["message_type"]
        block = await w.get(f"/v1/agents/{agent}/core-memory/blocks/human")
        assert "Nothing yet." == block["value"]
        assert 409 == (await answer(w, agent, verdict(True))).status_code
        await free(w, agent)


async def test_deleting_the_run_denies_what_it_asks(tmp_path: Path) -> None:
    """Its messages stay, so the history says what became of the call."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH), says("Hello.")])) as w:
        agent, run = await asking(w)

        assert 200 == (await w.client.delete(f"/v1/runs/{run['id']}")).status_code

        ((_, text),) = await returned(w, agent)
        assert "was deleted" in text
        assert 409 == (await answer(w, agent, verdict(True))).status_code
        await free(w, agent)


async def test_deleting_the_agent_leaves_nothing_in_the_inbox(tmp_path: Path) -> None:
    """Its runs stay and ask nobody; the timer finds nothing."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)]), settings=BY_HAND, clock=clock) as w:
        agent, run = await asking(w)

        assert 200 == (await w.client.delete(f"/v1/agents/{agent}")).status_code

        assert [] == await waiting(w)
        clock.advance(1e7)
        assert [] == await w.server.expiry.expire()
        assert "requires_approval" == (await w.get(f"/v1/runs/{run['id']}"))["stop_reason"]


async def test_deleting_the_conversation_denies_what_is_asked_in_it(tmp_path: Path) -> None:
    """And the agent's own history is not touched."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH), says("Hello.")])) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        made = await w.client.post(f"/v1/conversations/?agent_id={agent}", json={})
        place = f"/v1/conversations/{made.json()['id']}"
        body = {"messages": [{"role": "user", "content": "look"}], "streaming": False}
        await w.client.post(f"{place}/messages", json=body)
        (run_id,) = await waiting(w)

        assert 200 == (await w.client.delete(place)).status_code

        said = await w.get(f"/v1/runs/{run_id}/messages")
        assert "The conversation was deleted" in said[-1]["tool_return"]
        await free(w, agent)


async def test_an_empty_history_asks_nothing(tmp_path: Path) -> None:
    """`reset-messages`, and a context without the question."""
    script = [calls(SEARCH), calls(SEARCH), says("Hello.")]
    async with world(tmp_path, ScriptedGateway(script)) as w:
        agent, _ = await asking(w)
        assert 200 == (await w.client.patch(f"/v1/agents/{agent}/reset-messages", json={})).status_code
        assert [] == await waiting(w)
        await w.ended(await w.begin(agent, "once more"))
        assert 1 == len(await waiting(w))
        kept = (await w.get(f"/v1/agents/{agent}"))["message_ids"][:-1]

        left = await w.client.patch(f"/v1/agents/{agent}", json={"message_ids": kept})

        assert 200 == left.status_code
        await free(w, agent)


async def test_a_question_is_not_opened_again(tmp_path: Path) -> None:
    """A context that keeps a call and leaves its return out would wait for nobody: it is refused."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)])) as w:
        agent, run = await asking(w)
        await w.client.post(f"/v1/agents/{agent}/messages/cancel", json={"run_ids": [run["id"]]})
        kept = (await w.get(f"/v1/agents/{agent}"))["message_ids"][:-2]

        left = await w.client.patch(f"/v1/agents/{agent}", json={"message_ids": kept})

        assert 400 == left.status_code
        assert "leave both out" in left.json()["detail"]


async def test_a_message_may_interrupt(tmp_path: Path) -> None:
    """With `busy_policy=interrupt` the message itself denies the call, in the commit that admits it."""
    gateway = ScriptedGateway([calls(SEARCH), says("Hello.")])
    async with world(tmp_path, gateway) as w:
        agent, run = await asking(w)

        said = await w.say(agent, "never mind", busy_policy="interrupt")

        assert "Hello." == said.json()["messages"][-1]["content"]
        assert [("error", DENIED + "a new message was sent instead of an answer")] == await returned(w, agent)
        roles = [m.role.value for m in gateway.requests[-1].messages]
        assert ["user", "assistant", "tool", "user"] == roles
        assert (await w.run(run["id"])).asks is None


@pytest.mark.slow
@pytest.mark.parametrize("approve", [True, False])
async def test_a_cancelled_answer_leaves_no_question(tmp_path: Path, approve: bool) -> None:
    """The run that brings the answer is cancelled before it begins: the calls are closed by its end."""
    gateway = ScriptedGateway([calls(SEARCH), says("Hello.")])
    settings = replace(BY_HAND, runs_max=0)
    async with world(tmp_path, gateway, settings=BY_HAND) as w:
        agent, _ = await asking(w)
    async with world(tmp_path, gateway, settings=settings) as w:
        # Nobody has a place for it.
        body = verdict(approve, reason="not now")
        made = await w.client.post(f"/v1/agents/{agent}/messages/async", json=body)
        run_id = made.json()["id"]
        user = (await w.run(run_id)).user_id
        assert [] == await waiting(w)
        await w.server.services.db.write(runs.request_cancel, user, run_id, w.server.services.clock.now())
    async with world(tmp_path, gateway) as w:
        await w.ended(run_id)
        ((_, text),) = await returned(w, agent)
        wanted = "The run was cancelled before this call came to an end." if approve else DENIED + "not now"
        assert wanted == text
        await free(w, agent)


async def test_a_fork_waits_for_nobody(tmp_path: Path) -> None:
    """The question stays where it was asked; in the fork its call is closed."""
    async with world(tmp_path, ScriptedGateway([calls(SEARCH), says("Hello.")])) as w:
        agent, run = await asking(w)

        made = await w.client.post(f"/v1/conversations/default/fork?agent_id={agent}")

        assert 200 == made.status_code, made.text
        assert [run["id"]] == await waiting(w)
        body = {"messages": [{"role": "user", "content": "hello?"}], "streaming": False}
        said = await w.client.post(f"/v1/conversations/{made.json()['id']}/messages", json=body)
        assert "Hello." == said.json()["messages"][-1]["content"]
