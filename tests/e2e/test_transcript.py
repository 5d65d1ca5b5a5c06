"""Looking back: messages of all agents, search, steps and what fills a context, after something was said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.world import World, world

from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest


def speak(request: ModelRequest) -> list[Cue]:
    """Remember what shall be remembered; answer everything else."""
    last = request.messages[-1]
    if last.role.value == "user" and "learn" in last.text:
        return calls(("memory_insert", '{"label": "human", "new_str": "Ada"}'))
    return says("Yes, tea.", thought="Hm.")


async def found(w: World, path: str, **body: object) -> list[dict[str, Any]]:
    """What a search answers."""
    answer = await w.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_messages_of_all_agents(tmp_path: Path) -> None:
    """Listed newest first and in pages, of one conversation where it is named; each can be read."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        one, other = await w.agent(), await w.agent()
        await w.say(one, "alpha")
        await w.say(other, "beta")

        listed = await w.get("/v1/messages/?limit=200")
        said = [m["content"] for m in listed if m["message_type"] == "user_message"]
        assert said == ["beta", "alpha"]
        alpha = next(m for m in listed if m.get("content") == "alpha")
        assert await w.get(f"/v1/messages/{alpha['id']}") == [alpha]
        older = await w.get(f"/v1/messages/?before={alpha['id']}")
        assert {m["message_type"] for m in older} == {"system_message"}
        only = "/v1/messages/?include_return_message_types=reasoning_message"
        assert {m["reasoning"] for m in await w.get(only)} == {"Hm."}
        await w.get("/v1/messages/message-x", 404)


async def test_an_agents_list_begins_with_its_oldest(tmp_path: Path) -> None:
    """`order` says which page of an agent's own list is meant; either page is in the order in which it was said."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        for said in ("alpha", "beta", "gamma"):
            await w.say(agent, said)
        path = f"/v1/agents/{agent}/messages?include_return_message_types=user_message"

        async def texts(more: str) -> list[str]:
            return [message["content"] for message in await w.get(path + more)]

        assert await texts("") == await texts("&order=asc") == ["alpha", "beta", "gamma"]
        newest = await w.get(f"{path}&limit=4")
        assert [message["content"] for message in newest] == ["beta", "gamma"]
        assert await texts(f"&before={newest[0]['id']}") == ["alpha"]
        assert await texts(f"&after={newest[-1]['id']}") == []


async def test_a_walk_behind_what_came_last_gives_everything_once(tmp_path: Path) -> None:
    """As the newer SDK walks: `after` the last of a page, until a page is empty. `before` the last one is the same walk."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("Yes."))) as w:
        agent = await w.agent()
        made = await w.client.post(f"/v1/conversations/?agent_id={agent}")
        place = f"/v1/conversations/{made.json()['id']}/messages"
        for text in "abc":
            body = {"messages": [{"role": "user", "content": text}], "streaming": False}
            assert 200 == (await w.client.post(place, json=body)).status_code
        run = (await w.get("/v1/runs/"))[0]["id"]

        for path in (place, "/v1/messages/", f"/v1/runs/{run}/messages"):
            whole = [m["id"] for m in await w.get(f"{path}?order=desc")]
            # In a conversation's list they mean time, whatever the order: clients that page backwards rely on it.
            for name in ("before",) if path == place else ("after", "before"):
                assert whole == await _walked(w, f"{path}?order=desc&limit=2", name)
            assert whole[::-1] == await _walked(w, f"{path}?order=asc&limit=2", "after")


async def _walked(w: World, path: str, cursor: str) -> list[str]:
    """The ids of a list, page by page; fails where it does not end."""
    found: list[str] = []
    for _ in range(20):
        page = await w.get(f"{path}&{cursor}={found[-1]}" if found else path)
        if not page:
            return found
        found += [m["id"] for m in page]
    raise AssertionError(f"the walk does not end: {found}")


