"""Tools in the store: one name, one tool of its actor; and what agents have of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent

from runstead.domain.agent import ToolRule
from runstead.domain.stored_tool import Requirement, StoredTool
from runstead.errors import Invalid, NotFound
from runstead.ids import DEFAULT_USER, ToolId, UserId
from runstead.store import agent_tools, agents, tools

OTHER = UserId("user-00000000-0000-4000-8000-000000000009")
TOOL = StoredTool(
    ToolId("tool-1"),
    DEFAULT_USER,
    "roll",
    NOW,
    NOW,
    "Roll.",
    source_code="def roll(): ...",
    json_schema={"name": "roll"},
    args_json_schema={"properties": {}},
    tags=("a",),
    return_limit_chars=7,
    pip_requirements=(Requirement("x", "1"), Requirement("y")),
    npm_requirements=(Requirement("z"),),
    default_requires_approval=True,
    parallel=True,
    metadata={"m": 1},
)


def test_what_is_stored_is_read_again(conn: Connection) -> None:
    """All of it, by its own actor only."""
    assert tools.put_tool(conn, TOOL) == TOOL
    assert tools.find_tool(conn, DEFAULT_USER, TOOL.id) == TOOL
    assert tools.tools_named(conn, DEFAULT_USER, ["roll", "x"]) == {"roll": TOOL}
    assert tools.tools_with_ids(conn, DEFAULT_USER, [TOOL.id]) == {TOOL.id: TOOL}
    assert tools.find_tool(conn, OTHER, TOOL.id) is None
    assert tools.tools_named(conn, OTHER, ["roll"]) == tools.tools_with_ids(conn, OTHER, [TOOL.id]) == {}
    assert tools.list_heads(conn, OTHER) == []
    assert agent_tools.change_tool(conn, OTHER, TOOL.id, lambda tool: tool) is None
    with pytest.raises(NotFound):
        agent_tools.delete_tool(conn, OTHER, TOOL.id)


def test_a_name_is_one_tool(conn: Connection) -> None:
    """Putting it again changes it and keeps its id; a change may not take another's name."""
    tools.put_tool(conn, TOOL)
    after = tools.put_tool(conn, replace(TOOL, id=ToolId("tool-2"), description="Anew."))
    assert (after.id, after.description) == (TOOL.id, "Anew.")
    tools.put_tool(conn, replace(TOOL, id=ToolId("tool-3"), name="other"))
    with pytest.raises(Invalid, match="'roll'"):
        agent_tools.change_tool(conn, DEFAULT_USER, "tool-3", lambda tool: replace(tool, name="roll"))
    assert [head.name for head in tools.list_heads(conn, DEFAULT_USER)] == ["roll", "other"]


def test_agents_follow_their_tools(conn: Connection) -> None:
    """A new name is the agents' too, with their rules; a deleted tool is nobody's. Similar names are left alone."""
    tools.put_tool(conn, TOOL)
    rules = (ToolRule("exit_loop", "roll"), ToolRule("exit_loop", "roll_on"))
    agents.insert_agent(conn, agent(1, tools=("roll", "roll_on"), tool_rules=rules))
    agents.insert_agent(conn, agent(2, tools=("roll_on",), description='say "roll"'))
    agent_tools.change_tool(conn, DEFAULT_USER, TOOL.id, lambda tool: replace(tool, name="throw"))
    first = agents.find_agent(conn, DEFAULT_USER, agent(1).id)
    assert first is not None
    assert first.tools == ("throw", "roll_on")
    assert [rule.tool_name for rule in first.tool_rules] == ["throw", "roll_on"]
    agent_tools.delete_tool(conn, DEFAULT_USER, TOOL.id)
    bare = agents.find_agent(conn, DEFAULT_USER, agent(1).id)
    assert bare is not None
    assert (bare.tools, len(bare.tool_rules)) == (("roll_on",), 1)
    second = agents.find_agent(conn, DEFAULT_USER, agent(2).id)
    assert second is not None
    assert second.tools == ("roll_on",)
