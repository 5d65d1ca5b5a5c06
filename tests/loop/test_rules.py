"""Tool rules in runs: what the model is offered, what is refused, and when a turn may end."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import Any

from tests.world import World, world

from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.llm.types import CallDelta, Delta, Finish, ModelRequest

SEARCH = "conversation_search"
INSERT = "memory_insert"
FOUND = ("conversation_search", '{"query": "tea"}')
ADDED = ("memory_insert", '{"label": "human", "new_str": "Tea."}')


def offered(request: ModelRequest) -> list[str]:
    """The tools that a question told the model of."""
    return [tool.name for tool in request.tools]


def one(call_id: str, name: str, arguments: str) -> list[Delta]:
    """A turn with one call that has an id of its own."""
    return [CallDelta(0, call_id, name), CallDelta(0, arguments=arguments), Finish("tool_calls")]


async def agent_with(w: World, *rules: dict[str, Any]) -> str:
    """An agent with two tools and these rules."""
    return await w.agent(include_base_tools=False, tools=[SEARCH, INSERT], tool_rules=list(rules))


def returned(answer: dict[str, Any]) -> list[tuple[str, str]]:
    """The names and statuses of the returns."""
    return [
        (m["name"], m["status"]) for m in answer["messages"] if m["message_type"] == "tool_return_message"
    ]


async def test_what_runs_first_is_all_that_is_offered(tmp_path: Path) -> None:
    """Another call is refused in words; a text alone does not end the turn; afterwards everything is there."""
    script = [
        calls(ADDED),
        says("I am done."),
        one("c2", *FOUND),
        says("Now I am."),
    ]
    gateway = ScriptedGateway(script)
    async with world(tmp_path, gateway) as w:
        agent = await agent_with(w, {"type": "run_first", "tool_name": SEARCH})

        answer = (await w.say(agent, "go")).json()

        assert [(INSERT, "error"), (SEARCH, "success")] == returned(answer)
        refused = next(m for m in answer["messages"] if m.get("name") == INSERT)
        assert "You may call conversation_search." in refused["tool_return"]
        assert [[SEARCH], [SEARCH], [SEARCH], [SEARCH, INSERT]] == [offered(r) for r in gateway.requests]
        note = gateway.requests[2].messages[-1]
        assert ("user", True) == (note.role.value, SEARCH in note.text)
        assert "end_turn" == answer["stop_reason"]["stop_reason"]
        block = await w.get(f"/v1/agents/{agent}/core-memory/blocks/human")
        assert "Nothing yet." == block["value"]


async def test_an_exit_waits_for_what_is_required(tmp_path: Path) -> None:
    """The exit tool is run, but the turn goes on until the other one was called; then it ends by rule."""
    gateway = ScriptedGateway([calls(FOUND), one("c2", *ADDED)])
    async with world(tmp_path, gateway) as w:
        agent = await agent_with(
            w,
            {"type": "exit_loop", "tool_name": SEARCH},
            {"type": "required_before_exit", "tool_name": INSERT},
        )

        answer = (await w.say(agent, "go")).json()

        assert [(SEARCH, "success"), (INSERT, "success")] == returned(answer)
        assert "tool_rule" == answer["stop_reason"]["stop_reason"]


async def test_children_and_counts(tmp_path: Path) -> None:
    """After a parent only its children are offered; a tool that was called often enough is offered no more."""
    gateway = ScriptedGateway([calls(ADDED), one("c2", *FOUND), says("Done.")])
    async with world(tmp_path, gateway) as w:
        agent = await agent_with(
            w,
            {"type": "constrain_child_tools", "tool_name": INSERT, "children": [SEARCH]},
            {"type": "max_count_per_step", "tool_name": SEARCH, "max_count_limit": 1},
        )

        await w.say(agent, "go")

        assert [[SEARCH, INSERT], [SEARCH], [INSERT]] == [offered(r) for r in gateway.requests]
        # The next run counts anew.
        again = ScriptedGateway([says("Hi.")])
        assert again.requests == []


async def test_what_was_called_before_an_approval_counts(tmp_path: Path) -> None:
    """The run that brings the answer is the same turn: the rules know what was called in the one that asked."""
    gateway = ScriptedGateway([calls(FOUND), one("c2", *ADDED), says("Done.")])
    async with world(tmp_path, gateway) as w:
        agent = await agent_with(
            w,
            {"type": "requires_approval", "tool_name": INSERT},
            {"type": "max_count_per_step", "tool_name": SEARCH, "max_count_limit": 1},
        )
        asked = (await w.say(agent, "go")).json()
        assert "requires_approval" == asked["stop_reason"]["stop_reason"]
        item = {"type": "approval", "tool_call_id": "c2", "approve": True}

        body = {"messages": [{"type": "approval", "approvals": [item]}]}
        answer = (await w.client.post(f"/v1/agents/{agent}/messages", json=body)).json()

        assert [(INSERT, "success")] == returned(answer)
        assert [INSERT] == offered(gateway.requests[-1])


async def test_a_call_that_breaks_a_rule_asks_nobody(tmp_path: Path) -> None:
    """A person is not asked to approve what may not be called; it is refused at once."""
    gateway = ScriptedGateway([calls(ADDED), one("c2", *FOUND), says("Done.")])
    async with world(tmp_path, gateway) as w:
        agent = await agent_with(
            w,
            {"type": "run_first", "tool_name": SEARCH},
            {"type": "requires_approval", "tool_name": INSERT},
        )

        answer = (await w.say(agent, "go")).json()

        assert [(INSERT, "error"), (SEARCH, "success")] == returned(answer)


async def test_the_first_call_has_the_rules_arguments(tmp_path: Path) -> None:
    """`args` of a `run_first` rule go over the model's own, also in what a person is asked; later calls are the model's."""
    given = {"type": "run_first", "tool_name": INSERT, "args": {"new_str": "Coffee."}}
    asks = {"type": "requires_approval", "tool_name": INSERT}
    script = [calls(ADDED), one("c2", *ADDED), says("Done.")]
    async with world(tmp_path, ScriptedGateway(script)) as w:
        agent = await agent_with(w, given, asks)
        told = await w.stream(agent, "go")
        request = (await w.get(f"/v1/agents/{agent}?include=agent.pending_approval"))["pending_approval"]
        assert loads(request["tool_call"]["arguments"]) == {"label": "human", "new_str": "Coffee."}
        assert "requires_approval" in {
            f.data["stop_reason"] for f in told if f.data and f.kind == "stop_reason"
        }

        body = {"messages": [{"approve": True, "approval_request_id": request["id"]}]}
        again = await w.client.post(f"/v1/agents/{agent}/messages", json=body)

        assert "requires_approval" == again.json()["stop_reason"]["stop_reason"]
        asked = next(m for m in again.json()["messages"] if m["message_type"] == "approval_request_message")
        assert loads(asked["tool_call"]["arguments"])["new_str"] == "Tea."
        block = await w.get(f"/v1/agents/{agent}/core-memory/blocks/human")
        assert ("Coffee." in block["value"], "Tea." in block["value"]) == (True, False)


async def test_arguments_that_are_none_are_left_to_the_tool(tmp_path: Path) -> None:
    """A rule mends no call whose arguments are broken."""
    given = {"type": "run_first", "tool_name": INSERT, "args": {"new_str": "Coffee."}}
    script = [calls((INSERT, "{broken")), says("Done.")]
    async with world(tmp_path, ScriptedGateway(script)) as w:
        agent = await agent_with(w, given)

        answer = (await w.say(agent, "go")).json()

        assert (INSERT, "error") in returned(answer)
