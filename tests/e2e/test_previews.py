"""What would go to the model if it were sent now: the same that goes to it then."""

from __future__ import annotations

from pathlib import Path

import orjson
from tests.world import world

from runstead.llm.chat_messages import ChatBodies
from runstead.llm.scripted import ScriptedGateway, says


async def test_a_preview_is_what_the_model_is_asked_then(tmp_path: Path) -> None:
    """In an agent's own history and in a conversation with words of its own; nothing is stored by it."""
    model = ScriptedGateway(lambda _: says("Yes."))
    async with world(tmp_path, model) as w:
        agent = await w.agent()
        await w.say(agent, "one")
        made = (await w.client.post(f"/v1/conversations/?agent_id={agent}")).json()["id"]
        look = {"name": "look", "parameters": {"type": "object", "properties": {}}}
        body = {
            "messages": [{"role": "user", "content": "two"}],
            "client_tools": [look],
            "override_system": "S.",
        }
        for path in (f"/v1/agents/{agent}/messages", f"/v1/conversations/{made}/messages"):
            before = len(await w.get(f"/v1/agents/{agent}/messages?limit=1000"))

            preview = await w.client.post(f"{path}/preview-raw-payload", json=body)

            assert before == len(await w.get(f"/v1/agents/{agent}/messages?limit=1000"))
            await w.client.post(path, json={**body, "streaming": False})
            asked = orjson.loads(ChatBodies().body(model.requests[-1], "model"))
            assert asked == preview.json()
            assert "S." in asked["messages"][0]["content"]
            assert "look" in [tool["function"]["name"] for tool in asked["tools"]]
        approval = {"type": "approval", "approvals": [{"tool_call_id": "call-1", "approve": True}]}
        for wrong in ({"messages": []}, {"messages": [approval]}):
            answer = await w.client.post(f"/v1/agents/{agent}/messages/preview-raw-payload", json=wrong)
            assert 422 == answer.status_code
