"""Talking in conversations: histories apart, followed and left, cancelled and made smaller, beside one another."""

from __future__ import annotations

import asyncio
from itertools import islice
from pathlib import Path
from typing import Any

from tests.serving import Client, run_id_in, story, text_in
from tests.story_model import StoryModel
from tests.world import World, wait_for, world

from runstead.ids import DEFAULT_USER
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest
from runstead.store import runs


async def begin(w: World, agent: str, **fields: object) -> str:
    """A new conversation."""
    answer = await w.client.post(f"/v1/conversations/?agent_id={agent}", json=fields)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def say(w: World, conversation: str, text: str, **more: object) -> Any:
    """Send a message and wait for the whole answer."""
    body = {"messages": [{"role": "user", "content": text}], "streaming": False, **more}
    answer = await w.client.post(f"/v1/conversations/{conversation}/messages", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_histories_are_apart(tmp_path: Path) -> None:
    """The model sees what was said in this conversation, and nothing of another one or of the agent's own history."""
    gateway = ScriptedGateway(lambda _: says("Yes."))
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        one, two = await begin(w, agent), await begin(w, agent)
        await say(w, one, "alpha")
        await say(w, two, "beta")
        await w.say(agent, "gamma")
        await say(w, one, "delta")

        seen = [[m.text for m in request.messages] for request in gateway.requests]
        assert seen == [["alpha"], ["beta"], ["gamma"], ["alpha", "Yes.", "delta"]]
        newest = await w.get(f"/v1/conversations/{one}/messages?limit=2")
        assert [m["content"] for m in newest] == ["Yes.", "delta"]
        older = await w.get(f"/v1/conversations/{one}/messages?before={newest[-1]['id']}")
        assert [m.get("content") for m in older][:2] == ["Yes.", "alpha"]
        state = await w.get(f"/v1/conversations/{one}")
        assert len(state["in_context_message_ids"]) == 5
        listed = await w.get(f"/v1/conversations/?agent_id={agent}&order_by=last_message_at")
        assert [c["id"] for c in listed] == [one, two]
        everything = await w.get(f"/v1/agents/{agent}/messages?conversation_id={two}")
        assert [m["message_type"] for m in everything][-2:] == ["user_message", "assistant_message"]


async def test_a_run_knows_its_conversation(tmp_path: Path) -> None:
    """It is found by it, and says which operation made it."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("Yes."))) as w:
        conversation = await begin(w, await w.agent())
        answer = await say(w, conversation, "hello")

        (run,) = await w.get(f"/v1/runs/?conversation_id={conversation}")
        assert [run["id"]] == answer["usage"]["run_ids"]
        assert run["conversation_id"] == conversation
        assert run["status"] == "completed"
        assert run["metadata"]["run_type"] == "send_conversation_message"


def test_a_stream_is_the_default_and_can_be_joined(client: Client, model: StoryModel, mark: str) -> None:
    """By nothing, by the message's otid, by the run's id; while it goes on and after its end."""
    agent = client.agent()
    path = f"/v1/conversations/{client.ask('POST', f'/v1/conversations/?agent_id={agent}')['id']}"
    told_to = story({"text": ["one ", {"gate": mark}, "two"]})
    message = {"role": "user", "content": told_to, "otid": mark}
    body = {"messages": [message], "stream_tokens": True, "background": True}
    with client.stream(f"{path}/messages", body) as frames_of_it:
        first = list(islice(frames_of_it, 2))
        with (
            client.stream(f"{path}/stream", None) as newest,
            client.stream(f"{path}/stream", {"otid": mark}) as by_otid,
        ):
            joined = [newest, by_otid]
            model.open(mark)
            assert [text_in(each) for each in joined] == ["one two", "one two"]
        rest = list(frames_of_it)
    assert first[0].type == "ping"
    assert rest[-1].type == "[DONE]"
    run_id = run_id_in(first)
    with client.stream(f"{path}/stream", {"run_id": run_id, "starting_after": 2}) as late:
        assert next(frame.seq for frame in late if frame.seq) == 3
    with client.stream(f"{path}/stream", {"otid": mark}) as late:
        assert text_in(late) == "one two"
    assert client.refused("POST", f"{path}/stream").status_code == 400


async def running(w: World, lane: str) -> bool:
    """Whether a run of the conversation is being worked on."""
    found = await w.server.services.db.read(runs.active_in_lane, DEFAULT_USER, lane)
    return any(run.owner is not None for run in found)


async def test_conversations_go_on_side_by_side(tmp_path: Path) -> None:
    """One that waits for its model does not hold up another; cancel ends its own runs only."""
    never = asyncio.Event()

    def speak(request: ModelRequest) -> list[Cue]:
        return [never, *says("late")] if "slow" in request.messages[-1].text else says("quick")

    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        slow, quick = await begin(w, agent), await begin(w, agent)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(say(w, slow, "slow"))
            await wait_for(lambda: running(w, slow), "the slow run")
            assert (await say(w, quick, "hello"))["messages"][-1]["content"] == "quick"
            refused = await w.client.post(f"/v1/conversations/{quick}/cancel")
            assert refused.status_code == 409
            assert quick in refused.json()["detail"]
            cancelled = await w.client.post(f"/v1/conversations/{slow}/cancel")

        assert list(cancelled.json().values()) == ["cancelled"]
        assert waiting.result()["stop_reason"]["stop_reason"] == "cancelled"


async def test_memory_of_its_own_is_written_apart(tmp_path: Path) -> None:
    """What the agent learns in a conversation with an isolated block is not known outside of it."""

    def speak(request: ModelRequest) -> list[Cue]:
        if request.messages[-1].role.value == "user" and "learn" in request.messages[-1].text:
            return calls(("memory_insert", '{"label": "human", "new_str": "Ada"}'))
        return says("Yes.")

    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        conversation = await begin(w, agent, isolated_block_labels=["human"])
        await say(w, conversation, "learn")
        await say(w, conversation, "hello")
        here = gateway.requests[-1].system
        await w.say(agent, "hello")
        there = gateway.requests[-1].system

        assert "Nothing yet.\nAda" in here
        assert "Ada" not in there
        own = (await w.get(f"/v1/conversations/{conversation}"))["isolated_block_ids"]
        assert "Ada" in (await w.get(f"/v1/blocks/{own[0]}"))["value"]


async def test_a_model_of_its_own_is_asked(tmp_path: Path) -> None:
    """The conversation's model and settings, in the place of the agent's."""
    gateway = ScriptedGateway(lambda _: says("Yes."))
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        settings = {"provider_type": "openai", "temperature": 0.25}
        conversation = await begin(w, agent, model="scripted/other", model_settings=settings)
        await say(w, conversation, "hello")
        await w.say(agent, "hello")

        assert [r.model for r in gateway.requests] == ["scripted/other", "scripted/model"]
        assert [r.settings.temperature for r in gateway.requests] == [0.25, None]


async def test_a_waiting_conversation_refuses_messages_and_takes_answers(tmp_path: Path) -> None:
    """A client's tool: the run ends, a message is refused with the request's id, the return goes on."""
    tool = {"name": "Bash", "description": "Run", "parameters": {"type": "object", "properties": {}}}

    def speak(request: ModelRequest) -> list[Cue]:
        return calls(("Bash", "{}")) if request.messages[-1].role.value == "user" else says("Done.")

    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        conversation = await begin(w, agent)
        asked = await say(w, conversation, "go", client_tools=[tool])
        assert asked["stop_reason"]["stop_reason"] == "requires_approval"
        body = {"messages": [{"role": "user", "content": "again"}], "streaming": False}
        refused = await w.client.post(f"/v1/conversations/{conversation}/messages", json=body)
        assert refused.status_code == 409
        assert refused.json()["detail"]["code"] == "PENDING_APPROVAL"
        assert (await w.say(agent, "hello")).status_code == 200
        approvals = [{"type": "tool", "tool_call_id": "call-1", "tool_return": "ok", "status": "success"}]
        body = {"messages": [{"type": "approval", "approvals": approvals}], "streaming": False}
        answer = await w.client.post(f"/v1/conversations/{conversation}/messages", json=body)
        assert answer.json()["messages"][-1]["content"] == "Done."


async def test_compaction_on_request(tmp_path: Path) -> None:
    """The oldest turns become a summary, of a conversation as of an agent; one turn alone stays as it is."""

    def speak(request: ModelRequest) -> list[Cue]:
        return says("They counted.") if "condense" in request.system else says("Yes.")

    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        conversation = await begin(w, agent)
        await say(w, conversation, "one")
        nothing = (await w.client.post(f"/v1/conversations/{conversation}/compact")).json()
        assert nothing == {"summary": "", "num_messages_before": 3, "num_messages_after": 3}
        for number in range(5):
            await say(w, conversation, f"number {number}")
            await w.say(agent, f"number {number}")

        for path in (f"conversations/{conversation}/compact", f"agents/{agent}/summarize"):
            answer = await w.client.post(f"/v1/{path}", json={})
            assert answer.status_code == 200, answer.text
            state = answer.json()
            assert state["summary"] == "They counted."
            assert state["num_messages_after"] < state["num_messages_before"]
        await say(w, conversation, "and now?")
        assert gateway.requests[-1].messages[0].text == "They counted."
        (run,) = [
            each
            for each in await w.get(f"/v1/runs/?conversation_id={conversation}")
            if each["metadata"]["run_type"] == "compact_messages"
        ][:1]
        assert run["status"] == "completed"


async def test_a_fork_goes_its_own_way(tmp_path: Path) -> None:
    """It remembers what was said before, and neither sees what the other says from then on."""
    gateway = ScriptedGateway(lambda _: says("Yes."))
    async with world(tmp_path, gateway) as w:
        conversation = await begin(w, await w.agent())
        await say(w, conversation, "alpha")
        fork = (await w.client.post(f"/v1/conversations/{conversation}/fork")).json()["id"]
        await say(w, fork, "beta")
        await say(w, conversation, "gamma")

        seen = [[m.text for m in request.messages] for request in gateway.requests[1:]]
        assert seen == [["alpha", "Yes.", "beta"], ["alpha", "Yes.", "gamma"]]