async def test_what_was_said_is_found(tmp_path: Path) -> None:
    """By every word, letter case aside; of one agent or conversation; in time; both forms of answer."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        one, other = await w.agent(), await w.agent()
        await w.say(one, "I like Green tea")
        await w.say(other, "I like black tea")
        opened = (await w.client.post(f"/v1/conversations/?agent_id={one}")).json()["id"]
        body = {"messages": [{"role": "user", "content": "green 100%"}], "streaming": False}
        await w.client.post(f"/v1/conversations/{opened}/messages", json=body)

        hits = await found(w, "/v1/messages/search", query="GREEN tea")
        assert [h["content"] for h in hits] == ["I like Green tea"]
        assert (hits[0]["agent_id"], hits[0]["message_type"]) == (one, "user_message")
        hits = await found(w, "/v1/messages/search", query="green", conversation_id=opened)
        assert [h["content"] for h in hits] == ["green 100%"]
        assert len(await found(w, "/v1/messages/search", query="tea", agent_id=other)) >= 2
        assert len(await found(w, "/v1/messages/search", query="tea", limit=1)) == 1
        assert await found(w, "/v1/messages/search", query="tea", end_date="2001-01-01T00:00:00") == []
        assert await found(w, "/v1/messages/search", query="%") != []
        assert await found(w, "/v1/messages/search", query="_reen") == []

        older = await found(w, "/v1/agents/messages/search", query="black", roles=["user"])
        assert [h["embedded_text"] for h in older] == ["I like black tea"]
        assert older[0]["message"]["content"] == [{"type": "text", "text": "I like black tea"}]
        assert older[0]["fts_rank"] == 1
        everything = await found(w, "/v1/agents/messages/search", limit=2)
        assert len(everything) == 2
        absent = "agent-00000000-0000-4000-8000-00000000dead"
        for path in ("/v1/messages/search", "/v1/agents/messages/search"):
            refused = await w.client.post(path, json={"query": "tea", "agent_id": absent})
            assert refused.status_code == 404


async def test_steps_are_looked_at(tmp_path: Path) -> None:
    """Their messages, their times, and what somebody thinks of them, in both forms."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        answer = (await w.say(await w.agent(), "learn")).json()
        newest, first = await w.get(f"/v1/runs/{answer['usage']['run_ids'][0]}/steps")
        path = f"/v1/steps/{first['id']}"

        kinds = [m["message_type"] for m in await w.get(f"{path}/messages")]
        assert kinds == ["tool_call_message", "tool_return_message"]
        metrics = await w.get(f"{path}/metrics")
        assert metrics["run_id"] == first["run_id"]
        assert metrics["step_ns"] == metrics["llm_request_ns"] + metrics["tool_execution_ns"]
        given = {"feedback": "positive", "tags": ["good"]}
        changed = (await w.client.patch(f"{path}/feedback", json=given)).json()
        assert (changed["feedback"], changed["tags"]) == ("positive", ["good"])
        changed = (await w.client.patch(f"{path}/feedback?feedback=negative")).json()
        assert (changed["feedback"], changed["tags"]) == ("negative", ["good"])
        changed = (await w.client.patch(f"{path}/feedback", json={"feedback": None})).json()
        assert changed["feedback"] is None
        assert (await w.client.patch(f"{path}/feedback", json={"feedback": "so so"})).status_code == 422
        assert await w.get(path) == changed
        assert newest["feedback"] is None
        for end in ("/metrics", "/messages"):
            await w.get(f"/v1/steps/step-x{end}", 404)
        assert (await w.client.patch("/v1/steps/step-x/feedback", json=given)).status_code == 404


async def test_what_fills_a_context(tmp_path: Path) -> None:
    """Each part with its tokens, of an agent's own history and of a conversation."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent(context_window_limit=9000)
        await w.say(agent, "learn")
        opened = (await w.client.post(f"/v1/conversations/?agent_id={agent}")).json()["id"]

        state = await w.get(f"/v1/agents/{agent}/context")
        other = await w.get(f"/v1/agents/{agent}/context?conversation_id={opened}")

        assert state["context_window_size_max"] == 9000
        parts = ("system", "core_memory", "messages", "functions_definitions", "summary_memory")
        assert state["context_window_size_current"] == sum(state[f"num_tokens_{each}"] for each in parts)
        assert "Ada" in state["core_memory"]
        assert [m["role"] for m in state["messages"]] == ["system", "user", "assistant", "tool", "assistant"]
        assert {f["function"]["name"] for f in state["functions_definitions"]} >= {"memory_insert"}
        assert (state["num_messages"], other["num_messages"]) == (5, 1)
        assert other["num_tokens_messages"] == 0
        await w.get(f"/v1/agents/{agent}/context?conversation_id=conv-x", 404)
