"""MCP servers by letta-client 1.12.1: `python journey_mcp_sdk1.py URL MCP_URL`, in that SDK's environment."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from journey import all_valid, operation, story, travel, valid
from letta_client import Letta, NotFoundError, PermissionDeniedError
from letta_client.types import ToolReturnMessage

SECRET = "hushed"


@dataclass
class World:
    """The client, where the MCP server is, and what the journey found so far."""

    client: Letta
    mcp_url: str
    server_id: str = ""


def tool_named(world: World, name: str) -> Any:
    """The stored tool of the server that has that name there."""
    found = world.client.mcp_servers.tools.list(world.server_id)
    return next(tool for tool in found if tool.metadata["mcp"]["tool_name"] == name)


@operation
def registered(world: World) -> None:
    config = {
        "mcp_server_type": "streamable_http",
        "server_url": world.mcp_url,
        "auth_header": "X-Key",
        "auth_token": SECRET,
    }
    server = world.client.mcp_servers.create(server_name="compat", config=config)
    valid(server)
    world.server_id = server.id
    assert (server.server_name, server.server_url) == ("compat", world.mcp_url)
    assert SECRET not in server.to_json()


@operation
def read_and_listed(world: World) -> None:
    servers = world.client.mcp_servers
    valid(servers.retrieve(world.server_id))
    listed = servers.list()
    all_valid(listed)
    assert world.server_id in {each.id for each in listed}


@operation
def changed(world: World) -> None:
    config = {
        "mcp_server_type": "streamable_http",
        "server_url": world.mcp_url,
        "custom_headers": {"X-More": "1"},
    }
    server = world.client.mcp_servers.update(world.server_id, server_name="compat-1", config=config)
    valid(server)
    assert (server.server_name, server.custom_headers) == ("compat-1", {"X-More": ""})


@operation
def tools_listed_and_run(world: World) -> None:
    tools = world.client.mcp_servers.tools
    all_valid(tools.list(world.server_id))
    add = tool_named(world, "add")
    assert add.tool_type == "external_mcp"
    assert tools.retrieve(add.id, mcp_server_id=world.server_id).name == add.name
    ran = tools.run(add.id, mcp_server_id=world.server_id, args={"a": 1, "b": 2})
    valid(ran)
    assert (ran.status, ran.func_return) == ("success", "3")
    headers = tool_named(world, "headers")
    shown = tools.run(headers.id, mcp_server_id=world.server_id).func_return
    assert f"x-key={SECRET}" in shown
    failed = tools.run(tool_named(world, "fail").id, mcp_server_id=world.server_id)
    assert failed.status == "error"


@operation
def called_in_a_run(world: World) -> None:
    add = tool_named(world, "add")
    agent = world.client.agents.create(
        model="openai/story", embedding="openai/story", tool_ids=[add.id], include_base_tools=False
    )
    call = {"name": add.name, "arguments": {"a": 40, "b": 2}}
    said = [{"role": "user", "content": story({"calls": [call]}, {"text": ["well then"]})}]
    answer = world.client.agents.messages.create(agent.id, messages=said)
    returned = [each for each in answer.messages if isinstance(each, ToolReturnMessage)]
    assert [(each.status, each.tool_return) for each in returned] == [("success", "42")]


@operation
def refreshed(world: World) -> None:
    assert world.client.mcp_servers.refresh(world.server_id) == {"added": [], "updated": [], "deleted": []}


@operation
def a_program_is_refused(world: World) -> None:
    config = {"mcp_server_type": "stdio", "command": "sh", "args": ["-c", "true"]}
    try:
        world.client.mcp_servers.create(server_name="program", config=config)
    except PermissionDeniedError as error:
        assert "RUNSTEAD_MCP_STDIO_COMMANDS" in error.body["detail"]
    else:
        raise AssertionError("a program was allowed")


@operation
def deleted(world: World) -> None:
    add = tool_named(world, "add")
    assert world.client.mcp_servers.delete(world.server_id) is None
    for gone in (
        lambda: world.client.mcp_servers.retrieve(world.server_id),
        lambda: world.client.tools.retrieve(add.id),
    ):
        try:
            gone()
        except NotFoundError:
            continue
        raise AssertionError("it is still there")


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], api_key="any", max_retries=0), sys.argv[2]))
