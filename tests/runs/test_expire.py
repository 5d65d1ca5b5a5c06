"""Questions that nobody answers: at their time the server answers, once, and the agent goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.runs.asked import ASK_FIRST, INSERT, SEARCH, answer, asking, returned, verdict, waiting
from tests.world import World, wait_for, world

from runstead.clock import ManualClock
from runstead.domain.approval import ApprovalTerms
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.settings import Settings

HOUR_S = 3600.0
SETTINGS = Settings(drain_s=0.0, reconcile_s=0.02, approval_expires_s=HOUR_S)
BY_HAND = replace(SETTINGS, reconcile_s=1000.0)
DENIED = "Error: request to call tool denied. User reason: expired after 1 hour without an answer"


async def gone_on(w: World, before: int = 1) -> str:
    """The run that an expiry made, once it is over."""

    async def made() -> bool:
        return len(await w.get("/v1/runs/")) > before

    await wait_for(made, "a run that the expiry makes")
    (newest, *_) = await w.get("/v1/runs/")
    await w.ended(newest["id"])
    return newest["id"]


async def test_what_nobody_answers_is_denied(tmp_path: Path) -> None:
    """Not before its time; then as a person's denial would be: a run of its own, and words in the transcript."""
    clock = ManualClock()
    gateway = ScriptedGateway([calls(SEARCH), says("Then not.")])
    async with world(tmp_path, gateway, settings=SETTINGS, clock=clock) as w:
        agent, run = await asking(w)
        until = clock.now() + timedelta(seconds=HOUR_S)
        assert until.isoformat().startswith(run["asks"]["expires_at"][:19])
        clock.advance(HOUR_S - 1)
        assert [] == await w.server.expiry.expire()
        assert [run["id"]] == await waiting(w)

        clock.advance(1)
        made = await gone_on(w)

        said = await w.get(f"/v1/runs/{made}/messages")
        assert ["approval_response_message", "tool_return_message", "assistant_message"] == [
            m["message_type"] for m in said
        ]
        assert "expired after 1 hour without an answer" == said[0]["approvals"][0]["reason"]
        assert [("error", DENIED)] == await returned(w, agent)
        assert [] == await waiting(w)
        assert (await w.get(f"/v1/runs/{run['id']}"))["asks"] is None
        assert [] == await w.server.expiry.expire()
        assert 200 == (await w.say(agent, "well?")).status_code


async def test_the_default_may_be_yes(tmp_path: Path) -> None:
    """`RUNSTEAD_APPROVAL_DEFAULT=approve` runs the call, once."""
    clock, settings = ManualClock(), replace(SETTINGS, approval_default="approve")
    gateway = ScriptedGateway([calls(SEARCH), says("Found it.")])
    async with world(tmp_path, gateway, settings=settings, clock=clock) as w:
        agent, _ = await asking(w)

        clock.advance(HOUR_S)
        await gone_on(w)

        ((status, text),) = await returned(w, agent)
        assert "success" == status and "denied" not in text


async def test_what_the_client_runs_is_never_approved(tmp_path: Path) -> None:
    """The call of a client's own tool gets an error; the model still knows the client's tools."""
    clock, settings = ManualClock(), replace(SETTINGS, approval_default="approve")
    own = {"name": "read_file", "parameters": {"type": "object", "properties": {}}}
    gateway = ScriptedGateway([calls(("read_file", "{}")), says("Then not.")])
    async with world(tmp_path, gateway, settings=settings, clock=clock) as w:
        agent = await w.agent(include_base_tools=False)
        await w.ended(await w.begin(agent, "read it", client_tools=[own]))

        clock.advance(HOUR_S)
        await gone_on(w)

        assert [("error", DENIED)] == await returned(w, agent)
        assert ["read_file"] == [tool.name for tool in gateway.requests[-1].tools]


async def test_a_rule_has_terms_of_its_own(tmp_path: Path) -> None:
    """`expires_s` and `default` of the rule go before the server's; the first call to expire speaks for all."""
    clock = ManualClock()
    rules = [
        {"type": "requires_approval", "tool_name": SEARCH[0], "expires_s": 60, "default": "approve"},
        {"type": "requires_approval", "tool_name": INSERT[0], "expires_s": 0},
    ]
    gateway = ScriptedGateway([calls(SEARCH, INSERT), says("Done.")])
    async with world(tmp_path, gateway, settings=SETTINGS, clock=clock) as w:
        agent, _ = await asking(w, tool_rules=rules)

        clock.advance(60)
        await gone_on(w)

        # What is denied has its return at once; then the other one is run.
        assert ["error", "success"] == [status for status, _ in await returned(w, agent)]


