"""Tools that the client runs: in every mode the run ends at the call, the client's return goes on, and nothing runs here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.world import World, world

from runstead.llm.scripted import ScriptedGateway, calls, says

CLIENTS = {
    "name": "read_file",
    "description": "The client's own.",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}},
}
SERVERS = '''
def read_file(path: str) -> str:
    """The server's own.

    Args:
        path (str): Which.
    """
    raise RuntimeError("the server ran it")
'''


async def asked_for(w: World, agent: str, mode: str) -> dict[str, Any]:
    """What a mode tells of the call: the message that asks the client."""
    if mode == "blocking":
        answer = (await w.say(agent, "go", client_tools=[CLIENTS])).json()
        assert answer["stop_reason"]["stop_reason"] == "requires_approval"
        return answer["messages"][-1]
    if mode == "async":
        run_id = await w.begin(agent, "go", client_tools=[CLIENTS])
        run = await w.ended(run_id)
        assert (run.status, run.stop_reason) == ("completed", "requires_approval")
        return (await w.get(f"/v1/runs/{run_id}/messages"))[-1]
    more = {"background": mode == "background", "stream_tokens": mode != "steps"}
    told = await w.stream(agent, "go", client_tools=[CLIENTS], **more)
    assert [f.data["stop_reason"] for f in told if f.kind == "stop_reason" and f.data] == [
        "requires_approval"
    ]
    return next(f.data for f in told if f.kind == "approval_request_message" and f.data)


@pytest.mark.parametrize("mode", ["blocking", "tokens", "steps", "background", "async"])
async def test_the_client_runs_it_whatever_the_mode(tmp_path: Path, mode: str) -> None:
    """Also where the server has a tool of the same name, which is neither offered nor run."""
    gateway = ScriptedGateway([calls(("read_file", '{"path": "a"}')), says("It says hi.")])
    async with world(tmp_path, gateway) as w:
        assert (await w.client.post("/v1/tools/", json={"source_code": SERVERS})).status_code == 200
        agent = await w.agent(include_base_tools=False, tools=["read_file"])

        request = await asked_for(w, agent, mode)

        assert ("approval_request_message", "read_file") == (
            request["message_type"],
            request["tool_call"]["name"],
        )
        told = [(t.name, t.description, t.client) for t in gateway.requests[0].tools]
        assert [("read_file", "The client's own.", True)] == told
        item = {"type": "tool", "tool_call_id": "call-1", "tool_return": "hi", "status": "success"}
        body = {"messages": [{"type": "approval", "approvals": [item]}], "client_tools": [CLIENTS]}
        answer = (await w.client.post(f"/v1/agents/{agent}/messages", json=body)).json()
        assert ["hi", "It says hi."] == [m.get("tool_return") or m["content"] for m in answer["messages"]]


async def test_the_same_name_without_the_client_is_the_servers(tmp_path: Path) -> None:
    """A client's tool is there for the request that brings it only."""
    gateway = ScriptedGateway([calls(("read_file", '{"path": "a"}')), says("It failed.")])
    async with world(tmp_path, gateway) as w:
        await w.client.post("/v1/tools/", json={"source_code": SERVERS})
        agent = await w.agent(include_base_tools=False, tools=["read_file"])

        answer = (await w.say(agent, "go")).json()

        returned = next(m for m in answer["messages"] if m["message_type"] == "tool_return_message")
        assert "RuntimeError: the server ran it" in returned["tool_return"]
        assert ["The server's own."] == [t.description for t in gateway.requests[0].tools]
        assert "end_turn" == answer["stop_reason"]["stop_reason"]
