"""What a request about an agent comes to."""

from __future__ import annotations

from typing import Any

import pytest

from runstead.api.wire.agent_requests import (
    CreateAgentRequest,
    NewAgent,
    UpdateAgent,
    changed_agent,
    check_block_labels,
    handle_of,
    new_agent,
)
from runstead.clock import ManualClock
from runstead.domain.agent import Agent
from runstead.errors import Invalid
from runstead.ids import DEFAULT_USER, AgentId
from runstead.llm.types import ModelInfo

NOW = ManualClock().now()
MODEL = ModelInfo("openai/m", "openai", "chat", "m", context_window_tokens=5000)


def _agent(**fields: Any) -> Agent:
    body = CreateAgentRequest.model_validate({"model": "openai/m", **fields})
    return new_agent(body, NewAgent(AgentId("agent-1"), DEFAULT_USER, NOW, MODEL))


@pytest.mark.parametrize(
    ("body", "handle"),
    [
        ({}, None),
        ({"model": "a/b"}, "a/b"),
        ({"llm_config": {"model": "m", "model_endpoint_type": "vllm"}}, "vllm/m"),
        ({"llm_config": {"model": "m", "provider_name": "p", "model_endpoint_type": "openai"}}, "p/m"),
        ({"llm_config": {"model": "m", "handle": "x/y"}}, "x/y"),
        ({"llm_config": {"model": "m"}}, "openai/m"),
    ],
)
def test_the_model_is_named_in_several_ways(body: dict[str, Any], handle: str | None) -> None:
    assert handle_of(CreateAgentRequest.model_validate(body)) == handle


def test_settings_come_from_three_places_and_the_plainest_wins() -> None:
    agent = _agent(
        llm_config={"model": "m", "temperature": 0.1, "max_tokens": 1, "max_reasoning_tokens": 0},
        model_settings={"temperature": 0.2, "max_output_tokens": 2, "parallel_tool_calls": True},
        max_tokens=3,
        parallel_tool_calls=False,
    )
    assert agent.settings.temperature == 0.2
    assert agent.settings.max_tokens == 3
    assert agent.settings.parallel_tool_calls is False
    assert agent.settings.thinking_budget_tokens is None


@pytest.mark.parametrize(
    ("fields", "thinking", "budget"),
    [
        ({}, None, None),
        ({"reasoning": False}, False, None),
        ({"enable_reasoner": False}, False, None),
        ({"enable_reasoner": False, "reasoning": True}, True, None),
        ({"max_reasoning_tokens": 9}, None, 9),
        ({"model_settings": {"thinking": {"type": "enabled", "budget_tokens": 8}}}, True, 8),
        ({"model_settings": {"thinking": {"type": "disabled"}}}, False, None),
        ({"model_settings": {"thinking_config": {"include_thoughts": True, "thinking_budget": 7}}}, True, 7),
        ({"model_settings": {"thinking_config": {"thinking_budget": -1}}}, None, None),
    ],
)
def test_thinking_is_said_in_many_ways(
    fields: dict[str, Any], thinking: bool | None, budget: int | None
) -> None:
    settings = _agent(**fields).settings
    assert (settings.thinking, settings.thinking_budget_tokens) == (thinking, budget)


def test_the_context_window_is_the_given_one_or_the_models() -> None:
    assert _agent().context_window_tokens == 5000
    assert _agent(context_window_limit=7).context_window_tokens == 7
    config = {"model": "m", "context_window": 8}
    assert _agent(llm_config=config).context_window_tokens == 8
    changed = changed_agent(_agent(), UpdateAgent(context_window_limit=9), None, NOW)
    assert changed.context_window_tokens == 9


def test_given_rules_stand_before_the_base_rules() -> None:
    agent = _agent(
        agent_type="memgpt_v2_agent",
        tool_rules=[
            {"type": "exit_loop", "tool_name": "send_message"},
            {"type": "constrain_child_tools", "tool_name": "a", "children": ["b"]},
        ],
    )
    assert [(rule.type, rule.tool_name) for rule in agent.tool_rules[:2]] == [
        ("exit_loop", "send_message"),
        ("constrain_child_tools", "a"),
    ]
    assert agent.tool_rules[1].extra == {"children": ["b"]}
    assert len([rule for rule in agent.tool_rules if rule.tool_name == "send_message"]) == 1
    assert _agent(agent_type="memgpt_v2_agent", include_base_tool_rules=False).tool_rules == ()


def test_what_is_kept_and_what_null_means() -> None:
    agent = _agent(project_id="p", enable_sleeptime=True, description="d", secrets={"A": "1"})
    assert agent.extra == {"project_id": "p", "enable_sleeptime": True}
    body = UpdateAgent.model_validate({"project_id": None, "description": None, "name": None})
    changed = changed_agent(agent, body, None, NOW)
    assert changed.extra == {"enable_sleeptime": True}
    assert (changed.description, changed.name) == (None, agent.name)


def test_labels_given_twice_are_named() -> None:
    check_block_labels(["a", "b"])
    with pytest.raises(Invalid, match="given twice: a, c"):
        check_block_labels(["a", "c", "b", "a", "c"])
