"""`runstead agents show`: by id or by name, with what it waits for."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client, story

pytestmark = pytest.mark.slow
RULE = {"type": "requires_approval", "tool_name": "conversation_search"}


def test_what_it_is_made_of(typed: Typed, client: Client, ended: Callable[..., str], mark: str) -> None:
    """Model, tools, blocks, and the call that wants an approval."""
    blocks = [{"label": "human", "value": "Ada."}]
    agent = client.agent(name=mark, tools=["conversation_search"], tool_rules=[RULE], memory_blocks=blocks)
    call = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_1"}
    run_id = ended(story({"calls": [call]}), agent_id=agent)

    shown = typed("agents", "show", mark).out

    assert f"agent      {mark} ({agent})" in shown
    assert "tools      conversation_search" in shown
    assert 'waits for  conversation_search({"query": "x"})' in shown
    assert f"next       runstead runs approve {run_id} (or deny)" in shown
    assert "[human]\nAda." in shown
    assert json.loads(typed("agents", "show", agent, "--json").out)["id"] == agent


def test_a_name_that_several_have(typed: Typed, client: Client, mark: str) -> None:
    """Their ids are named, so that one can be chosen; an unknown one says how to list."""
    ids = [client.agent(name=mark) for _ in range(2)]

    error = typed("agents", "show", mark).error

    assert all(id_ in error for id_ in ids)
    assert "runstead agents list" in typed("agents", "show", "nobody").error
    assert "runstead agents list" in typed("agents", "show", ids[0][:-4] + "0000").error
