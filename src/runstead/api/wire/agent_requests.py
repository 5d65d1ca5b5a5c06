"""Requests about agents: what a client may write, and the agent that it comes to.

Every field of both generations is taken. What Runstead acts on becomes typed; what it only keeps goes to `Agent.extra`
and is answered again; what is meant for a hosted service (projects, templates) is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator

from runstead.api.wire.blocks import CreateBlock, Tags
from runstead.api.wire.compaction import CompactionDocument
from runstead.api.wire.documents import Document, storable
from runstead.api.wire.messages import MessageCreate, content_parts
from runstead.api.wire.models import EmbeddingHandle, embedding_of
from runstead.domain.agent import DEFAULT_CONTEXT_WINDOW_TOKENS, Agent, ModelSettings, ToolRule
from runstead.domain.agent_type import AgentType, base_rules, base_tools, default_prompt
from runstead.errors import Invalid
from runstead.ids import AgentId, UserId
from runstead.llm.types import ModelInfo
from runstead.tools.catalog import Catalog

NAME_CHARS_MAX = 500
LIST_MAX = 1000
VARIABLE_CHARS_MAX = 64 * 1024
INITIAL_MESSAGES = "initial_messages"
REQUIRES_APPROVAL = "requires_approval"
Name = Annotated[str, Field(min_length=1, max_length=NAME_CHARS_MAX)]
Names = Annotated[list[Annotated[str, Field(max_length=NAME_CHARS_MAX)]], Field(max_length=LIST_MAX)]
VariableName = Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]*$", max_length=NAME_CHARS_MAX)]
VariableValue = Annotated[str, Field(pattern=r"^[^\x00]*$", max_length=VARIABLE_CHARS_MAX)]
Variables = Annotated[dict[VariableName, VariableValue], Field(max_length=LIST_MAX)]
Count = Annotated[int, Field(ge=0, le=2**31)]
Window = Annotated[int, Field(ge=1, le=2**31)]

# Kept as given and answered again.
_KEPT = (
    "base_template_id",
    "compaction_settings",
    "embedding_config",
    "enable_sleeptime",
    "identity_ids",
    "max_files_open",
    "per_file_view_window_char_limit",
    "project_id",
    "template_id",
)


class _Given(BaseModel):
    """A document of which some fields are acted on and all are kept."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _can_be_stored(cls, value: Any) -> Any:
        return storable(cast("dict[str, object]", value)) if isinstance(value, dict) else value


class ReasoningGiven(_Given):
    """How much a model shall think, as some providers say it."""

    reasoning_effort: str | None = None


class ThinkingGiven(_Given):
    """Whether and how long a model shall think, as other providers say it."""

    type: str | None = None
    budget_tokens: Count | None = None
    include_thoughts: bool | None = None
    thinking_budget: int | None = None


class ModelSettingsGiven(_Given):
    """How a model shall be asked, in any provider's fields."""

    provider_type: str | None = None
    max_output_tokens: Count | None = None
    temperature: float | None = None
    parallel_tool_calls: bool | None = None
    effort: str | None = None
    reasoning: ReasoningGiven | None = None
    thinking: ThinkingGiven | None = None
    thinking_config: ThinkingGiven | None = None
    response_format: Document | None = None
    response_schema: Document | None = None


class LLMConfigGiven(_Given):
    """A model as the older generation names it."""

    model: str
    handle: str | None = None
    provider_name: str | None = None
    model_endpoint_type: str | None = None
    context_window: Window | None = None
    max_tokens: Count | None = None
    temperature: float | None = None
    enable_reasoner: bool | None = None
    reasoning_effort: str | None = None
    max_reasoning_tokens: Count | None = None
    parallel_tool_calls: bool | None = None
    response_format: Document | None = None


def _anything(_value: object) -> bool:
    return True


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in cast("list[object]", value))


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and _are_names([*cast("dict[str, object]", value).values()])


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_RULE_NEEDS: Mapping[str, tuple[str, Callable[[object], bool], str]] = {
    "conditional": ("child_output_mapping", _is_mapping, "what the tool returns, and which tool follows it"),
    "constrain_child_tools": ("children", _are_names, "the names of the tools that may follow"),
    "max_count_per_step": ("max_count_limit", _is_count, "how often the tool may be called in a turn"),
    "parent_last_tool": ("children", _are_names, "the names of the tools that follow nothing else"),
}


