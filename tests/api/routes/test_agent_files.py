"""Agents as files: out of one server and into another, whole; and files that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.api.conftest import Api

Json = dict[str, Any]


async def bring(api: Api, file: object, form: dict[str, str] | None = None, status: int = 200) -> Any:
    """Import a file."""
    content = file if isinstance(file, str) else json.dumps(file)
    files = {"file": ("agent.af", content, "application/json")}
    return await api.json("POST", "/v1/agents/import", status, files=files, data=form or {})


def minimal(**agent: Any) -> Json:
    """A file with an agent of which little is said."""
    made = {"id": "agent-0", "name": "Ada", "model": "runstead/demo", **agent}
    return {
        "agents": [made],
        "groups": [],
        "blocks": [],
        "files": [],
        "sources": [],
        "tools": [],
        "mcp_servers": [],
    }


async def test_an_agent_comes_back_as_it_went(api: Api) -> None:
    """Name, prompt, model, settings, blocks, tools, rules, tags and messages; ids are new, secrets are names."""
    agent = await api.agent(
        name="Ada",
        system="Be terse.",
        description="d",
        tags=["a"],
        metadata={"k": 1},
        timezone="Europe/Berlin",
        tools=["archival_memory_search"],
        tool_rules=[{"type": "requires_approval", "tool_name": "memory_insert"}],
        memory_blocks=[
            {"label": "human", "value": "v", "limit": 77, "description": "about", "read_only": True}
        ],
        context_window_limit=9000,
        initial_message_sequence=[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}],
        secrets={"TOKEN": "hushed"},
    )
    file = await api.json("GET", f"/v1/agents/{agent['id']}/export")

    assert "hushed" not in json.dumps(file)
    assert agent["id"] not in json.dumps(file)
    (new_id,) = (await bring(api, file, {"append_copy_suffix": "false", "secrets": '{"TOKEN": "new"}'}))[
        "agent_ids"
    ]
    back = await api.json("GET", f"/v1/agents/{new_id}")

    same = (
        "name", "system", "agent_type", "description", "tags", "metadata", "timezone", "model", "tool_rules",
    )  # fmt: skip
    for field in same:
        assert back[field] == agent[field], field
    assert back["llm_config"]["context_window"] == 9000
    assert [t["name"] for t in back["tools"]] == [t["name"] for t in agent["tools"]]
    # What a secret says is never answered; that it is there is.
    assert [(each["key"], each["value"]) for each in back["secrets"]] == [("TOKEN", "")]
    (block,), (before,) = back["blocks"], agent["blocks"]
    assert block["id"] != before["id"]
    for field in ("label", "value", "limit", "description", "read_only"):
        assert block[field] == before[field]
    said = await api.json("GET", f"/v1/agents/{new_id}/messages?order=asc")
    assert [m["content"] for m in said] == ["Be terse.", "hi", "ho"]
    assert len(back["message_ids"]) == 3
    again = await api.json("GET", f"/v1/agents/{new_id}/export")
    for volatile in (file, again):
        volatile.pop("created_at")
        for message in volatile["agents"][0]["messages"]:
            message.pop("created_by_id")
    for name, value in file["agents"][0].items():
        assert again["agents"][0][name] == value, name
    assert again == file


async def test_what_the_form_says_goes_before_the_file(api: Api) -> None:
    """Name, copy's suffix, model, no messages."""
    file = minimal(
        messages=[{"id": "message-0", "role": "user", "content": "hi"}], in_context_message_ids=["message-0"]
    )
    forms: list[dict[str, str]] = [
        {},
        {"override_name": "Bob", "append_copy_suffix": "false", "strip_messages": "true"},
        {"override_model_handle": "openai/large"},
    ]
    made = [(await bring(api, file, form))["agent_ids"][0] for form in forms]
    plain, bob, large = [await api.json("GET", f"/v1/agents/{each}") for each in made]

    assert (plain["name"], bob["name"]) == ("Ada_copy", "Bob")
    assert (plain["model"], large["model"]) == ("runstead/demo", "openai/large")
    assert large["llm_config"]["context_window"] == 200_000
    said = await api.json("GET", f"/v1/agents/{plain['id']}/messages")
    assert [m["content"] for m in said] == ["hi"]
    said = await api.json("GET", f"/v1/agents/{bob['id']}/messages")
    assert [m["message_type"] for m in said] == ["system_message"]


