"""What would go to the model if this were sent now. Nothing is sent, stored or run."""

from __future__ import annotations

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import Addressee
from runstead.api.router import answers, v1_router
from runstead.api.routes.agents import AgentPath, find_record
from runstead.api.routes.conversations import LanePath, addressed
from runstead.api.services import Services
from runstead.api.wire.messages import ConversationRequest, SendRequest, StreamRequest
from runstead.api.wire.tools import specs_of
from runstead.domain.conversation import Conversation
from runstead.domain.message import Message
from runstead.domain.prompt import system_prompt
from runstead.domain.shown import conversation
from runstead.errors import Unprocessable
from runstead.ids import MessageId, UserId
from runstead.llm.chat_messages import ChatBodies
from runstead.llm.types import ModelRequest
from runstead.runs.admit import Said
from runstead.store import conversations, messages

router = v1_router("messages")


@router.post("/agents/{agent_id}/messages/preview-raw-payload")
@answers(dict[str, object])
async def preview_model_request(
    agent_id: AgentPath, body: SendRequest, caller: Caller, parts: Parts
) -> Response:
    """Read what the model would be asked if this were sent now, in the form of Chat Completions."""
    return await _preview(parts, caller.user.id, Addressee(agent_id), None, body)


@router.post("/conversations/{conversation_id}/messages/preview-raw-payload")
@answers(dict[str, object])
async def preview_conversation_model_request(
    conversation_id: LanePath, body: ConversationRequest, caller: Caller, parts: Parts
) -> Response:
    """Read what the model would be asked if this were sent to a conversation now, in the form of Chat Completions."""
    to, found = await addressed(parts, caller.user.id, conversation_id, body.agent_id)
    return await _preview(parts, caller.user.id, to, found, body)


async def _preview(
    parts: Services, user_id: UserId, to: Addressee, found: Conversation | None, body: StreamRequest
) -> Response:
    record = await find_record(parts, user_id, to.agent_id)
    agent, held = record.agent, tuple(record.blocks)
    if found is not None:
        agent = found.agent_of(agent)
        held = found.blocks_of(held, await parts.db.read(conversations.own_blocks, found))
    seen = await parts.db.read(messages.in_context, to.lane)
    asked = body.request()
    request = ModelRequest(
        model=asked.override_model or agent.model,
        system=system_prompt(agent, held, asked.override_system),
        messages=conversation([*seen, *_said(parts, user_id, to, body)]),
        tools=(*specs_of(agent.tools, record.tools), *asked.client_tools),
        settings=agent.settings,
    )
    _, _, name = request.model.partition("/")
    return Response(ChatBodies().body(request, name), media_type="application/json")


def _said(parts: Services, user_id: UserId, to: Addressee, body: StreamRequest) -> list[Message]:
    """What is sent, as it would be stored. Raises `Unprocessable` for answers to approvals."""
    now, found = parts.clock.now(), list[Message]()
    for given in body.inputs():
        if not isinstance(given, Said):
            raise Unprocessable(
                "An answer to an approval cannot be previewed: what its calls bring is not known."
            )
        found.append(
            Message(
                id=MessageId("message-" + parts.ids.uuid()),
                user_id=user_id,
                agent_id=to.agent_id,
                conversation_id=to.conversation_id,
                role=given.role,
                created_at=now,
                parts=given.parts,
                name=given.name,
            )
        )
    return found
