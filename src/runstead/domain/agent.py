"""An agent: a model, a system prompt, memory blocks and tools. What the loop acts on is typed; the rest is kept as given.

`extra` holds the fields of the API that Runstead keeps and answers as they came, so that a client reads back what it
wrote. Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runstead.ids import AgentId, BlockId, UserId

DEFAULT_BLOCK_LIMIT_CHARS = 100_000
DEFAULT_CONTEXT_WINDOW_TOKENS = 128_000


@dataclass(frozen=True, slots=True)
class Block:
    """A labelled piece of memory that stands in the agent's context. `limit_chars` bounds `value`."""

    id: BlockId
    user_id: UserId
    label: str
    value: str
    created_at: datetime
    updated_at: datetime
    limit_chars: int = DEFAULT_BLOCK_LIMIT_CHARS
    description: str | None = None
    read_only: bool = False
    is_template: bool = False
    name: str | None = None
    hidden: bool | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """How the model is asked. None leaves the choice to the provider. `thinking` None: as the model does by default."""

    max_tokens: int | None = None
    temperature: float | None = None
    reasoning_effort: str | None = None
    thinking: bool | None = None
    thinking_budget_tokens: int | None = None
    parallel_tool_calls: bool | None = None
    response_format: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ToolRule:
    """One rule about a tool, as the API names it: `exit_loop`, `requires_approval`, `continue_loop`, … ."""

    type: str
    tool_name: str
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent as it is stored, without its blocks and messages. `model` is a handle, `provider/model`."""

    id: AgentId
    user_id: UserId
    name: str
    agent_type: str
    model: str
    system: str
    created_at: datetime
    updated_at: datetime
    context_window_tokens: int = DEFAULT_CONTEXT_WINDOW_TOKENS
    settings: ModelSettings = field(default_factory=ModelSettings)
    tools: tuple[str, ...] = ()
    tool_rules: tuple[ToolRule, ...] = ()
    tags: tuple[str, ...] = ()
    description: str | None = None
    embedding: str | None = None
    timezone: str = "UTC"
    message_buffer_autoclear: bool = False
    hidden: bool | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
    last_run_completion: datetime | None = None
    last_run_duration_ms: int | None = None
    last_stop_reason: str | None = None

    def has_rule(self, kind: str, tool_name: str) -> bool:
        """Whether a rule of that type names that tool."""
        return any(rule.type == kind and rule.tool_name == tool_name for rule in self.tool_rules)