@pytest.mark.parametrize(("given", "kept"), [(0, None), (True, 3600.0), ("soon", 3600.0), (1e300, 3.1536e8)])
async def test_a_time_that_is_none_is_the_servers(given: object, kept: float | None, tmp_path: Path) -> None:
    """0 is for ever; what is no number is ignored; what is beyond all calendars is cut."""
    clock = ManualClock()
    rules = [{**ASK_FIRST[0], "expires_s": given}]
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)]), settings=SETTINGS, clock=clock) as w:
        _, run = await asking(w, tool_rules=rules)

        until = (await w.run(run["id"])).asks_until

        assert kept == (None if until is None else (until - clock.now()).total_seconds())


async def test_a_restart_forgets_no_timer(tmp_path: Path) -> None:
    """The time goes on while the server is down; also what was asked in a conversation is found."""
    clock, gateway = ManualClock(), ScriptedGateway([calls(SEARCH), says("Then not.")])
    async with world(tmp_path, gateway, settings=BY_HAND, clock=clock) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        made = await w.client.post(f"/v1/conversations/?agent_id={agent}", json={})
        place = f"/v1/conversations/{made.json()['id']}"
        body = {"messages": [{"role": "user", "content": "look"}], "streaming": False}
        assert 200 == (await w.client.post(f"{place}/messages", json=body)).status_code
        assert 1 == len(await waiting(w))
    clock.advance(HOUR_S + 1)
    async with world(tmp_path, gateway, settings=SETTINGS, clock=clock) as w:
        await gone_on(w)

        said = await w.get(f"{place}/messages?order=asc")
        assert DENIED in [m.get("tool_return") for m in said]
        assert "Then not." == said[-1]["content"]


@pytest.mark.parametrize("late", [True, False])
async def test_an_answer_that_comes_late_is_told_so(tmp_path: Path, late: bool) -> None:
    """The same answer is the run that the expiry made; the other one is 409 and says why."""
    clock, gateway = ManualClock(), ScriptedGateway([calls(SEARCH), says("Then not.")])
    async with world(tmp_path, gateway, settings=BY_HAND, clock=clock) as w:
        agent, run = await asking(w)
        asked = await w.run(run["id"])
        clock.advance(HOUR_S)
        (made,) = await w.server.expiry.expire()
        if late:
            await w.ended(made.id)

        yes = await answer(w, agent, verdict(True))
        no = await answer(w, agent, verdict(False, reason="no"))

        assert 409 == yes.status_code
        assert "expired after 1 hour" in yes.json()["detail"]
        assert ["tool_return_message", "assistant_message"] == [
            m["message_type"] for m in no.json()["messages"]
        ]
        assert 2 == len(await w.get("/v1/runs/"))
        # A timer that read the question before it was answered, in another process, comes too late.
        assert await w.server.services.admission.expire(asked, ApprovalTerms(HOUR_S)) is None


async def test_an_answer_in_time_stops_the_timer(tmp_path: Path) -> None:
    """Also before it was acted on."""
    clock, gateway = ManualClock(), ScriptedGateway([calls(SEARCH), says("Found it.")])
    async with world(tmp_path, gateway, settings=BY_HAND, clock=clock) as w:
        agent, run = await asking(w)
        asked = await w.run(run["id"])

        assert 200 == (await answer(w, agent, verdict(True))).status_code

        clock.advance(2 * HOUR_S)
        assert [] == await w.server.expiry.expire()
        assert await w.server.services.admission.expire(asked, ApprovalTerms(HOUR_S)) is None
        assert ["success"] == [status for status, _ in await returned(w, agent)]


async def test_for_ever_is_a_choice(tmp_path: Path) -> None:
    """`RUNSTEAD_APPROVAL_EXPIRES_S=0`: nothing expires, and the inbox says so."""
    clock, settings = ManualClock(), replace(BY_HAND, approval_expires_s=0)
    async with world(tmp_path, ScriptedGateway([calls(SEARCH)]), settings=settings, clock=clock) as w:
        _, run = await asking(w)

        clock.advance(1e8)

        assert [] == await w.server.expiry.expire()
        assert run["asks"]["expires_at"] is None
        assert [run["id"]] == await waiting(w)
