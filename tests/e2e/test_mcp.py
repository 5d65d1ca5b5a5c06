"""MCP servers from outside: registered, their tools called in runs; dead, killed and forbidden ones; secrets kept.

Real MCP servers, in processes of their own; the model is the story model.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.mcp_server import Program, stdio_command
from tests.ports import free_port
from tests.serving import Client, Json, Server, saying, story
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow
WAIT_S = 45.0
TOKEN = "very-hushed-token"
SECRETS = (TOKEN, "very-hushed-header", "very-hushed-variable")


@dataclass(frozen=True, slots=True)
class Place:
    """A server that may ask MCP servers of this machine, and two that listen."""

    server: Server
    client: Client
    streamable: Program
    sse: Program
    asked: Path


@pytest.fixture(scope="module")
def place(model: StoryModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Shared by the tests of this file; its log must be free of tracebacks."""
    folder = tmp_path_factory.mktemp("mcp")
    with ExitStack() as stack:
        server = Server(
            folder / "server",
            model.url,
            RUNSTEAD_MCP_ALLOW_HOSTS="127.0.0.1",
            RUNSTEAD_MCP_STDIO_COMMANDS=f"{sys.executable} {stdio_command(folder)[1]}",
            RUNSTEAD_LOG_LEVEL="DEBUG",
        )
        stack.enter_context(server)
        client = stack.enter_context(server.client())
        streamable = stack.enter_context(Program("streamable-http", free_port(), folder / "streamable"))
        sse = stack.enter_context(Program("sse", free_port(), folder / "sse"))
        yield Place(server, client, streamable, sse, folder / "stdio")
    assert "Traceback" not in server.log, server.log


def config_of(place: Place, kind: str) -> Json:
    """What a client sends to register a server of that type."""
    if kind == "stdio":
        command = stdio_command(place.asked)
        return {"mcp_server_type": kind, "command": command[0], "args": command[1:]}
    url = place.sse.url if kind == "sse" else place.streamable.url
    return {"mcp_server_type": kind, "server_url": url}


def registered(client: Client, name: str, config: Json) -> Json:
    """A new server."""
    body = {"server_name": name, "config": config}
    return client.ask("POST", "/v1/mcp-servers/", body)


def tools_of(client: Client, server: Json) -> dict[str, Json]:
    """A server's stored tools by the names that they have there."""
    listed = client.ask("GET", f"/v1/mcp-servers/{server['id']}/tools")
    return {each["metadata_"]["mcp"]["tool_name"]: each for each in listed}


def returns(answer: Json) -> list[tuple[str, str]]:
    """The tool returns of a blocking answer: status and text."""
    messages = [each for each in answer["messages"] if each["message_type"] == "tool_return_message"]
    return [(each["status"], each["tool_return"]) for each in messages]


def told(client: Client, agent: str, *calls: Json) -> Json:
    """The answer to a message whose model makes these calls, one after the other, and then says something."""
    turns: list[Any] = [{"calls": [call]} for call in calls]
    body = saying(story(*turns, {"text": ["done"]}))
    return client.ask("POST", f"/v1/agents/{agent}/messages", body, timeout=120)


def agent_with(client: Client, *tools: Json) -> str:
    """A new agent that has these tools."""
    return client.agent(tool_ids=[each["id"] for each in tools])


@pytest.mark.parametrize("kind", ["stdio", "sse", "streamable_http"])
def test_a_tool_of_every_transport_is_called_in_a_run(place: Place, kind: str) -> None:
    """Registered, listed with its schema, attached, called by the model; its errors are returns for the model."""
    client = place.client
    server = registered(client, f"run-{kind}", config_of(place, kind))
    tools = tools_of(client, server)
    add = tools["add"]
    assert add["tool_type"] == "external_mcp"
    assert add["json_schema"]["parameters"]["required"] == ["a", "b"]
    fail, call_id = tools["fail"], tools["call_id"]
    agent = agent_with(client, add, fail, call_id)
    answer = told(
        client,
        agent,
        {"name": add["name"], "arguments": {"a": 1, "b": 2}},
        {"name": fail["name"], "arguments": {}},
        {"name": add["name"], "arguments": {"a": "no number", "b": 2}},
        {"name": call_id["name"], "arguments": {}, "id": "call_of_the_model"},
    )
    first, failed, wrong, named = returns(answer)
    assert first == ("success", "3")
    assert failed[0] == "error"
    assert wrong[0] == "error"
    assert "valid integer" in wrong[1]
    assert named[0] == "success"
    assert named[1].startswith("call_")
    assert answer["stop_reason"]["stop_reason"] == "end_turn"
    ran = client.ask(
        "POST", f"/v1/mcp-servers/{server['id']}/tools/{add['id']}/run", {"args": {"a": 2, "b": 3}}
    )
    assert (ran["status"], ran["func_return"]) == ("success", "5")
    client.ask("PATCH", f"/v1/agents/{agent}/tools/detach/{add['id']}")
    assert client.http.delete(f"/v1/mcp-servers/{server['id']}").status_code == 204
    assert client.ask("GET", f"/v1/agents/{agent}/tools") == []
