"""Editing what was said: the model sees the new words from its next question on, and nobody edits under a run."""

from __future__ import annotations

from pathlib import Path

from tests.runs.line import Held, held
from tests.world import World, world

from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest


def speak(request: ModelRequest) -> list[Cue]:
    """Search when asked to; answer everything else."""
    last = request.messages[-1]
    if last.role.value == "user" and "search" in last.text:
        return calls(("conversation_search", '{"query": "x"}'))
    return says("Black tea.", thought="Hm.")


async def types_of(w: World, agent: str) -> dict[str, str]:
    """The ids of an agent's messages, by type; the newest of each."""
    listed = await w.get(f"/v1/agents/{agent}/messages?order=asc")
    return {message["message_type"]: message["id"] for message in listed}


async def test_the_model_sees_the_new_words(tmp_path: Path) -> None:
    """Of the person, of itself and of its thoughts, also where the conversation was in memory; twice in a row, too."""
    model = ScriptedGateway(speak)
    async with world(tmp_path, model) as w:
        agent = await w.agent()
        await w.say(agent, "I like tea")
        ids = await types_of(w, agent)
        path = f"/v1/agents/{agent}/messages"

        user = await w.client.patch(f"{path}/{ids['user_message']}", json={"content": "I like cake"})
        said = await w.client.patch(
            f"{path}/{ids['assistant_message']}",
            json={"message_type": "assistant_message", "content": [{"type": "text", "text": "Apple pie."}]},
        )
        thought = await w.client.patch(f"{path}/{ids['reasoning_message']}", json={"reasoning": "Sweet."})
        await w.say(agent, "and then?")

        assert ("user_message", "I like cake") == (user.json()["message_type"], user.json()["content"])
        assert ("assistant_message", "Apple pie.") == (said.json()["message_type"], said.json()["content"])
        assert ("reasoning_message", "Sweet.") == (
            thought.json()["message_type"],
            thought.json()["reasoning"],
        )
        seen = model.requests[-1].messages
        assert ["I like cake", "Apple pie.", "and then?"] == [message.text for message in seen]
        assert "Sweet." in str(seen[1].parts)
        await w.client.patch(f"{path}/{ids['user_message']}", json={"content": "I like jam"})
        await w.say(agent, "once more")
        assert "I like jam" == model.requests[-1].messages[0].text
        found = (await w.client.post("/v1/messages/search", json={"query": "jam"})).json()
        assert [ids["user_message"]] == [hit["message_id"] for hit in found]


async def test_nobody_edits_under_a_run(tmp_path: Path) -> None:
    """409 while a run is under way, naming it; afterwards it works."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        await w.say(agent, "hello")
        path = f"/v1/agents/{agent}/messages/{(await types_of(w, agent))['user_message']}"
        run_id = await held(w, model, agent)

        refused = await w.client.patch(path, json={"content": "bye"})
        model.go.set()
        await w.ended(run_id)

        assert 409 == refused.status_code
        assert run_id in refused.json()["detail"]
        assert 200 == (await w.client.patch(path, json={"content": "bye"})).status_code


async def test_what_happened_is_not_edited(tmp_path: Path) -> None:
    """Returns of tools, messages of other agents, bodies that say nothing."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent, other = await w.agent(), await w.agent()
        await w.say(agent, "search it")
        ids = await types_of(w, agent)
        path = f"/v1/agents/{agent}/messages"

        for kind, body, status in (
            ("tool_return_message", {"content": "x"}, 400),
            ("user_message", {"content": "x", "message_type": "assistant_message"}, 400),
            ("user_message", {"reasoning": "x"}, 400),
            ("user_message", {}, 422),
            ("user_message", {"message_type": "reasoning_message", "content": "x"}, 422),
        ):
            answer = await w.client.patch(f"{path}/{ids[kind]}", json=body)
            assert status == answer.status_code, (kind, body, answer.text)
        elsewhere = f"/v1/agents/{other}/messages/{ids['user_message']}"
        assert 404 == (await w.client.patch(elsewhere, json={"content": "x"})).status_code