class ToolRuleGiven(_Given):
    """One rule about a tool."""

    type: Literal[
        "conditional",
        "constrain_child_tools",
        "continue_loop",
        "exit_loop",
        "max_count_per_step",
        "parent_last_tool",
        "required_before_exit",
        "requires_approval",
        "run_first",
    ]
    tool_name: str

    @model_validator(mode="after")
    def _is_whole(self) -> ToolRuleGiven:
        """Raises `ValueError` where what the type needs is missing: such a rule would hold for nothing, unnoticed."""
        name, fits, what = _RULE_NEEDS.get(self.type, ("", _anything, ""))
        if not fits((self.model_extra or {}).get(name)):
            raise ValueError(f"A rule of type {self.type} needs {name}: {what}.")
        return self


class _AgentFields(BaseModel):
    """What may be said of an agent when it is made and later."""

    model: str | None = None
    model_settings: ModelSettingsGiven | None = None
    llm_config: LLMConfigGiven | None = None
    embedding: EmbeddingHandle | None = None
    embedding_config: Document | None = None
    context_window_limit: Window | None = None
    max_tokens: Count | None = None
    reasoning: bool | None = None
    parallel_tool_calls: bool | None = None
    response_format: Document | None = None
    system: str | None = None
    description: str | None = None
    metadata: Document | None = None
    tags: Tags | None = None
    tool_ids: Names | None = None
    tool_rules: Annotated[list[ToolRuleGiven], Field(max_length=LIST_MAX)] | None = None
    block_ids: Names | None = None
    source_ids: Names | None = None
    folder_ids: Names | None = None
    identity_ids: Names | None = None
    secrets: Variables | None = None
    tool_exec_environment_variables: Variables | None = None
    timezone: Annotated[str, Field(max_length=NAME_CHARS_MAX)] | None = None
    compaction_settings: CompactionDocument | None = None
    enable_sleeptime: bool | None = None
    max_files_open: Count | None = None
    per_file_view_window_char_limit: Count | None = None
    hidden: bool | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None


class CreateAgentRequest(_AgentFields):
    """An agent to be made."""

    name: Name | None = None
    agent_type: AgentType = AgentType.LETTA_V1
    memory_blocks: Annotated[list[CreateBlock], Field(max_length=LIST_MAX)] | None = None
    tools: Names | None = None
    include_base_tools: bool = True
    include_base_tool_rules: bool | None = None
    include_multi_agent_tools: bool = False
    include_default_source: bool = False
    initial_message_sequence: Annotated[list[MessageCreate], Field(max_length=LIST_MAX)] | None = None
    message_buffer_autoclear: bool = False
    embedding_chunk_size: int | None = 300
    enable_reasoner: bool | None = True
    max_reasoning_tokens: Count | None = None
    memory_variables: Document | None = None
    from_template: str | None = None
    template: bool = False
    project: str | None = None
    actor_id: str | None = None


class UpdateAgent(_AgentFields):
    """What of an agent shall be changed: the fields that are given."""

    name: Name | None = None
    message_buffer_autoclear: bool | None = None
    message_ids: list[str] | None = None
    last_run_completion: datetime | None = None
    last_run_duration_ms: int | None = None
    last_stop_reason: str | None = None


class ResetMessagesRequest(BaseModel):
    """How an agent's history shall begin anew."""

    add_default_initial_messages: bool = False


@dataclass(frozen=True, slots=True)
class NewAgent:
    """Who makes which agent when."""

    id: AgentId
    user_id: UserId
    now: datetime
    model: ModelInfo
    catalog: Catalog = field(default_factory=Catalog)


def handle_of(body: _AgentFields) -> str | None:
    """The model a request names, as `provider/model`; None where it names none."""
    if body.model is not None:
        return body.model
    config = body.llm_config
    if config is None:
        return None
    provider = config.provider_name or config.model_endpoint_type or "openai"
    return config.handle or f"{provider}/{config.model}"


