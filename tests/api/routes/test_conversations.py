"""Conversations as resources: made, read, listed, changed, forked and deleted. Talking in them is `tests/e2e`'s."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

from runstead.domain.message import Role, TextPart
from runstead.domain.run import RunType
from runstead.ids import DEFAULT_USER
from runstead.runs.admit import NewRun, Said
from runstead.store import actors

ABSENT = "conv-00000000-0000-4000-8000-00000000dead"


async def conversation(api: Api, agent_id: str, **fields: Any) -> dict[str, Any]:
    """A conversation, made a second after the last."""
    api.clock.advance(1)
    return await api.json("POST", f"/v1/conversations/?agent_id={agent_id}", json=fields)


async def test_a_conversation_begins_with_the_system_message(api: Api) -> None:
    """It has the summary that it was given, and sees the agent's system message only."""
    agent = await api.agent(system="You are terse.")

    made = await conversation(api, agent["id"], summary="About words")

    assert made["agent_id"] == agent["id"]
    assert made["summary"] == "About words"
    assert len(made["in_context_message_ids"]) == 1
    assert made["isolated_block_ids"] == []
    assert made["last_message_at"] is None
    said = await api.json("GET", f"/v1/conversations/{made['id']}/messages")
    assert [m["content"] for m in said] == ["You are terse."]
    assert await api.json("GET", f"/v1/conversations/{made['id']}") == made


async def test_a_body_may_be_absent(api: Api) -> None:
    """Nothing of a conversation must be given but its agent."""
    agent = await api.agent()

    made = await api.json("POST", f"/v1/conversations/?agent_id={agent['id']}")

    assert made["summary"] is None


async def test_isolated_blocks_are_copies(api: Api) -> None:
    """The conversation has a block of its own, with what the agent's said; other blocks stay the agent's."""
    blocks = [{"label": "human", "value": "Ada", "limit": 99}, {"label": "persona", "value": "kind"}]
    agent = await api.agent(memory_blocks=blocks)

    made = await conversation(api, agent["id"], isolated_block_labels=["human", "human"])

    (own,) = made["isolated_block_ids"]
    block = await api.json("GET", f"/v1/blocks/{own}")
    assert (block["label"], block["value"], block["limit"]) == ("human", "Ada", 99)
    held = await api.json("GET", f"/v1/agents/{agent['id']}/core-memory/blocks")
    assert own not in {each["id"] for each in held}
    await api.json("PATCH", f"/v1/blocks/{own}", json={"value": "Bob"})
    here = await api.json("POST", f"/v1/conversations/{made['id']}/recompile")
    there = await api.json("POST", f"/v1/agents/{agent['id']}/recompile")
    assert "Bob" in here
    assert "kind" in here
    assert "Ada" not in here
    assert "Ada" in there
    await api.json("DELETE", f"/v1/conversations/{made['id']}")
    await api.json("GET", f"/v1/blocks/{own}", 404)


async def test_a_label_that_the_agent_has_not_is_refused(api: Api) -> None:
    """There is nothing to copy."""
    agent = await api.agent()
    path = f"/v1/conversations/?agent_id={agent['id']}"

    refused = await api.json("POST", path, 400, json={"isolated_block_labels": ["skills"]})

    assert "skills" in refused["detail"]
    assert await api.json("GET", "/v1/conversations/") == []


async def test_lists_are_filtered_and_paged(api: Api) -> None:
    """By agent and by words of the summary, newest first; a cursor follows the order of the list."""
    one, other = await api.agent(), await api.agent()
    made = [await conversation(api, one["id"], summary=f"Talk {n}") for n in range(3)]
    await conversation(api, other["id"])
    path = f"/v1/conversations/?agent_id={one['id']}"
    ids = [each["id"] for each in made]

    assert [c["id"] for c in await api.json("GET", path)] == ids[::-1]
    assert [c["id"] for c in await api.json("GET", f"{path}&order=asc&limit=2")] == ids[:2]
    assert [c["id"] for c in await api.json("GET", f"{path}&after={ids[1]}")] == ids[:1]
    found = await api.json("GET", "/v1/conversations/?summary_search=tALK 1")
    assert [c["id"] for c in found] == [ids[1]]
    assert len(await api.json("GET", "/v1/conversations/")) == 4
    for order_by in ("last_message_at", "last_run_completion"):
        assert len(await api.json("GET", f"{path}&order_by={order_by}")) == 3


