"""Agents as JSON, in the union of both generations' fields: how a stored agent is answered.

Relations (tools, blocks, tags, …) are answered where they are wanted and empty otherwise, never left out. What requests look
like is `agent_requests`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from typing_extensions import TypedDict

from runstead.api.wire.blocks import BlockState, block_state
from runstead.api.wire.folders import FileBlockState, FolderState, file_block_state, folder_state
from runstead.api.wire.models import (
    EmbeddingConfigState,
    LLMConfigState,
    embedding_config,
    embedding_of,
    embedding_state,
    endpoint_type,
    llm_config,
)
from runstead.api.wire.tools import ToolState, tool_states
from runstead.domain.agent import Agent, Block
from runstead.domain.embedding import EmbeddingInfo
from runstead.domain.folder import Folder, Window, limits_of
from runstead.domain.stored_tool import StoredTool
from runstead.ids import stable_id
from runstead.llm.types import ModelInfo
from runstead.store.secrets import SecretName

Json = dict[str, object]
PENDING_APPROVAL = "pending_approval"
RELATIONS = frozenset(
    {"blocks", "identities", "managed_group", PENDING_APPROVAL, "secrets", "sources", "tags", "tools"}
)
# The names that the older generation has for them.
_OLD_NAMES = {
    "memory": "blocks",
    "identity_ids": "identities",
    "multi_agent_group": "managed_group",
    "tool_exec_environment_variables": "secrets",
}


class MemoryState(TypedDict):
    """The blocks of an agent, and the files that it has open."""

    agent_type: str | None
    git_enabled: bool
    blocks: list[BlockState]
    file_blocks: list[FileBlockState]
    prompt_template: str


class VariableState(TypedDict):
    """A secret that an agent's tools are given. Its value is never answered: an empty text stands for it."""

    id: str
    agent_id: str
    key: str
    value: str
    value_enc: str | None
    description: str | None
    organization_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    created_by_id: str | None
    last_updated_by_id: str | None


class AgentState(TypedDict):
    """An agent."""

    id: str
    name: str
    system: str
    agent_type: str
    model: str | None
    model_settings: Json | None
    llm_config: LLMConfigState
    embedding: str | None
    embedding_config: EmbeddingConfigState
    memory: MemoryState
    blocks: list[BlockState]
    tools: list[ToolState]
    tool_rules: list[Json] | None
    tags: list[str]
    sources: list[FolderState]
    identities: list[Json]
    identity_ids: list[str]
    secrets: list[VariableState]
    tool_exec_environment_variables: list[VariableState]
    message_ids: list[str] | None
    description: str | None
    metadata: Json | None
    timezone: str | None
    message_buffer_autoclear: bool
    enable_sleeptime: bool | None
    response_format: Json | None
    compaction_settings: Json | None
    max_files_open: int | None
    per_file_view_window_char_limit: int | None
    hidden: bool | None
    project_id: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None
    entity_id: str | None
    multi_agent_group: Json | None
    managed_group: Json | None
    pending_approval: Json | None
    last_run_completion: datetime | None
    last_run_duration_ms: int | None
    last_stop_reason: str | None
    created_at: datetime | None
    updated_at: datetime | None
    created_by_id: str | None
    last_updated_by_id: str | None


@dataclass(frozen=True, slots=True)
class AgentDetails:
    """What belongs to an agent and is stored elsewhere."""

    blocks: Sequence[Block] = ()
    message_ids: Sequence[str] = ()
    model: ModelInfo | None = None
    pending_approval: Json | None = None
    identities: Sequence[Json] = ()
    tools: Mapping[str, StoredTool] = field(default_factory=dict[str, StoredTool])
    secrets: Sequence[SecretName] = ()
    embedding: EmbeddingInfo | None = None
    folders: Sequence[Folder] = ()
    windows: Sequence[Window] = ()


def wanted_relations(
    include: Sequence[str], include_relationships: Sequence[str] | None, *, sdk1: bool
) -> frozenset[str]:
    """Which relations a caller wants.

    A 1.0 SDK: those it names. Others: all, or those that `include_relationships` names. The pending approval is looked for
    only where it is asked for.
    """
    named = {name.removeprefix("agent.") for name in include}
    named |= {_OLD_NAMES.get(name, name) for name in include_relationships or ()}
    if sdk1 or include_relationships is not None:
        return frozenset(named)
    return RELATIONS - {PENDING_APPROVAL} | named


