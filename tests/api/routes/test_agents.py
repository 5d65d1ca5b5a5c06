"""Agents over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from tests.api.conftest import Api

from runstead.domain.message import Message, Role, TextPart, ToolCall
from runstead.domain.run import Run, RunStatus, RunType
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, AgentId, MessageId, RunId
from runstead.store import agents as agent_store
from runstead.store import messages, runs

NOBODY = "agent-11111111-1111-4111-8111-111111111111"
SDK1 = {"x-stainless-package-version": "1.12.1"}


async def _history(api: Api, agent: dict[str, Any]) -> list[Message]:
    where = messages.MessageFilter(agent_id=AgentId(agent["id"]))
    return await api.db.read(messages.list_messages, DEFAULT_USER, where, messages.MessagePage())


async def _run(api: Api, agent_id: str, status: RunStatus = RunStatus.RUNNING) -> Run:
    now = api.clock.now()
    run = Run(
        RunId(f"run-{api.ids.uuid()}"),
        DEFAULT_USER,
        DEFAULT_ORGANIZATION,
        AgentId(agent_id),
        RunType.ASYNC,
        status,
        now,
        now,
    )
    await api.db.write(runs.insert_run, run)
    return run


async def test_a_new_agent_has_its_kinds_tools_prompt_and_a_system_message(api: Api) -> None:
    agent = await api.agent()
    assert agent["agent_type"] == "letta_v1_agent"
    assert [tool["name"] for tool in agent["tools"]] == [
        "conversation_search",
        "memory_insert",
        "memory_replace",
    ]
    assert agent["tool_rules"] == []
    assert agent["name"].startswith("agent-")
    assert agent["llm_config"]["handle"] == agent["model"] == "runstead/demo"
    history = await _history(api, agent)
    assert [message.role for message in history] == [Role.SYSTEM]
    assert history[0].text == agent["system"] != ""
    assert agent["message_ids"] == [history[0].id]


@pytest.mark.parametrize(
    ("kind", "tools", "rules"),
    [
        (
            "memgpt_agent",
            ["send_message", "conversation_search", "core_memory_append", "core_memory_replace"],
            4,
        ),
        (
            "memgpt_v2_agent",
            ["send_message", "conversation_search", "memory_insert", "memory_replace"],
            4,
        ),
        ("sleeptime_agent", ["memory_insert", "memory_replace", "memory_rethink"], 0),
        ("workflow_agent", [], 0),
    ],
)
async def test_kinds(api: Api, kind: str, tools: list[str], rules: int) -> None:
    agent = await api.agent(agent_type=kind)
    assert [tool["name"] for tool in agent["tools"]] == tools
    assert len(agent["tool_rules"]) == rules
    if rules:
        assert agent["tool_rules"][0] == {"type": "exit_loop", "tool_name": "send_message"}
    bare = await api.agent(agent_type=kind, include_base_tools=False, tools=["web_search"])
    assert [tool["name"] for tool in bare["tools"]] == ["web_search"]
    assert bare["tool_rules"] == []


async def test_the_body_of_a_real_client(api: Api) -> None:
    agent = await api.agent(
        agent_type="letta_v1_agent",
        system="You are a coder.",
        name="Nameless",
        description="d",
        context_window_limit=128_000,
        memory_blocks=[
            {"label": "persona", "value": "p", "limit": 500, "description": "who"},
            {"label": "human", "value": "h", "read_only": True},
        ],
        tags=["origin:letta-code", "b"],
        include_base_tools=False,
        include_base_tool_rules=False,
        initial_message_sequence=[],
        parallel_tool_calls=True,
        enable_sleeptime=False,
        compaction_settings={"model": "letta/auto"},
        tools=["web_search", "fetch_webpage"],
        timezone="Europe/Berlin",
        secrets={"TOKEN": "t"},
        metadata={"a": {"b": [1]}},
        response_format={"type": "text"},
        identity_ids=["identity-1"],
        unheard_of=1,
    )
    assert [block["label"] for block in agent["blocks"]] == ["persona", "human"]
    assert agent["memory"]["blocks"] == agent["blocks"]
    assert agent["blocks"][0]["limit"] == 500
    assert agent["blocks"][1]["read_only"] is True
    assert sorted(agent["tags"]) == ["b", "origin:letta-code"]
    assert agent["compaction_settings"] == {"model": "letta/auto"}
    assert agent["enable_sleeptime"] is False
    assert agent["llm_config"]["parallel_tool_calls"] is True
    assert agent["model_settings"] == {"provider_type": "openai", "parallel_tool_calls": True}
    assert agent["secrets"][0]["key"] == "TOKEN"
    assert agent["secrets"] == agent["tool_exec_environment_variables"]
    assert agent["metadata"] == {"a": {"b": [1]}}
    assert agent["response_format"] == {"type": "text"}
    assert agent["identity_ids"] == ["identity-1"]
    assert agent["timezone"] == "Europe/Berlin"
    assert await api.json("GET", f"/v1/agents/{agent['id']}") == agent


async def test_models_are_named_in_either_generations_way(api: Api) -> None:
    config = {
        "model": "large",
        "model_endpoint_type": "openai",
        "context_window": 9000,
        "temperature": 0.2,
        "enable_reasoner": False,
        "max_tokens": 77,
    }
    body = {"llm_config": config, "embedding_config": {"embedding_model": "e", "embedding_dim": 3}}
    agent = await api.json("POST", "/v1/agents/", json=body)
    assert agent["model"] == "openai/large"
    assert agent["llm_config"]["context_window"] == 9000
    assert agent["llm_config"]["temperature"] == 0.2
    assert agent["llm_config"]["enable_reasoner"] is False
    assert agent["embedding_config"]["embedding_dim"] == 3
    assert agent["llm_config"]["max_tokens"] == 77
    newer = await api.agent(
        model="openai/large",
        embedding="openai/embed",
        model_settings={
            "provider_type": "openai",
            "max_output_tokens": 99,
            "reasoning": {"reasoning_effort": "low"},
            "strict": True,
        },
    )
    assert newer["llm_config"]["context_window"] == 200_000
    assert newer["llm_config"]["reasoning_effort"] == "low"
    assert newer["model_settings"]["strict"] is True
    assert newer["model_settings"]["max_output_tokens"] == 99
    assert newer["embedding_config"]["handle"] == "openai/embed"


async def test_without_a_model_or_with_one_that_nobody_offers(api: Api) -> None:
    none = await api.json("POST", "/v1/agents/", 400, json={"name": "x"})
    assert none == {"detail": "Must specify either model or llm_config in request"}
    unknown = await api.json("POST", "/v1/agents/", 404, json={"model": "nobody/x"})
    assert "openai, runstead" in unknown["detail"]
    assert await api.json("GET", "/v1/agents/") == []


async def test_unknown_tools_and_blocks_make_nothing(api: Api) -> None:
    for body in (
        {"tools": ["web_search", "no_such_tool"]},
        {"tool_ids": ["tool-1"]},
        {"block_ids": ["block-1"], "memory_blocks": [{"label": "x", "value": "y"}]},
    ):
        answer = await api.json("POST", "/v1/agents/", 404, json={"model": "runstead/demo", **body})
        assert any(word in answer["detail"] for word in ("no_such_tool", "tool-1", "block-1"))
    assert await api.json("GET", "/v1/agents/count") == 0
    assert await api.json("GET", "/v1/blocks/count") == 0


async def test_blocks_of_one_agent_have_different_labels(api: Api) -> None:
    shared = await api.block("human")
    twice = [{"label": "a", "value": ""}, {"label": "a", "value": ""}]
    body: dict[str, Any] = {"model": "runstead/demo"}
    await api.json("POST", "/v1/agents/", 400, json={**body, "memory_blocks": twice})
    clash = {"memory_blocks": [{"label": "human", "value": ""}], "block_ids": [shared["id"]]}
    await api.json("POST", "/v1/agents/", 409, json={**body, **clash})
    over = [{"label": "a", "value": "12345", "limit": 4}]
    await api.json("POST", "/v1/agents/", 422, json={**body, "memory_blocks": over})


async def test_initial_messages_follow_the_system_message(api: Api) -> None:
    said = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    ]
    agent = await api.agent(initial_message_sequence=said)
    history = await _history(api, agent)
    assert [(m.role.value, m.text) for m in history[1:]] == [("user", "hello"), ("assistant", "hi")]
    assert len(agent["message_ids"]) == 3
    path = f"/v1/agents/{agent['id']}/reset-messages"
    assert len((await api.json("PATCH", path))["message_ids"]) == 1
    body = {"add_default_initial_messages": True}
    assert len((await api.json("PATCH", path, json=body))["message_ids"]) == 3
    again = await api.json("PATCH", path, params={"add_default_initial_messages": "true"})
    assert len(again["message_ids"]) == 3
    video = [{"role": "user", "content": [{"type": "video"}]}]
    refused = {"model": "runstead/demo", "initial_message_sequence": video}
    await api.json("POST", "/v1/agents/", 422, json=refused)
    for data, status in (("AAAA\nAAAA", 200), ("data:image/png;base64,AAAA", 422), ("AAA", 422), ("", 422)):
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}
        shown = {
            "model": "runstead/demo",
            "initial_message_sequence": [{"role": "user", "content": [image]}],
        }
        await api.json("POST", "/v1/agents/", status, json=shown)


async def test_a_1_0_sdk_is_answered_what_it_asks_for(api: Api) -> None:
    agent = await api.agent(tags=["t"], memory_blocks=[{"label": "human", "value": "h"}])
    path = f"/v1/agents/{agent['id']}"
    bare = await api.json("GET", path, headers=SDK1)
    assert (bare["tools"], bare["tags"], bare["blocks"], bare["memory"]["blocks"]) == ([], [], [], [])
    assert bare["message_ids"] == agent["message_ids"]
    some = await api.json("GET", path + "?include=agent.tags&include=agent.blocks", headers=SDK1)
    assert (some["tools"], some["tags"]) == ([], ["t"])
    assert len(some["blocks"]) == len(some["memory"]["blocks"]) == 1
    listed = await api.json("GET", "/v1/agents/", headers=SDK1)
    assert listed == [bare]
    older = await api.json("GET", path + "?include_relationships=memory")
    assert (older["tools"], len(older["blocks"])) == ([], 1)
    assert (await api.json("GET", path + "?include=agent.tools"))["tags"] == ["t"]
    await api.json("GET", path + "?include=agent.nothing", 422)


async def test_unknown_and_malformed_agents(api: Api) -> None:
    missing = {"detail": f"Agent with ID {NOBODY} not found"}
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("PATCH", "/reset-messages"),
        ("GET", "/core-memory"),
    ):
        options = {"json": {}} if method == "PATCH" else {}
        assert await api.json(method, f"/v1/agents/{NOBODY}{path}", 404, **options) == missing
        await api.json(method, f"/v1/agents/nope{path}", 422, **options)


async def test_filters_are_applied_before_the_limit(api: Api) -> None:
    first = await api.agent(name="Ada", tags=["x", "y"], project_id="p1", template_id="t1")
    second = await api.agent(name="Bob", tags=["x"], base_template_id="b1")
    third = await api.agent(name="adam", identity_ids=["identity-9"])
    ids = {first["id"]: "1", second["id"]: "2", third["id"]: "3"}

    async def listed(query: str) -> str:
        found = await api.json("GET", "/v1/agents/?limit=2&" + query)
        return "".join(ids[agent["id"]] for agent in found)

    assert await listed("") == "32"
    assert await listed("name=Ada") == "1"
    assert await listed("query_text=ADA") == "31"
    assert await listed("tags=x") == "21"
    assert await listed("tags=x&tags=y") == "21"
    assert await listed("tags=x&tags=y&match_all_tags=true") == "1"
    assert await listed("project_id=p1") == "1"
    assert await listed("template_id=t1") == "1"
    assert await listed("base_template_id=b1") == "2"
    assert await listed("identity_id=identity-9") == "3"
    assert await listed("identifier_keys=k") == ""
    assert await listed(f"created_by_id={DEFAULT_USER}") == "32"
    assert await listed("created_by_id=user-else") == ""
    assert await listed("last_stop_reason=end_turn") == ""
    assert await api.json("GET", "/v1/agents/count?tags=x") == 2
    await api.json("GET", "/v1/agents/?last_stop_reason=weird", 422)


async def test_orders_and_cursors(api: Api) -> None:
    ids = [(await api.agent())["id"] for _ in range(5)]
    number = {agent_id: str(index) for index, agent_id in enumerate(ids)}

    async def listed(query: str, status: int = 200) -> str:
        found = await api.json("GET", "/v1/agents/?" + query, status)
        return "".join(number[agent["id"]] for agent in found) if status == 200 else ""

    assert await listed("") == "43210"
    for ascending in ("order=asc", "ascending=true", "order=desc&ascending=true"):
        assert await listed(ascending) == "01234"
    assert await listed(f"limit=2&after={ids[3]}") == "21"
    assert await listed(f"limit=2&before={ids[1]}") == "32"
    assert await listed(f"limit=2&order=asc&after={ids[1]}") == "23"
    assert await listed(f"limit=2&order=asc&before={ids[3]}") == "12"
    assert await listed(f"after={ids[4]}&before={ids[1]}") == "32"
    api.clock.advance(1)
    await api.json("PATCH", f"/v1/agents/{ids[0]}", json={"name": "new"})
    assert await listed("order_by=updated_at") == "04321"
    assert await listed("sort_by=updated_at&limit=1") == "0"
    assert await listed("order_by=last_run_completion&order=asc") == "01234"
    assert await listed(f"order_by=last_run_completion&order=asc&after={ids[2]}") == "34"
    await listed(f"after={NOBODY}", 404)
    for wrong in ("limit=0", "limit=-1", "limit=1001", "order=up", "order_by=name", "limit=x"):
        await listed(wrong, 422)


async def test_how_the_last_run_ended_is_told_and_filtered_by(api: Api) -> None:
    agent = await api.agent()
    await api.agent()
    run = await _run(api, agent["id"], RunStatus.COMPLETED)
    await api.db.write(agent_store.note_run, run)
    read = await api.json("GET", f"/v1/agents/{agent['id']}")
    assert read["last_run_completion"] is not None
    assert read["last_run_duration_ms"] == 0
    newest = await api.json("GET", "/v1/agents/?order_by=last_run_completion")
    assert newest[0]["id"] == agent["id"]


async def test_a_change_writes_what_is_given_and_leaves_the_rest(api: Api) -> None:
    agent = await api.agent(description="d", tags=["a"], metadata={"k": 1}, max_files_open=3)
    path = f"/v1/agents/{agent['id']}"
    api.clock.advance(1)
    same = await api.json("PATCH", path, json={})
    assert {**same, "updated_at": None} == {**agent, "updated_at": None}
    block = await api.block("human", "h")
    search = next(t["id"] for t in agent["tools"] if t["name"] == "conversation_search")
    changed = await api.json(
        "PATCH",
        path,
        json={
            "name": "n",
            "system": "s",
            "description": None,
            "tags": ["b", "b"],
            "metadata": {},
            "hidden": True,
            "model": "openai/large",
            "context_window_limit": 500,
            "max_tokens": 5,
            "tool_ids": [search],
            "tool_rules": [{"type": "requires_approval", "tool_name": "conversation_search"}],
            "block_ids": [block["id"]],
            "tool_exec_environment_variables": {"A": "1"},
            "embedding": "openai/embed",
            "message_buffer_autoclear": True,
        },
    )
    assert (changed["name"], changed["system"], changed["description"]) == ("n", "s", None)
    assert (changed["tags"], changed["metadata"], changed["hidden"]) == (["b"], {}, True)
    assert (changed["model"], changed["llm_config"]["context_window"]) == ("openai/large", 500)
    assert changed["llm_config"]["max_tokens"] == 5
    assert [tool["name"] for tool in changed["tools"]] == ["conversation_search"]
    assert changed["tool_rules"][0]["type"] == "requires_approval"
    assert [each["id"] for each in changed["blocks"]] == [block["id"]]
    assert [(each["key"], each["value"]) for each in changed["secrets"]] == [("A", "")]
    assert changed["max_files_open"] == 3
    assert changed["message_buffer_autoclear"] is True
    assert await api.json("GET", path) == changed
    assert (await api.json("PATCH", path, json={"block_ids": []}))["blocks"] == []
    await api.json("PATCH", path, 404, json={"model": "nobody/x"})
    await api.json("PATCH", path, 404, json={"block_ids": ["block-0"]})
    await api.json("PATCH", path, 422, json={"tool_rules": [{"type": "odd", "tool_name": "x"}]})


async def test_a_rule_without_what_it_needs_is_refused(api: Api) -> None:
    for kind, wrong in (
        ("max_count_per_step", {}),
        ("max_count_per_step", {"max_count_limit": "2"}),
        ("constrain_child_tools", {}),
        ("parent_last_tool", {"children": [1]}),
        ("conditional", {"child_output_mapping": ["x"]}),
    ):
        rule = {"type": kind, "tool_name": "x", **wrong}
        body = {"model": "runstead/demo", "tool_rules": [rule]}
        refused = await api.json("POST", "/v1/agents/", 422, json=body)
        assert f"A rule of type {kind} needs " in refused["detail"][0]["msg"]


async def test_messages_leave_the_context_by_their_ids(api: Api) -> None:
    agent = await api.agent(initial_message_sequence=[{"role": "user", "content": "hello"}])
    path, kept = f"/v1/agents/{agent['id']}", agent["message_ids"][:1]
    assert (await api.json("PATCH", path, json={"message_ids": kept}))["message_ids"] == kept
    assert len(await _history(api, agent)) == 2
    await api.json("PATCH", path, 400, json={"message_ids": agent["message_ids"]})


async def test_a_deleted_agent_is_gone_and_its_runs_were_cancelled(api: Api) -> None:
    agent = await api.agent(memory_blocks=[{"label": "human", "value": "h"}])
    running = await _run(api, agent["id"])
    waiting = await _run(api, agent["id"], RunStatus.CREATED)
    await _run(api, agent["id"], RunStatus.COMPLETED)
    path = f"/v1/agents/{agent['id']}"
    answer = await api.json("DELETE", path)
    assert answer == {"message": f"Agent id={agent['id']} successfully deleted"}
    assert api.cancellation.asked == [running.id, waiting.id]
    await api.json("GET", path, 404)
    await api.json("DELETE", path, 404)
    assert await _history(api, agent) == []
    assert await api.json("GET", "/v1/blocks/count") == 1
    assert await api.db.read(runs.find_run, DEFAULT_USER, running.id) is not None


async def test_an_agent_whose_runs_do_not_end_stays(api: Api) -> None:
    agent = await api.agent()
    await _run(api, agent["id"])
    api.cancellation.works = False
    answer = await api.json("DELETE", f"/v1/agents/{agent['id']}", 409)
    assert "active runs" in answer["detail"]
    await api.json("GET", f"/v1/agents/{agent['id']}")


async def test_the_pending_approval_is_told_where_it_is_asked_for(api: Api) -> None:
    agent = await api.agent()
    path = f"/v1/agents/{agent['id']}?include=agent.pending_approval"
    assert (await api.json("GET", path))["pending_approval"] is None
    asked = Message(
        MessageId("message-00000000-0000-4000-8000-0000000000aa"),
        DEFAULT_USER,
        AgentId(agent["id"]),
        Role.ASSISTANT,
        api.clock.now(),
        parts=(TextPart("may I?"),),
        tool_calls=(ToolCall("call_1", "conversation_search", "{}", needs_approval=True),),
        run_id=RunId("run-00000000-0000-4000-8000-0000000000aa"),
    )
    assert asked.run_id is not None
    now = api.clock.now()
    run = Run(
        asked.run_id,
        DEFAULT_USER,
        DEFAULT_ORGANIZATION,
        asked.agent_id,
        RunType.SEND,
        RunStatus.COMPLETED,
        now,
        now,
        asks=asked.id,
        asks_until=now,
    )
    await api.db.write(messages.insert_messages, [asked])
    await api.db.write(runs.insert_run, run)
    pending = (await api.json("GET", path, headers=SDK1))["pending_approval"]
    assert pending["message_type"] == "approval_request_message"
    assert pending["id"] == asked.id
    assert pending["tool_call"]["tool_call_id"] == "call_1"
    assert datetime.fromisoformat(pending["expires_at"]) == now
    (listed,) = await api.json("GET", "/v1/agents/?include=agent.pending_approval")
    assert listed["pending_approval"] == pending
    assert (await api.json("GET", f"/v1/agents/{agent['id']}"))["pending_approval"] is None
