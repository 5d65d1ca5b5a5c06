"""MCP servers by letta-client 0.1.324: `python journey_mcp_sdk0.py URL MCP_URL`, in that SDK's environment."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass

from journey import operation, story, travel, valid
from letta_client import Letta, MessageCreate, StdioServerConfig, StreamableHttpServerConfig
from letta_client import UpdateStreamableHttpmcpServer as Update
from letta_client.core.api_error import ApiError

NAME = "older"


@dataclass
class World:
    """The client, where the MCP server is, and what the journey found so far."""

    client: Letta
    mcp_url: str
    tool_id: str = ""


def config_of(world: World) -> StreamableHttpServerConfig:
    """The server as this SDK says it."""
    return StreamableHttpServerConfig(
        server_name=NAME, type="streamable_http", server_url=world.mcp_url, auth_token="hushed"
    )


@operation
def tried(world: World) -> None:
    tools = world.client.tools
    found = tools.test_mcp_server(request=config_of(world))
    assert "add" in {each["name"] for each in found["tools"]}
    events = list(tools.connect_mcp_server(request=config_of(world)))
    assert len(events) == 2


@operation
def registered(world: World) -> None:
    listed = world.client.tools.add_mcp_server(request=config_of(world))
    for each in listed:
        valid(each)
    assert NAME in {each.server_name for each in listed}
    assert world.client.tools.list_mcp_servers()[NAME].server_url == world.mcp_url


@operation
def a_tool_is_added(world: World) -> None:
    tools = world.client.tools
    listed = tools.list_mcp_tools_by_server(NAME)
    for each in listed:
        valid(each)
    add = next(each for each in listed if each.name == "add")
    assert add.input_schema["required"] == ["a", "b"]
    tool = tools.add_mcp_tool(NAME, "add")
    valid(tool)
    world.tool_id = tool.id


@operation
def it_is_called_in_a_run(world: World) -> None:
    tool = world.client.tools.retrieve(world.tool_id)
    agent = world.client.agents.create(
        model="openai/story", embedding="openai/story", tool_ids=[tool.id], include_base_tools=False
    )
    text = story({"calls": [{"name": tool.name, "arguments": {"a": 40, "b": 2}}]}, {"text": ["well then"]})
    answer = world.client.agents.messages.create(
        agent.id, messages=[MessageCreate(role="user", content=text)]
    )
    returned = [each for each in answer.messages if each.message_type == "tool_return_message"]
    assert [(each.status, each.tool_return) for each in returned] == [("success", "42")]


@operation
def changed(world: World) -> None:
    after = world.client.tools.update_mcp_server(NAME, request=Update(auth_header="X-Key"))
    assert after.auth_header == "X-Key"


@operation
def a_program_is_refused(world: World) -> None:
    program = StdioServerConfig(server_name="program", type="stdio", command="sh", args=[])
    try:
        world.client.tools.add_mcp_server(request=program)
    except ApiError as error:
        assert error.status_code == 403
    else:
        raise AssertionError("a program was allowed")


@operation
def deleted(world: World) -> None:
    left = world.client.tools.delete_mcp_server(NAME)
    assert NAME not in {each.server_name for each in left}


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], token="any"), sys.argv[2]))
