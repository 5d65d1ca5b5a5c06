"""A run's whole way under disturbance: handing over, being taken over, an agent that vanishes, a broken part."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.world import WAIT_S, frames, wait_until, world

from runstead.domain.message import TextPart
from runstead.domain.run import RunStatus
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.llm.types import Finish, TextDelta


async def test_a_stopping_process_hands_over_and_the_next_finishes(tmp_path: Path) -> None:
    """What the first said is marked as given up; the second says it anew, under new ids; the transcript has it once."""
    never = asyncio.Event()
    first = ScriptedGateway([[TextDelta("Half an ans"), never]])
    async with world(tmp_path, first) as w:
        agent = await w.agent()
        body = {"messages": [{"role": "user", "content": "go"}], "stream_tokens": True, "background": True}
        path = f"/v1/agents/{agent}/messages/stream"
        leaving = asyncio.create_task(w.client.post(path, json=body))
        await wait_until(lambda: len(first.requests) == 1, "the model being asked")
        run_id = (await w.get("/v1/runs/active"))[0]["id"]
        reader = await w.server.services.log.reader(run_id, 1)
        await reader.next(timeout_s=WAIT_S)
        drained = asyncio.create_task(_drain(w.server))
        told = frames((await leaving).text)
        await drained
    async with world(tmp_path, ScriptedGateway([says("A whole answer.")])) as w:
        run = await w.ended(run_id)
        replay = await w.resume(run_id)
        transcript = await w.get(f"/v1/runs/{run_id}/messages")
        steps = await w.get(f"/v1/runs/{run_id}/steps?order=asc")

    assert "[DONE]" not in [frame.kind for frame in told]
    assert told == replay[: len(told)]
    assert RunStatus.COMPLETED is run.status
    given_up = next(f.data for f in replay if f.data and "superseded_message_ids" in f.data)
    fresh = {f.data["id"] for f in replay if f.data and f.data.get("content") == "A "}
    assert 1 == len(given_up["superseded_message_ids"])
    assert not fresh & set(given_up["superseded_message_ids"])
    said = {m["id"]: m["content"] for m in transcript if m["message_type"] == "assistant_message"}
    assert {"Half an ans", "A whole answer."} == set(said.values())
    assert ["abandoned", None] == [step["error_type"] for step in steps]
    assert list(range(1, len(replay))) == [f.id for f in replay[:-1]]


async def _drain(server: object) -> None:
    from runstead.app import Server, drain  # noqa: PLC0415 - the test's own name stays free

    assert isinstance(server, Server)
    await drain(server)


async def test_the_next_question_does_not_see_what_was_given_up(tmp_path: Path) -> None:
    """An abandoned attempt is in the transcript, not in the model's context."""
    never = asyncio.Event()
    first = ScriptedGateway([[TextDelta("Half"), never]])
    async with world(tmp_path, first) as w:
        agent = await w.agent()
        run_id = await w.begin(agent, "go")
        await wait_until(lambda: len(first.requests) == 1, "the model being asked")
    second = ScriptedGateway(lambda _: says("Whole."))
    async with world(tmp_path, second) as w:
        await w.ended(run_id)
        await w.say(agent, "and now?")

    assert ["go", "Whole.", "and now?"] == [m.text for m in second.requests[-1].messages]


async def test_an_agent_that_is_deleted_takes_its_runs_to_their_end(tmp_path: Path) -> None:
    """Deleting an agent in the middle of a run cancels it; nobody waits for ever."""
    never = asyncio.Event()
    gateway = ScriptedGateway([[TextDelta("Half"), never]])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        run_id = await w.begin(agent, "go")
        await wait_until(lambda: len(gateway.requests) == 1, "the model being asked")

        answer = await w.client.delete(f"/v1/agents/{agent}")

        assert 200 == answer.status_code
        assert RunStatus.CANCELLED is (await w.ended(run_id)).status


