"""A question to an agent's model, past the agent: requests in, the model's words out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.documents import Document
from runstead.domain.agent import Agent, ModelSettings
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.step import Usage
from runstead.ids import MessageId
from runstead.llm.types import ModelRequest
from runstead.llm.whole import SpokenAnswer

PROMPT_CHARS_MAX = 2_000_000
SCHEMA_NAME = "response"


class GenerateRequest(BaseModel):
    """What shall be asked. `response_schema` is the JSON schema that the answer must fit."""

    prompt: str = Field(min_length=1, max_length=PROMPT_CHARS_MAX)
    system_prompt: str | None = Field(None, max_length=PROMPT_CHARS_MAX)
    override_model: str | None = None
    response_schema: Document | None = None

    def question(self, agent: Agent, message: Message) -> ModelRequest:
        """What the model is asked: with the agent's settings, without its prompt, memory, history and tools."""
        return ModelRequest(
            model=self.override_model or agent.model,
            system=self.system_prompt or "",
            messages=(message,),
            settings=self._settings(agent.settings),
            user_id=agent.user_id,
        )

    def message(self, agent: Agent, message_id: MessageId, now: datetime) -> Message:
        """The prompt, as a user would have said it. It is stored nowhere."""
        return Message(
            id=message_id,
            user_id=agent.user_id,
            agent_id=agent.id,
            role=Role.USER,
            created_at=now,
            parts=(TextPart(self.prompt),),
        )

    def _settings(self, agents: ModelSettings) -> ModelSettings:
        """The agent's settings; the shape of its own answers is not that of this one."""
        if self.response_schema is None:
            return replace(agents, response_format=None)
        schema = {"name": SCHEMA_NAME, "schema": self.response_schema}
        return replace(agents, response_format={"type": "json_schema", "json_schema": schema})


class GenerationUsage(TypedDict):
    """What an answer cost, in tokens."""

    message_type: str
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    context_tokens: int | None
    step_count: int
    run_ids: list[str] | None


class GenerationState(TypedDict):
    """What the model said, which model that was, and what it cost."""

    content: str
    model: str
    usage: GenerationUsage


def generation_state(model: str, answer: SpokenAnswer) -> GenerationState:
    """An answer as the API shows it."""
    return {"content": answer.text, "model": model, "usage": _usage(answer.finish.usage)}


def _usage(usage: Usage) -> GenerationUsage:
    return {
        "message_type": "usage_statistics",
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "context_tokens": None,
        "step_count": 1,
        "run_ids": None,
    }