async def test_calls_and_returns_are_kept(api: Api) -> None:
    """In the newer form and the older; a call that was open is answered as given up."""
    call = {"type": "function", "function": {"name": "look", "arguments": "{}"}}
    messages: list[Json] = [
        {"id": "message-0", "role": "user", "content": [{"type": "text", "text": "look"}]},
        {"id": "message-1", "role": "assistant", "content": None, "tool_calls": [{"id": "c1", **call}]},
        {"id": "message-2", "role": "tool", "content": "found", "tool_call_id": "c1", "name": "look"},
        {"id": "message-3", "role": "assistant", "content": [], "tool_calls": [{"id": "c2", **call}]},
    ]
    file = minimal(messages=messages, in_context_message_ids=[m["id"] for m in messages])

    (made,) = (await bring(api, file))["agent_ids"]

    said = await api.json("GET", f"/v1/agents/{made}/messages?order=asc")
    returns = [(m["tool_call_id"], m["status"]) for m in said if m["message_type"] == "tool_return_message"]
    assert returns == [("c1", "success"), ("c2", "error")]
    assert next(m["message_type"] for m in said) == "user_message"


@pytest.mark.parametrize(
    ("file", "says"),
    [
        ("no json", "no JSON"),
        ("[]", "no agent file"),
        ({"agent": 1}, "no 'agents'"),
        (minimal(id=7), "agents.0.id"),
        (minimal(tools=["xylophone"]), "xylophone"),
        (minimal(model=None), "names no model"),
        ({**minimal(), "agents": []}, "agents"),
    ],
)
async def test_a_file_that_is_none_is_refused(api: Api, file: object, says: str) -> None:
    """With what is wrong with it; nothing is made."""
    assert says in (await bring(api, file, status=400))["detail"]
    assert await api.json("GET", "/v1/agents/") == []


async def test_skills_of_the_client_go_into_the_file(api: Api) -> None:
    """The other form of exporting takes them; all else in the file is the same."""
    agent = await api.agent(system="Be terse.")
    path = f"/v1/agents/{agent['id']}/export"
    plain = await api.json("GET", path)
    bare = await api.json("POST", path)
    skills = [{"name": "sail", "files": {"SKILL.md": "Sail."}}]

    file = await api.json("POST", path, json={"skills": skills, "scrub_messages": True})

    assert [{**skills[0], "source_url": None}] == file["skills"]
    assert [] == file["agents"][0]["messages"] == plain["skills"]
    assert {**plain, "created_at": 0} == {**bare, "created_at": 0}


async def test_what_cannot_be_exported_says_so(api: Api) -> None:
    """The older format, a conversation that is not there, an agent that is not there."""
    agent = await api.agent()
    path = f"/v1/agents/{agent['id']}/export"
    await api.json("GET", f"{path}?use_legacy_format=true", 501)
    await api.json("GET", f"{path}?conversation_id=conv-x", 404)
    scrubbed = await api.json("GET", f"{path}?scrub_messages=true")
    assert scrubbed["agents"][0]["messages"] == []
    absent = "agent-00000000-0000-4000-8000-00000000dead"
    await api.json("GET", f"/v1/agents/{absent}/export", 404)
    await api.json("POST", f"/v1/agents/{absent}/export", 404)
    await bring(api, minimal(), {"override_model_handle": "nobody/knows"}, 404)
    await bring(api, minimal(), {"secrets": '["TOKEN"]'}, 400)
    await api.json("POST", "/v1/agents/import", 422)
