"""The transcript over all agents of an actor: list it, read one message, search it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import history, shown_messages
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import no_agent
from runstead.api.wire.messages import MessageState
from runstead.api.wire.paging import asked
from runstead.api.wire.stored_messages import (
    SPOKEN,
    AllMessagesQuery,
    MessageFound,
    SaidFound,
    SearchAllMessages,
    SearchMessages,
    messages_found,
    said_found,
)
from runstead.domain.run import RunRequest
from runstead.errors import NotFound
from runstead.store import agents, messages
from runstead.store.messages import MessageFilter

router = v1_router("messages")


@router.get("/messages/")
@answers(list[MessageState])
async def list_all_messages(
    query: Annotated[AllMessagesQuery, asked(AllMessagesQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the messages of all agents: the newest first unless asked otherwise."""
    where = MessageFilter(lane=query.conversation_id)
    return Json(await history(parts, caller.user.id, where, query))


@router.get("/messages/{message_id}")
@answers(list[MessageState])
async def retrieve_message(message_id: str, caller: Caller, parts: Parts) -> Response:
    """Read one stored message, as the list of what it is told as."""
    found = await parts.db.read(messages.find_message, caller.user.id, message_id)
    if found is None:
        raise NotFound(f"Message {message_id} not found")
    return Json(shown_messages([found], RunRequest()))


@router.post("/messages/search")
@answers(list[SaidFound])
async def search_all_messages(body: SearchAllMessages, caller: Caller, parts: Parts) -> Response:
    """Find what was said by the words it holds, the newest first."""
    await _check_agent(parts, caller, body.agent_id)
    found = await parts.db.read(messages.find_messages, caller.user.id, body.looking_for(body.query))
    return Json(said_found([m for m in found if m.role in SPOKEN], body.limit))


@router.post("/agents/messages/search")
@answers(list[MessageFound])
async def search_messages(body: SearchMessages, caller: Caller, parts: Parts) -> Response:
    """Find stored messages by the words they hold, the newest first."""
    await _check_agent(parts, caller, body.agent_id)
    found = await parts.db.read(messages.find_messages, caller.user.id, body.looking_for(body.query or ""))
    return Json(messages_found(found))


async def _check_agent(parts: Parts, caller: Caller, agent_id: str | None) -> None:
    """Raises `NotFound` where the named agent is not the caller's."""
    if agent_id is not None:
        if not await parts.db.read(agents.is_agent, caller.user.id, agent_id):
            raise no_agent(agent_id)
