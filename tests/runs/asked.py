"""An agent that asks before it calls, and what a transcript says of it. Used by the tests of expiry and of refusals."""

from __future__ import annotations

from typing import Any

from tests.world import World

SEARCH = ("conversation_search", '{"query": "tea"}')
INSERT = ("memory_insert", '{"label": "human", "new_str": "Tea."}')
ASK_FIRST = [{"type": "requires_approval", "tool_name": "conversation_search"}]

Json = dict[str, Any]


async def asking(w: World, **more: object) -> tuple[str, Json]:
    """An agent whose run ended with a question, and that run."""
    agent = await w.agent(**{"tool_rules": ASK_FIRST, **more})
    run_id = await w.begin(agent, "look it up")
    await w.ended(run_id)
    return agent, await w.get(f"/v1/runs/{run_id}")


def verdict(approve: bool, *call_ids: str, reason: str | None = None) -> Json:
    """An answer in the newer form."""
    items = [
        {"type": "approval", "tool_call_id": call_id, "approve": approve, "reason": reason}
        for call_id in call_ids or ("call-1",)
    ]
    return {"messages": [{"type": "approval", "approvals": items}]}


async def answer(w: World, agent: str, body: Json) -> Any:
    """Send an answer and wait for what comes of it."""
    return await w.client.post(f"/v1/agents/{agent}/messages", json=body)


async def returned(w: World, agent: str) -> list[tuple[str, str]]:
    """The returns in an agent's transcript, oldest first: status and text."""
    found = await w.get(f"/v1/agents/{agent}/messages?order=asc")
    return [(m["status"], m["tool_return"]) for m in found if m["message_type"] == "tool_return_message"]


async def waiting(w: World) -> list[str]:
    """The runs in the inbox."""
    return [run["id"] for run in await w.get("/v1/runs/?stop_reason=requires_approval&asking=true")]