async def test_what_is_given_is_changed(api: Api) -> None:
    """Summary, model and its settings; null takes the agent's again."""
    agent = await api.agent()
    made = await conversation(api, agent["id"], summary="one")
    path = f"/v1/conversations/{made['id']}"
    settings = {"provider_type": "openai", "temperature": 0.5}

    changed = await api.json("PATCH", path, json={"model": "openai/large", "model_settings": settings})
    assert (changed["summary"], changed["model"]) == ("one", "openai/large")
    assert changed["model_settings"] == settings
    at = "2026-01-02T03:04:05Z"
    changed = await api.json("PATCH", path, json={"summary": None, "model": None, "last_message_at": at})
    assert (changed["summary"], changed["model"]) == (None, None)
    assert changed["last_message_at"].startswith("2026-01-02T03:04:05")
    await api.json("PATCH", path, 404, json={"model": "nobody/knows"})


async def test_a_deleted_conversation_is_gone(api: Api) -> None:
    """200 null, then 404 for every way to it; its agent's other conversations stay."""
    agent = await api.agent()
    made, other = await conversation(api, agent["id"]), await conversation(api, agent["id"])

    assert await api.json("DELETE", f"/v1/conversations/{made['id']}") is None

    said = {"messages": [{"role": "user", "content": "hello"}]}
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"summary": "x"}),
        ("DELETE", "", None),
        ("POST", "/fork", None),
        ("GET", "/messages", None),
        ("POST", "/messages", said),
        ("POST", "/stream", None),
        ("POST", "/cancel", None),
        ("POST", "/compact", None),
        ("POST", "/recompile", None),
    ):
        await api.json(method, f"/v1/conversations/{made['id']}{path}", 404, json=body)
    assert [c["id"] for c in await api.json("GET", "/v1/conversations/")] == [other["id"]]


async def test_runs_are_cancelled_before_a_conversation_is_deleted(api: Api) -> None:
    """A run that nobody works on would have nothing to write to."""
    agent = await api.agent()
    made = await conversation(api, agent["id"])
    user = await api.db.read(actors.find_user, DEFAULT_USER)
    assert user is not None
    said = Said(Role.USER, (TextPart("hello"),))
    new = NewRun(user, agent["id"], RunType.CONVERSATION, (said,), conversation_id=made["id"])
    run = await api.app.state.services.admission.admit(new)
    (listed,) = await api.json("GET", f"/v1/runs/?conversation_id={made['id']}")
    assert listed["id"] == run.id

    await api.json("DELETE", f"/v1/conversations/{made['id']}")

    assert api.cancellation.asked == [run.id]


async def test_the_agents_own_history_has_three_names(api: Api) -> None:
    """`default` with the agent, the agent's id, and the agent's own messages are the same list."""
    agent = await api.agent(system="One.")
    own = await api.json("GET", f"/v1/agents/{agent['id']}/messages?conversation_id=default")

    for path in (f"default/messages?agent_id={agent['id']}", f"{agent['id']}/messages"):
        assert await api.json("GET", f"/v1/conversations/{path}") == own
    await api.json("GET", "/v1/conversations/default/messages", 404)
    await api.json("POST", f"/v1/conversations/default/cancel?agent_id={agent['id']}", 409)
    await api.json("GET", "/v1/conversations/nonsense/messages", 422)
    await api.json("GET", f"/v1/conversations/{ABSENT}", 404)
    await api.json("POST", f"/v1/conversations/?agent_id={ABSENT.replace('conv', 'agent')}", 404)


async def test_a_fork_has_what_was_seen(api: Api) -> None:
    """Copies under ids of their own; blocks too. What is changed in one is not changed in the other."""
    blocks = [{"label": "human", "value": "Ada"}]
    first = [{"role": "user", "content": "hi"}]
    agent = await api.agent(memory_blocks=blocks, initial_message_sequence=first)
    made = await conversation(api, agent["id"], isolated_block_labels=["human"], summary="one")

    fork = await api.json("POST", f"/v1/conversations/{made['id']}/fork")
    own = await api.json("POST", f"/v1/conversations/default/fork?agent_id={agent['id']}")

    assert fork["id"] != made["id"]
    assert fork["summary"] == "one"
    assert fork["isolated_block_ids"] != made["isolated_block_ids"]
    assert set(fork["in_context_message_ids"]).isdisjoint(made["in_context_message_ids"])
    assert len(fork["in_context_message_ids"]) == 1
    said = await api.json("GET", f"/v1/conversations/{own['id']}/messages")
    assert [m["message_type"] for m in said] == ["user_message", "system_message"]


async def test_there_may_be_nothing_to_follow(api: Api) -> None:
    """The error says what was looked for."""
    agent = await api.agent()
    made = await conversation(api, agent["id"])
    path = f"/v1/conversations/{made['id']}/stream"

    assert "No active runs" in (await api.json("POST", path, 400))["detail"]
    refused = await api.json("POST", path, 404, json={"otid": "mine"})
    assert refused["detail"] == "No run found for otid=mine"
    await api.json("POST", path, 404, json={"run_id": "run-00000000-0000-4000-8000-00000000dead"})
