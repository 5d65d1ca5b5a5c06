"""A message as it is stored, as JSON: one object a message, where `wire/events.py` has one a part; and search."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.messages import HistoryQuery
from runstead.api.wire.paging import Moment
from runstead.domain.event import AssistantSaid, MessageEvent, Reasoned, SystemSaid, UserSaid
from runstead.domain.message import ImagePart, Message, Part, ReasoningPart, Role, TextPart, ToolReturn
from runstead.domain.run import RunRequest
from runstead.domain.transcript import told
from runstead.ids import AgentId
from runstead.store.messages import MessageSearch

Json = dict[str, object]
FOUND_MAX = 1000
# Which place of a fused ranking counts how much: the usual constant of reciprocal rank fusion.
_RANK_OFFSET = 60
_ROLES = {"user": Role.USER, "system": Role.SYSTEM, "assistant": Role.ASSISTANT, "tool": Role.TOOL}
SPOKEN = (Role.SYSTEM, Role.USER, Role.ASSISTANT)


class StoredMessageState(TypedDict):
    """A message as it is stored."""

    id: str
    role: str
    agent_id: str | None
    conversation_id: str | None
    content: list[Json] | None
    name: str | None
    model: str | None
    tool_calls: list[Json] | None
    tool_call_id: str | None
    tool_returns: list[Json] | None
    approval_request_id: str | None
    approve: bool | None
    denial_reason: str | None
    approvals: list[Json] | None
    run_id: str | None
    step_id: str | None
    otid: str | None
    group_id: str | None
    sender_id: str | None
    batch_item_id: str | None
    is_err: bool | None
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: datetime
    updated_at: datetime | None


class MessageFound(TypedDict):
    """A message as the older search answers it."""

    embedded_text: str
    message: StoredMessageState
    fts_rank: int | None
    vector_rank: int | None
    rrf_score: float


class SaidFound(TypedDict, total=False):
    """A part of a message as the newer search answers it; a thought has `reasoning`, all else `content`."""

    message_id: str
    message_type: Literal["system_message", "user_message", "assistant_message", "reasoning_message"]
    agent_id: str | None
    conversation_id: str | None
    created_at: datetime
    content: str | list[Json]
    reasoning: str


class AllMessagesQuery(HistoryQuery):
    """Which messages of all agents shall be listed."""

    conversation_id: str | None = None


class _Search(BaseModel):
    search_mode: Literal["vector", "fts", "hybrid"] = "hybrid"
    roles: list[Literal["user", "system", "assistant", "tool", "approval", "function", "summary"]] | None = (
        None
    )
    agent_id: str | None = None
    conversation_id: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=FOUND_MAX)] = 50
    start_date: Moment | None = None
    end_date: Moment | None = None

    def looking_for(self, words: str) -> MessageSearch:
        """The store's search."""
        roles = (
            tuple(_ROLES.values())
            if self.roles is None
            else tuple(Role(r) for r in self.roles if r in _ROLES)
        )
        return MessageSearch(
            words=tuple(words.split()),
            agent_id=None if self.agent_id is None else AgentId(self.agent_id),
            conversation_id=self.conversation_id,
            roles=roles,
            since=self.start_date,
            until=self.end_date,
            limit=self.limit,
        )


class SearchMessages(_Search):
    """What shall be looked for. Every word must stand in the message; `search_mode` is taken, and words are searched."""

    query: str | None = None


class SearchAllMessages(_Search):
    """The newer form: there must be something to look for."""

    query: str


def stored_message_state(message: Message) -> StoredMessageState:
    """A message as it is stored."""
    decision = message.decisions[0] if message.decisions else None
    returns = () if message.tool_return is None else (message.tool_return,)
    return {
        "id": message.id,
        "role": message.role.value,
        "agent_id": message.agent_id,
        "conversation_id": message.conversation_id,
        "content": [_part(part) for part in message.parts] or None,
        "name": message.name,
        "model": None,
        "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
        or None,
        "tool_call_id": None if message.tool_return is None else message.tool_return.call_id,
        "tool_returns": [_return(each) for each in returns] or None,
        "approval_request_id": message.answers,
        "approve": None if decision is None else decision.approve,
        "denial_reason": None if decision is None else decision.reason,
        "approvals": [*_decisions(message), *({"type": "tool", **_return(r)} for r in message.client_returns)]
        or None,
        "run_id": message.run_id,
        "step_id": message.step_id,
        "otid": message.otid,
        "group_id": message.group_id,
        "sender_id": message.sender_id,
        "batch_item_id": None,
        "is_err": message.is_err,
        "created_by_id": message.user_id,
        "last_updated_by_id": message.user_id,
        "created_at": message.created_at,
        "updated_at": message.created_at,
    }


def messages_found(found: Sequence[Message]) -> list[MessageFound]:
    """What the older search answers, the best first."""
    return [
        {
            "embedded_text": message.tool_return.text if message.tool_return else message.text,
            "message": stored_message_state(message),
            "fts_rank": rank,
            "vector_rank": None,
            "rrf_score": 1 / (_RANK_OFFSET + rank),
        }
        for rank, message in enumerate(found, 1)
    ]


def said_found(found: Sequence[Message], limit: int) -> list[SaidFound]:
    """What the newer search answers: the parts of messages that say something."""
    parts = [
        each for message in found for event in told(message, RunRequest()) for each in _said(message, event)
    ]
    return parts[:limit]


def _said(message: Message, event: MessageEvent) -> list[SaidFound]:
    found = SaidFound(
        message_id=message.id,
        agent_id=message.agent_id,
        conversation_id=message.conversation_id,
        created_at=message.created_at,
    )
    match event:
        case SystemSaid():
            found["message_type"], found["content"] = "system_message", event.text
        case AssistantSaid():
            found["message_type"], found["content"] = "assistant_message", event.text
        case Reasoned():
            found["message_type"], found["reasoning"] = "reasoning_message", event.text
        case UserSaid():
            found["message_type"], found["content"] = "user_message", message.text
        case _:
            return []
    return [found]


def _decisions(message: Message) -> list[Json]:
    return [
        {"type": "approval", "tool_call_id": d.call_id, "approve": d.approve, "reason": d.reason}
        for d in message.decisions
    ]


def _return(result: ToolReturn) -> Json:
    return {
        "tool_call_id": result.call_id,
        "status": result.status,
        "stdout": list(result.stdout) or None,
        "stderr": list(result.stderr) or None,
        "func_response": result.text,
    }


def _part(part: Part) -> Json:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ReasoningPart() if part.redacted is not None:
            return {"type": "redacted_reasoning", "data": part.redacted}
        case ReasoningPart():
            return {
                "type": "reasoning",
                "is_native": True,
                "reasoning": part.text,
                "signature": part.signature,
            }
        case ImagePart():
            source: Json = {"type": "base64", "media_type": part.media_type, "data": part.data}
            if part.url is not None:
                source = {"type": "url", "url": part.url}
            return {"type": "image", "source": source}
