"""What agents of each kind are given."""

from __future__ import annotations

import pytest

from runstead.domain.agent_type import SEND_MESSAGE, AgentType, base_rules, base_tools, default_prompt


@pytest.mark.parametrize("kind", AgentType)
def test_every_kind_has_tools_rules_and_a_prompt_that_fit(kind: AgentType) -> None:
    tools, rules, prompt = base_tools(kind), base_rules(kind), default_prompt(kind)
    speaks = SEND_MESSAGE in tools
    assert len(set(tools)) == len(tools)
    assert {rule.tool_name for rule in rules} == (set(tools) if speaks else set())
    assert [rule.tool_name for rule in rules if rule.type == "exit_loop"] == (
        [SEND_MESSAGE] if speaks else []
    )
    assert (SEND_MESSAGE in prompt) is speaks
    assert prompt
