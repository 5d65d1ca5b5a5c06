"""MCP servers from outside: registered, their tools called in runs; dead, killed and forbidden ones; secrets kept.

Real MCP servers, in processes of their own; the model is the story model.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.mcp_server import Program, stdio_command
from tests.ports import free_port
from tests.serving import Client, Json, Server, saying, story, until
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


def test_a_server_that_dies_in_a_call_is_found_again(place: Place) -> None:
    """The call is an error for the model, the run goes on; the next call finds the server that was started again."""
    client, program = place.client, place.streamable
    server = registered(client, "dying", config_of(place, "streamable_http"))
    tools = tools_of(client, server)
    agent = agent_with(client, tools["hang"], tools["add"])
    asked = program.lines.count("hang")
    hang = {"name": tools["hang"]["name"], "arguments": {}}
    add = {"name": tools["add"]["name"], "arguments": {"a": 1, "b": 1}}
    body = saying(story({"calls": [hang]}, {"calls": [add]}, {"text": ["done"]}))
    run = client.ask("POST", f"/v1/agents/{agent}/messages/async", body)["id"]
    until(lambda: program.lines.count("hang") > asked, WAIT_S, "the call")
    program.kill()
    program.start()
    client.wait_status(run, "completed", deadline_s=WAIT_S)
    messages = client.ask("GET", f"/v1/runs/{run}/messages?order=asc")
    lost, found = returns({"messages": messages})
    assert lost[0] == "error"
    assert "'dying'" in lost[1]
    # While it was starting, the second call may have found nobody: that is an error for the model too.
    assert found[0] == "success" or "cannot be" in found[1]
    assert returns(told(client, agent, add)) == [("success", "2")]


def test_a_program_that_dies_is_run_again(place: Place) -> None:
    """The server's child is killed; the next call has a new one, with the environment that it was given and no more."""
    client = place.client
    config = {**config_of(place, "stdio"), "env": {"GIVEN": SECRETS[2]}}
    server = registered(client, "program", config)
    environment = tools_of(client, server)["environment"]
    agent = agent_with(client, environment)
    call = {"name": environment["name"], "arguments": {}}
    status, text = returns(told(client, agent, call))[0]
    assert status == "success"
    number, *variables = text.splitlines()
    assert f"GIVEN={SECRETS[2]}" in variables
    assert not [each for each in variables if each.startswith(("OPENAI", "RUNSTEAD"))]
    os.kill(int(number), 9)
    again = returns(told(client, agent, call))
    if again[0][0] == "error":  # the call came before the end was seen
        again = returns(told(client, agent, call))
    assert again[0][0] == "success"
    assert again[0][1].splitlines()[0] != number


