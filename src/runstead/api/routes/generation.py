"""One question to an agent's model, past the agent. It makes no run: the agent does not act, and remembers nothing of it.

Nothing of it is stored, so nothing of it survives: who leaves, or whose server ends, asks again.
"""

from __future__ import annotations

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, find_model, find_record
from runstead.api.wire.generation import GenerateRequest, GenerationState, generation_state
from runstead.ids import MessageId
from runstead.llm.whole import whole_answer

router = v1_router("agents")


@router.post("/agents/{agent_id}/generate")
@answers(GenerationState)
async def generate_completion(
    agent_id: AgentPath, body: GenerateRequest, caller: Caller, parts: Parts
) -> Response:
    """Ask an agent's model one thing, without the agent's prompt, memory, history and tools."""
    agent = (await find_record(parts, caller.user.id, agent_id)).agent
    if body.override_model is not None:
        await find_model(parts, caller.user.id, body.override_model)
    message = body.message(agent, MessageId("message-" + parts.ids.uuid()), parts.clock.now())
    question = body.question(agent, message)
    return Json(generation_state(question.model, await whole_answer(parts.gateway, question)))
