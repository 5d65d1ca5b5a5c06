"""Conversations as JSON, and what clients write of them. Their messages are `wire/messages.py`'s."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.agent_requests import ModelSettingsGiven, Names, settings_of
from runstead.api.wire.compaction import CompactionDocument
from runstead.api.wire.paging import Moment, PageQuery
from runstead.domain.agent import Agent
from runstead.domain.conversation import Conversation, ConversationModel
from runstead.ids import BlockId, ConversationId
from runstead.llm.types import ModelInfo
from runstead.store.conversations import ConversationFilter, ConversationRecord

SUMMARY_CHARS_MAX = 20_000
Summary = Annotated[str, Field(max_length=SUMMARY_CHARS_MAX)]


class ConversationState(TypedDict):
    """A conversation."""

    id: str
    agent_id: str
    summary: str | None
    in_context_message_ids: list[str]
    isolated_block_ids: list[str]
    model: str | None
    model_settings: dict[str, object] | None
    last_message_at: datetime | None
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


class CompactionState(TypedDict):
    """What a compaction came to."""

    summary: str
    num_messages_before: int
    num_messages_after: int


class ConversationQuery(PageQuery):
    """Which conversations shall be listed."""

    agent_id: str | None = None
    summary_search: str | None = None
    order_by: Literal["created_at", "last_run_completion", "last_message_at"] = "created_at"

    def filter(self) -> ConversationFilter:
        """The store's filter."""
        return ConversationFilter(self.agent_id, self.summary_search)


class CreateConversation(BaseModel):
    """A new conversation. Of the blocks whose labels are given it gets copies of its own."""

    summary: Summary | None = None
    isolated_block_labels: Names | None = None
    model: str | None = None
    model_settings: ModelSettingsGiven | None = None


class UpdateConversation(BaseModel):
    """What shall change of a conversation. A `model` of null is the agent's again."""

    summary: Summary | None = None
    last_message_at: Moment | None = None
    model: str | None = None
    model_settings: ModelSettingsGiven | None = None


class CompactRequest(BaseModel):
    """Summarise the oldest turns, with these settings or the agent's own."""

    agent_id: str | None = None
    compaction_settings: CompactionDocument | None = None


class RecompileQuery(BaseModel):
    """Taken and not used: recompiling changes nothing here, so that each is a dry run."""

    update_timestamp: bool = False
    dry_run: bool = False


class SummarizeQuery(BaseModel):
    """Taken and not used: the older generation's bound on the summary."""

    max_message_length: int | None = None


def new_conversation(
    body: CreateConversation,
    conversation_id: ConversationId,
    agent: Agent,
    model: ModelInfo | None,
    now: datetime,
    isolated: dict[str, BlockId],
) -> Conversation:
    """The conversation that a request comes to."""
    return Conversation(
        id=conversation_id,
        user_id=agent.user_id,
        agent_id=agent.id,
        created_at=now,
        updated_at=now,
        summary=body.summary,
        model=_model(ConversationModel(), body, agent, model),
        isolated=isolated,
    )


def changed_conversation(
    before: Conversation, body: UpdateConversation, agent: Agent, model: ModelInfo | None, now: datetime
) -> Conversation:
    """The conversation as a request wants it."""
    changes: dict[str, Any] = {}
    if "summary" in body.model_fields_set:
        changes["summary"] = body.summary
    if body.last_message_at is not None:
        changes["last_message_at"] = body.last_message_at
    return replace(before, updated_at=now, model=_model(before.model, body, agent, model), **changes)


def conversation_state(record: ConversationRecord) -> ConversationState:
    """A conversation as it is answered."""
    one = record.conversation
    return {
        "id": one.id,
        "agent_id": one.agent_id,
        "summary": one.summary,
        "in_context_message_ids": list(record.message_ids),
        "isolated_block_ids": list(one.isolated.values()),
        "model": one.model.handle,
        "model_settings": None if one.model.given is None else dict(one.model.given),
        "last_message_at": one.last_message_at,
        "created_by_id": one.user_id,
        "last_updated_by_id": one.user_id,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def _model(
    before: ConversationModel,
    body: CreateConversation | UpdateConversation,
    agent: Agent,
    model: ModelInfo | None,
) -> ConversationModel:
    after = before
    if "model" in body.model_fields_set:
        window = None if model is None else model.context_window_tokens
        after = replace(after, handle=None if model is None else model.handle, context_window_tokens=window)
    if "model_settings" in body.model_fields_set:
        given = body.model_settings
        after = replace(
            after,
            settings=None if given is None else settings_of(agent.settings, given),
            given=None if given is None else given.model_dump(exclude_unset=True),
        )
    return after