def test_a_cancelled_run_ends_its_call(place: Place) -> None:
    """The MCP server is told, and the run is over at once."""
    client, program = place.client, place.sse
    server = registered(client, "cancelled", config_of(place, "sse"))
    hang = tools_of(client, server)["hang"]
    agent = agent_with(client, hang)
    ended = program.lines.count("hang cancelled")
    asked = program.lines.count("hang")
    body = saying(story({"calls": [{"name": hang["name"], "arguments": {}}]}, {"text": ["never said"]}))
    run = client.ask("POST", f"/v1/agents/{agent}/messages/async", body)["id"]
    until(lambda: program.lines.count("hang") > asked, WAIT_S, "the call")
    client.ask("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run]})
    client.wait_status(run, "cancelled")
    until(lambda: program.lines.count("hang cancelled") > ended, WAIT_S, "the call's end")


def test_a_dead_server_stops_no_other(place: Place) -> None:
    """A call of a dead server's tool is an error; that of a live one, in the same run, is not."""
    client = place.client
    dead_port = free_port()
    with Program("streamable-http", dead_port, place.asked) as dying:
        dead = registered(client, "dead", {"server_url": dying.url})
        dead_add = tools_of(client, dead)["add"]
    live = registered(client, "live", config_of(place, "sse"))
    live_add = tools_of(client, live)["add"]
    assert live_add["name"] != dead_add["name"]
    agent = agent_with(client, dead_add, live_add)
    arguments = {"a": 20, "b": 22}
    answer = told(
        client,
        agent,
        {"name": dead_add["name"], "arguments": arguments},
        {"name": live_add["name"], "arguments": arguments},
    )
    failed, worked = returns(answer)
    assert failed[0] == "error"
    assert "cannot be reached" in failed[1]
    assert worked == ("success", "42")
    refused = client.refused("PATCH", f"/v1/mcp-servers/{dead['id']}/refresh")
    assert refused.status_code == 400
    # A server that does not answer can be registered all the same.
    unborn = registered(client, "unborn", {"server_url": f"http://127.0.0.1:{free_port()}/mcp"})
    assert tools_of(client, unborn) == {}


def test_a_refresh_brings_what_changed(place: Place) -> None:
    """New tools come, missing ones go and leave their agents, others are told of in their new words."""
    client = place.client
    with Program("streamable-http", free_port(), place.asked) as program:
        server = registered(client, "changing", {"server_url": program.url})
        before = tools_of(client, server)
        assert before["weather.today"]["name"].endswith("weather_today")
        agent = agent_with(client, before["add"], before["fail"])
        path = f"/v1/mcp-servers/{server['id']}"
        assert client.ask("PATCH", f"{path}/refresh") == {"added": [], "updated": [], "deleted": []}
        client.ask("POST", f"{path}/tools/{before['change']['id']}/run", {"args": {}})
        assert client.ask("PATCH", f"{path}/refresh?agent_id={agent}") == {
            "added": ["extra"],
            "updated": [before["add"]["name"]],
            "deleted": [before["fail"]["name"]],
        }
        after = tools_of(client, server)
    assert after["add"]["id"] == before["add"]["id"]
    assert after["add"]["description"] == "Add two numbers, in other words."
    names = [each["name"] for each in client.ask("GET", f"/v1/agents/{agent}/tools")]
    assert names == [before["add"]["name"]]
    limited = client.ask(
        "PATCH", f"/v1/tools/{after['extra']['id']}", {"return_char_limit": 9, "metadata_": {"a": 1}}
    )
    assert limited["metadata_"]["mcp"]["tool_name"] == "extra"
    refused = client.refused("PATCH", f"/v1/tools/{after['extra']['id']}", {"source_code": "def f(): ..."})
    assert refused.status_code == 400


def test_by_name_as_older_clients_speak(place: Place) -> None:
    """Put, test, connect, list, add one tool, execute, resync, change, delete: the same rows."""
    client = place.client
    config = {"server_name": "older", "type": "streamable_http", "server_url": place.streamable.url}
    path = "/v1/tools/mcp/servers"
    assert "add" in {each["name"] for each in client.ask("POST", f"{path}/test", config)["tools"]}
    with client.stream(f"{path}/connect", config) as events:
        assert [each.json["event"] for each in events] == ["connection_attempt", "success"]
    dead = {**config, "server_url": f"http://127.0.0.1:{free_port()}/mcp"}
    with client.stream(f"{path}/connect", dead) as events:
        assert [each.json["event"] for each in events] == ["connection_attempt", "error"]
    assert client.refused("POST", f"{path}/test", dead).status_code == 400
    assert "older" in {each["server_name"] for each in client.ask("PUT", path, config)}
    assert client.ask("GET", path)["older"]["type"] == "streamable_http"
    listed = client.ask("GET", f"{path}/older/tools")
    assert next(each for each in listed if each["name"] == "add")["inputSchema"]["required"] == ["a", "b"]
    tool = client.ask("POST", f"{path}/older/add")
    assert tool["tool_type"] == "external_mcp"
    assert client.ask("POST", f"{path}/older/add")["id"] == tool["id"]
    assert client.refused("POST", f"{path}/older/nothing").status_code == 404
    done = client.ask("POST", f"{path}/older/tools/add/execute", {"args": {"a": 1, "b": 2}})
    assert done == {"result": "3", "success": True}
    assert "fail" in str(client.ask("POST", f"{path}/older/resync")["added"])
    changed = client.ask("PATCH", f"{path}/older", {"auth_token": TOKEN})
    assert changed["auth_token"] == ""
    assert "older" not in str(client.ask("DELETE", f"{path}/older"))
    assert client.refused("GET", f"/v1/tools/{tool['id']}").status_code == 404


def test_secrets_reach_their_server_and_nobody_else(place: Place) -> None:
    """Sent with each request; in no answer, no log line, no file of the store. An empty text keeps what there is."""
    client = place.client
    config = config_of(place, "streamable_http")
    secret = {
        **config,
        "auth_token": TOKEN,
        "custom_headers": {"X-Key": SECRETS[1], "X-Other": "also-hushed"},
    }
    server = registered(client, "secret", secret)
    path = f"/v1/mcp-servers/{server['id']}"
    assert (server["auth_token"], server["custom_headers"]) == ("", {"X-Key": "", "X-Other": ""})
    headers = tools_of(client, server)["headers"]

    def shown() -> str:
        return client.ask("POST", f"{path}/tools/{headers['id']}/run", {"args": {}})["func_return"]

    assert f"authorization=Bearer {TOKEN}" in shown()
    assert f"x-key={SECRETS[1]}" in shown()
    client.ask("PATCH", path, {"config": {"auth_header": "X-Auth", "custom_headers": {"X-Key": ""}}})
    assert f"x-auth={TOKEN}" in shown()
    assert f"x-key={SECRETS[1]}" in shown()
    assert "x-other" not in shown()
    client.ask("PATCH", path, {"server_name": "renamed", "config": {"auth_token": None}})
    assert TOKEN not in shown()
    answers = str(
        [
            client.ask("GET", each)
            for each in ("/v1/mcp-servers/", path, "/v1/tools/mcp/servers", f"{path}/tools")
        ]
    )
    kept = b"".join(each.read_bytes() for each in (place.server.folder / "data").glob("runstead.db*"))
    for each in SECRETS:
        assert each not in answers
        assert each not in place.server.log
    assert SECRETS[1].encode() not in kept


def test_what_the_operator_did_not_allow_is_refused(server: Server, place: Place) -> None:
    """Programs, and addresses inside of the network, each naming its setting; nothing is stored."""
    with server.client() as client:
        for kind, setting in (("stdio", "RUNSTEAD_MCP_STDIO_COMMANDS"), ("sse", "RUNSTEAD_MCP_ALLOW_HOSTS")):
            config = config_of(place, kind)
            refused = client.refused("POST", "/v1/mcp-servers/", {"server_name": kind, "config": config})
            assert refused.status_code == 403
            assert setting in refused.json()["detail"]
            older = {"server_name": kind, "type": config.pop("mcp_server_type"), **config}
            for method, path in (("PUT", "servers"), ("POST", "servers/test")):
                assert client.refused(method, f"/v1/tools/mcp/{path}", older).status_code == 403
        assert client.ask("GET", "/v1/mcp-servers/") == []
    other = {"mcp_server_type": "stdio", "command": sys.executable, "args": ["-c", "print(1)"]}
    body = {"server_name": "other", "config": other}
    assert place.client.refused("POST", "/v1/mcp-servers/", body).status_code == 403
    steering = {**config_of(place, "stdio"), "env": {"LD_PRELOAD": "/tmp/x.so"}}
    body = {"server_name": "steering", "config": steering}
    assert place.client.refused("POST", "/v1/mcp-servers/", body).status_code == 403


def test_a_program_dies_with_the_server(model: StoryModel, folder: Path, tmp_path: Path) -> None:
    """Also where the server is killed without a word."""
    command = stdio_command(tmp_path / "asked")
    with Server(folder, model.url, RUNSTEAD_MCP_STDIO_COMMANDS=sys.executable) as own, own.client() as client:
        config = {"mcp_server_type": "stdio", "command": command[0], "args": command[1:]}
        server = registered(client, "mine", config)
        environment = tools_of(client, server)["environment"]
        path = f"/v1/mcp-servers/{server['id']}/tools/{environment['id']}/run"
        number = client.ask("POST", path, {"args": {}})["func_return"].splitlines()[0]
        own.kill()
        until(lambda: not Path(f"/proc/{number}").exists(), WAIT_S, "the program's end")