def agent_state(agent: Agent, details: AgentDetails, relations: frozenset[str] = RELATIONS) -> AgentState:
    """An agent as it is answered."""
    extra = agent.extra
    blocks = [block_state(block) for block in details.blocks] if "blocks" in relations else []
    secrets = _variables(agent, details.secrets) if "secrets" in relations else []
    return {
        "id": agent.id,
        "name": agent.name,
        "system": agent.system,
        "agent_type": agent.agent_type,
        "model": agent.model,
        "model_settings": _model_settings(agent, details.model),
        "llm_config": llm_config(agent, details.model),
        "embedding": agent.embedding,
        "embedding_config": _embedding_config(agent, details.embedding),
        "memory": {
            "agent_type": agent.agent_type,
            "git_enabled": False,
            "blocks": blocks,
            "file_blocks": file_blocks(agent, details.windows) if "blocks" in relations else [],
            "prompt_template": "",
        },
        "blocks": blocks,
        "tools": tool_states(agent.tools, details.tools) if "tools" in relations else [],
        "tool_rules": [
            {"type": rule.type, "tool_name": rule.tool_name, **rule.extra} for rule in agent.tool_rules
        ],
        "tags": list(agent.tags) if "tags" in relations else [],
        "sources": [folder_state(each) for each in details.folders] if "sources" in relations else [],
        "identities": list(details.identities) if "identities" in relations else [],
        "identity_ids": _texts(extra, "identity_ids") if "identities" in relations else [],
        "secrets": secrets,
        "tool_exec_environment_variables": secrets,
        "message_ids": list(details.message_ids),
        "description": agent.description,
        "metadata": dict(agent.metadata),
        "timezone": agent.timezone,
        "message_buffer_autoclear": agent.message_buffer_autoclear,
        "enable_sleeptime": _flag(extra, "enable_sleeptime"),
        "response_format": _json(agent.settings.response_format),
        "compaction_settings": _json(extra.get("compaction_settings")),
        "max_files_open": _number(extra, "max_files_open"),
        "per_file_view_window_char_limit": _number(extra, "per_file_view_window_char_limit"),
        "hidden": agent.hidden,
        "project_id": _text(extra, "project_id"),
        "template_id": _text(extra, "template_id"),
        "base_template_id": _text(extra, "base_template_id"),
        "deployment_id": None,
        "entity_id": None,
        "multi_agent_group": None,
        "managed_group": None,
        "pending_approval": details.pending_approval if PENDING_APPROVAL in relations else None,
        "last_run_completion": agent.last_run_completion,
        "last_run_duration_ms": agent.last_run_duration_ms,
        "last_stop_reason": agent.last_stop_reason,
        "created_at": agent.created_at,
        "updated_at": agent.updated_at,
        "created_by_id": agent.user_id,
        "last_updated_by_id": agent.user_id,
    }


def file_blocks(agent: Agent, windows: Sequence[Window]) -> list[FileBlockState]:
    """The files that an agent has open, as they are answered."""
    return [file_block_state(window, limits_of(agent)) for window in windows]


def memory_state(agent: Agent, blocks: Sequence[Block], windows: Sequence[Window]) -> MemoryState:
    """An agent's memory as it is answered."""
    return {
        "agent_type": agent.agent_type,
        "git_enabled": False,
        "blocks": [block_state(block) for block in blocks],
        "file_blocks": file_blocks(agent, windows),
        "prompt_template": "",
    }


def _model_settings(agent: Agent, info: ModelInfo | None) -> Json:
    """What was given, or what the settings come to. `provider_type` tells the clients' parsers which kind it is."""
    settings = agent.settings
    given = _json(agent.extra.get("model_settings")) or {}
    known = {
        "max_output_tokens": settings.max_tokens,
        "temperature": settings.temperature,
        "parallel_tool_calls": settings.parallel_tool_calls,
    }
    kind = endpoint_type(info, agent.model.partition("/")[0])
    return {
        "provider_type": kind,
        **given,
        **{name: value for name, value in known.items() if value is not None},
    }


def _embedding_config(agent: Agent, info: EmbeddingInfo | None) -> EmbeddingConfigState:
    """What was given; else what is known of the model; else the handle's, with nothing claimed that is not known."""
    given = _json(agent.extra.get("embedding_config")) or {}
    if embedding_of(None, given) != agent.embedding:  # the model was changed by its handle
        given = {}
    if info is not None:
        known: dict[str, object] = {**embedding_config(info), "handle": agent.embedding or info.handle}
        return cast("EmbeddingConfigState", {**known, **given})
    return embedding_state(agent.embedding, given)


def _variables(agent: Agent, secrets: Sequence[SecretName]) -> list[VariableState]:
    """That they are there. What they are is told to nobody: a value can only be written."""
    return [
        {
            "id": stable_id("agent-env", f"{agent.id}:{secret.name}"),
            "agent_id": agent.id,
            "key": secret.name,
            "value": "",
            "value_enc": None,
            "description": None,
            "organization_id": None,
            "created_at": secret.created_at,
            "updated_at": secret.updated_at,
            "created_by_id": agent.user_id,
            "last_updated_by_id": agent.user_id,
        }
        for secret in secrets
    ]


def _json(value: object) -> Json | None:
    return dict(cast("Mapping[str, object]", value)) if isinstance(value, Mapping) else None


def _text(extra: Mapping[str, object], name: str) -> str | None:
    value = extra.get(name)
    return value if isinstance(value, str) else None


def _number(extra: Mapping[str, object], name: str) -> int | None:
    value = extra.get(name)
    return value if isinstance(value, int) else None


def _flag(extra: Mapping[str, object], name: str) -> bool | None:
    value = extra.get(name)
    return value if isinstance(value, bool) else None


def _texts(extra: Mapping[str, object], name: str) -> list[str]:
    value = extra.get(name)
    return [str(each) for each in cast("list[object]", value)] if isinstance(value, list) else []
