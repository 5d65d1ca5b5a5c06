"""How an agent is answered."""

from __future__ import annotations

from dataclasses import replace

from runstead.api.wire.agents import RELATIONS, AgentDetails, agent_state, wanted_relations
from runstead.clock import ManualClock
from runstead.domain.agent import Agent, ModelSettings
from runstead.ids import DEFAULT_USER, AgentId
from runstead.store.secrets import SecretName

NOW = ManualClock().now()
AGENT = Agent(AgentId("agent-1"), DEFAULT_USER, "n", "letta_v1_agent", "anthropic/claude", "s", NOW, NOW)


def test_relations_are_asked_for_in_two_ways() -> None:
    assert wanted_relations([], None, sdk1=False) == RELATIONS - {"pending_approval"}
    assert wanted_relations([], None, sdk1=True) == frozenset()
    assert wanted_relations(["agent.tools"], None, sdk1=True) == {"tools"}
    assert wanted_relations([], ["memory", "identity_ids"], sdk1=False) == {"blocks", "identities"}
    assert "pending_approval" in wanted_relations(["agent.pending_approval"], None, sdk1=False)


def test_what_is_not_wanted_is_empty_and_never_left_out() -> None:
    agent = replace(AGENT, tags=("t",), tools=("send_message",))
    details = AgentDetails(secrets=[SecretName("A", AGENT.created_at, AGENT.created_at)])
    whole, bare = agent_state(agent, details), agent_state(agent, details, frozenset())
    assert whole.keys() == bare.keys()
    assert (bare["tags"], bare["tools"], bare["secrets"]) == ([], [], [])
    assert whole["secrets"][0]["id"].startswith("agent-env-")
    assert whole["secrets"][0]["value"] == ""


def test_an_unknown_model_is_told_by_its_handle() -> None:
    state = agent_state(replace(AGENT, settings=ModelSettings(max_tokens=7)), AgentDetails())
    assert state["llm_config"]["model"] == "claude"
    assert state["llm_config"]["model_endpoint_type"] == "anthropic"
    assert state["model_settings"] == {"provider_type": "anthropic", "max_output_tokens": 7}
    assert state["embedding_config"]["embedding_model"] == "none"