def new_agent(body: CreateAgentRequest, made: NewAgent) -> Agent:
    """The agent that a request describes. Raises `NotFound` for unknown tools."""
    kind = body.agent_type
    tools = made.catalog.names_of(body.tool_ids or ()) + made.catalog.names(body.tools or ())
    if body.include_base_tools:
        tools = base_tools(kind) + tools
    tools = tuple(dict.fromkeys(tools))
    return Agent(
        id=made.id,
        user_id=made.user_id,
        name=body.name or f"agent-{made.id.removeprefix('agent-')[:8]}",
        agent_type=kind.value,
        model=made.model.handle,
        system=body.system if body.system is not None else default_prompt(kind),
        created_at=made.now,
        updated_at=made.now,
        context_window_tokens=_window(body, made.model) or DEFAULT_CONTEXT_WINDOW_TOKENS,
        settings=_settings(ModelSettings(), body),
        tools=tools,
        tool_rules=_with_approvals(_first_rules(body, tools), made.catalog.approval_by_default(tools)),
        tags=tuple(dict.fromkeys(body.tags or ())),
        description=body.description,
        embedding=embedding_of(body.embedding, body.embedding_config),
        timezone=body.timezone or "UTC",
        message_buffer_autoclear=body.message_buffer_autoclear,
        hidden=body.hidden,
        metadata=body.metadata or {},
        extra=_extra({}, body),
    )


def changed_agent(
    agent: Agent,
    body: UpdateAgent,
    model: ModelInfo | None,
    now: datetime,
    catalog: Catalog | None = None,
) -> Agent:
    """The agent as a request wants it; `model` is the one that it names. Raises `NotFound` for unknown tools."""
    given = body.model_fields_set
    changes: dict[str, Any] = {
        name: value
        for name in ("name", "system", "timezone", "message_buffer_autoclear", "metadata")
        if (value := getattr(body, name)) is not None
    }
    for name in ("description", "hidden"):
        if name in given:
            changes[name] = getattr(body, name)
    changes |= _changed_embedding(body)
    if body.tags is not None:
        changes["tags"] = tuple(dict.fromkeys(body.tags))
    if body.tool_ids is not None:
        changes["tools"] = (catalog or Catalog()).names_of(body.tool_ids)
    if body.tool_rules is not None:
        changes["tool_rules"] = _rules(body.tool_rules)
    elif body.tool_ids is not None and catalog is not None:
        new = [name for name in changes["tools"] if name not in agent.tools]
        changes["tool_rules"] = _with_approvals(agent.tool_rules, catalog.approval_by_default(new))
    if model is not None:
        changes["model"] = model.handle
    window = _window(body, model)
    if window is not None:
        changes["context_window_tokens"] = window
    changes["settings"] = _settings(agent.settings, body)
    changes["extra"] = _extra(agent.extra, body)
    return replace(agent, updated_at=now, **changes)


def _changed_embedding(body: UpdateAgent) -> dict[str, str | None]:
    if "embedding" not in body.model_fields_set and body.embedding_config is None:
        return {}
    return {"embedding": embedding_of(body.embedding, body.embedding_config)}


def check_block_labels(labels: Sequence[str]) -> None:
    """Raises `Invalid` where two blocks of one agent would have the same label."""
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise Invalid(f"An agent's blocks have different labels; given twice: {', '.join(twice)}.")


def _window(body: _AgentFields, model: ModelInfo | None) -> int | None:
    """The context window that a request wants, or else the named model's."""
    if body.context_window_limit is not None:
        return body.context_window_limit
    if body.llm_config is not None and body.llm_config.context_window is not None:
        return body.llm_config.context_window
    return None if model is None else model.context_window_tokens


def _first_rules(body: CreateAgentRequest, tools: tuple[str, ...]) -> tuple[ToolRule, ...]:
    """The rules given, and the base rules of the tools that the agent has, unless they are not wanted."""
    given = _rules(body.tool_rules or ())
    if body.include_base_tool_rules is False:
        return given
    named = {(rule.type, rule.tool_name) for rule in given}
    base = (rule for rule in base_rules(body.agent_type) if rule.tool_name in tools)
    return given + tuple(rule for rule in base if (rule.type, rule.tool_name) not in named)