async def test_a_part_that_breaks_ends_the_run_and_tells_no_secrets(tmp_path: Path) -> None:
    """An unforeseen error: the run fails at once, its readers are told, the agent goes on."""
    gateway = ScriptedGateway([[ValueError("sk-secret")], says("Fine now.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()

        told = await w.stream(agent, "go", background=True)

        assert ["error_message", "stop_reason", "usage_statistics", "[DONE]"] == [
            frame.kind for frame in told[1:]
        ]
        assert "sk-secret" not in str(told)
        run = await w.get(f"/v1/runs/{told[0].data and told[0].data['run_id']}")
        assert ("failed", "error") == (run["status"], run["stop_reason"])
        assert 200 == (await w.say(agent, "again")).status_code


async def test_an_answer_cut_off_by_the_models_limit_says_so(tmp_path: Path) -> None:
    """`length` is a failure with a reason of its own; the text is kept."""
    gateway = ScriptedGateway([[TextDelta("A very lo"), Finish("length")]])
    async with world(tmp_path, gateway) as w:
        told = await w.stream(await w.agent(), "go")

        reasons = [f.data["stop_reason"] for f in told if f.kind == "stop_reason" and f.data]
        assert ["max_tokens_exceeded"] == reasons
        assert "error_message" in [frame.kind for frame in told]


async def test_a_history_that_began_anew_is_what_the_model_sees(tmp_path: Path) -> None:
    """As many messages as before, where SQLite gives the places of deleted rows away again: nothing of them comes back."""
    model = ScriptedGateway([says("Hello."), says("Once more.")])
    async with world(tmp_path, model) as w:
        agent = await w.agent()
        await w.say(agent, "the old question")
        assert 200 == (await w.client.patch(f"/v1/agents/{agent}/reset-messages", json={})).status_code
        await w.say(agent, "the new question")

    asked = [[m.parts for m in request.messages] for request in model.requests]
    assert [[(TextPart("the old question"),)], [(TextPart("the new question"),)]] == asked


async def test_a_history_begins_anew_without_what_was_being_said(tmp_path: Path) -> None:
    """What runs, and what waits behind it, is cancelled first: no answer stands where its question was deleted."""
    never = asyncio.Event()
    model = ScriptedGateway([[TextDelta("Half"), never], says("Fresh.")])
    async with world(tmp_path, model) as w:
        agent = await w.agent()
        running = await w.begin(agent, "the old question")
        await wait_until(lambda: len(model.requests) == 1, "the model being asked")
        waiting = await w.begin(agent, "the one behind it")

        assert 200 == (await w.client.patch(f"/v1/agents/{agent}/reset-messages", json={})).status_code

        assert {RunStatus.CANCELLED} == {(await w.run(each)).status for each in (running, waiting)}
        kinds = [m["message_type"] for m in await w.get(f"/v1/agents/{agent}/messages")]
        assert ["system_message"] == kinds
        assert 200 == (await w.say(agent, "the new question")).status_code
    assert [[(TextPart("the new question"),)]] == [[m.parts for m in r.messages] for r in model.requests[1:]]


async def test_an_agent_that_forgets_sees_its_own_turn_only(tmp_path: Path) -> None:
    """With `message_buffer_autoclear`: earlier turns stay in the transcript; what an approval goes on with is this turn."""
    search = ("conversation_search", '{"query": "tea"}')
    rules = [{"type": "requires_approval", "tool_name": "conversation_search"}]
    model = ScriptedGateway([says("One."), calls(search), says("Two."), says("Three.")])
    async with world(tmp_path, model) as w:
        agent = await w.agent(message_buffer_autoclear=True, tool_rules=rules)
        await w.say(agent, "first")
        await w.say(agent, "second")
        answer = {"type": "approval", "approvals": [{"tool_call_id": "call-1", "approve": True}]}
        path = f"/v1/agents/{agent}/messages"
        assert 200 == (await w.client.post(path, json={"messages": [answer]})).status_code
        await w.say(agent, "third")
        told = [m.get("content") for m in await w.get(path)]

    asked = [[m.role.value for m in request.messages] for request in model.requests]
    assert [["user"], ["user"], ["user", "assistant", "tool"], ["user"]] == asked
    assert {"first", "One.", "second", "Two.", "third", "Three."} <= set(told)


async def test_what_a_client_says_as_the_system_is_heard(tmp_path: Path) -> None:
    """Beside a message, and alone; the prompt stays the agent's own."""
    model = ScriptedGateway([says("One."), says("Two.")])
    async with world(tmp_path, model) as w:
        agent = await w.agent(system="Be kind.")
        path = f"/v1/agents/{agent}/messages"
        note = {"role": "system", "content": "The user logged in."}
        both = [note, {"role": "user", "content": "Hello."}]
        assert 200 == (await w.client.post(path, json={"messages": both})).status_code
        assert 200 == (await w.client.post(path, json={"messages": [note]})).status_code

    asked = [[(m.role.value, m.text) for m in request.messages] for request in model.requests]
    first = [("system", "The user logged in."), ("user", "Hello.")]
    assert [first, [*first, ("assistant", "One."), ("system", "The user logged in.")]] == asked
    assert {True} == {request.system.startswith("Be kind.") for request in model.requests}


async def test_what_a_model_refuses_is_not_asked_again(tmp_path: Path) -> None:
    """A message that makes a bad request stays in the transcript only; one that came at a bad time is seen the next time."""
    bad = ModelError(ModelErrorKind.BAD_REQUEST, "no such image")
    late = ModelError(ModelErrorKind.RATE_LIMIT, "too fast")
    model = ScriptedGateway([says("Hi."), [bad], [late], says("Yes.")])
    async with world(tmp_path, model) as w:
        agent = await w.agent()
        statuses = [(await w.say(agent, text)).status_code for text in ("one", "two", "three", "four")]
        told = [m.get("content") for m in await w.get(f"/v1/agents/{agent}/messages")]

    assert [200, 400, 429, 200] == statuses
    assert ["one", "Hi.", "three", "four"] == [m.text for m in model.requests[-1].messages]
    assert "two" in told