def _with_approvals(rules: tuple[ToolRule, ...], names: Sequence[str]) -> tuple[ToolRule, ...]:
    """The rules, and those that tools bring along: a person approves each of their calls."""
    there = {rule.tool_name for rule in rules if rule.type == REQUIRES_APPROVAL}
    return rules + tuple(ToolRule(REQUIRES_APPROVAL, name) for name in names if name not in there)


def folders_in(body: _AgentFields) -> list[str] | None:
    """The folders that a request gives an agent, under either of their names; None where it says nothing of them."""
    if body.folder_ids is None and body.source_ids is None:
        return None
    return [*(body.folder_ids or ()), *(body.source_ids or ())]


def secrets_of(body: _AgentFields) -> dict[str, str] | None:
    """What a request says of an agent's secrets, under either of their names; None where it says nothing."""
    return body.secrets if body.secrets is not None else body.tool_exec_environment_variables


def _rules(given: Sequence[ToolRuleGiven]) -> tuple[ToolRule, ...]:
    return tuple(ToolRule(rule.type, rule.tool_name, dict(rule.model_extra or {})) for rule in given)


def _settings(before: ModelSettings, body: _AgentFields) -> ModelSettings:
    """The settings with what a request says, in any of the three places where it may say it; the plainest place wins."""
    wanted: dict[str, object] = {}
    for source in (_of_config(body.llm_config), _of_settings(body.model_settings), _plain(body)):
        wanted |= {name: value for name, value in source.items() if value is not None}
    return replace(before, **wanted)


def settings_of(before: ModelSettings, given: ModelSettingsGiven | None) -> ModelSettings:
    """The settings with what a request's `model_settings` says."""
    return replace(before, **{name: v for name, v in _of_settings(given).items() if v is not None})


def _of_config(config: LLMConfigGiven | None) -> Mapping[str, object]:
    if config is None:
        return {}
    return {
        "max_tokens": config.max_tokens,
        "temperature": config.temperature,
        "reasoning_effort": config.reasoning_effort,
        "thinking": config.enable_reasoner,
        "thinking_budget_tokens": config.max_reasoning_tokens or None,
        "parallel_tool_calls": config.parallel_tool_calls,
        "response_format": config.response_format,
    }


def _of_settings(settings: ModelSettingsGiven | None) -> Mapping[str, object]:
    if settings is None:
        return {}
    thinking = settings.thinking or settings.thinking_config or ThinkingGiven()
    says = thinking.include_thoughts if thinking.type is None else thinking.type != "disabled"
    reasoning = settings.reasoning or ReasoningGiven()
    budget = thinking.budget_tokens or thinking.thinking_budget
    return {
        "max_tokens": settings.max_output_tokens,
        "temperature": settings.temperature,
        "reasoning_effort": reasoning.reasoning_effort or settings.effort,
        "thinking": says,
        "thinking_budget_tokens": budget if budget and budget > 0 else None,
        "parallel_tool_calls": settings.parallel_tool_calls,
        "response_format": settings.response_format or settings.response_schema,
    }


def _plain(body: _AgentFields) -> Mapping[str, object]:
    wanted: dict[str, object] = {
        "max_tokens": body.max_tokens,
        "thinking": body.reasoning,
        "parallel_tool_calls": body.parallel_tool_calls,
        "response_format": body.response_format,
    }
    if isinstance(body, CreateAgentRequest):
        wanted["thinking_budget_tokens"] = body.max_reasoning_tokens
        if "enable_reasoner" in body.model_fields_set and body.reasoning is None:
            wanted["thinking"] = body.enable_reasoner
    return wanted


def _extra(before: Mapping[str, object], body: _AgentFields) -> dict[str, object]:
    """What is kept, with what a request gives of it. Raises `Unprocessable` for messages that cannot be sent."""
    given = body.model_fields_set
    extra = dict(before)
    extra |= {name: getattr(body, name) for name in _KEPT if name in given}
    if body.model_settings is not None:
        extra["model_settings"] = body.model_settings.model_dump(exclude_unset=True)
    if isinstance(body, CreateAgentRequest) and body.initial_message_sequence:
        for message in body.initial_message_sequence:
            content_parts(message.content)
        extra[INITIAL_MESSAGES] = [
            message.model_dump(exclude_unset=True) for message in body.initial_message_sequence
        ]
    return {name: value for name, value in extra.items() if value is not None}
