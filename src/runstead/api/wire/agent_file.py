"""Agent files (`.af`): one agent with its blocks, tools and messages as one JSON document, written and read.

Ids in a file are its own (`agent-0`, `block-1`), so that it can be read anywhere. Secrets leave no server: a file has their
names only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

import orjson
from pydantic import BaseModel, Field, ValidationError

from runstead.api.wire.agent_requests import CreateAgentRequest
from runstead.api.wire.agents import AgentDetails, agent_state
from runstead.api.wire.blocks import CreateBlock, block_state
from runstead.api.wire.paging import Moment
from runstead.api.wire.stored_messages import stored_message_state
from runstead.api.wire.tools import ToolCreate, tool_states
from runstead.domain.agent import Agent
from runstead.domain.folder import FILE_TOOLS
from runstead.domain.message import (
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCall,
    ToolReturn,
)
from runstead.domain.stored_tool import StoredTool
from runstead.errors import Invalid
from runstead.ids import AgentId, Ids, MessageId, UserId
from runstead.llm.types import ModelInfo
from runstead.store.agents import AgentRecord
from runstead.tools.catalog import BUILTINS

Json = dict[str, Any]
MESSAGES_MAX = 20_000
# Of an agent's answer, what another server can be told.
_AGENT_FIELDS = (
    "name", "agent_type", "system", "description", "model", "model_settings", "llm_config", "embedding",
    "embedding_config", "tool_rules", "tags", "metadata", "timezone", "message_buffer_autoclear",
    "response_format", "compaction_settings", "enable_sleeptime", "hidden",
)  # fmt: skip
_BLOCK_FIELDS = (
    "label", "value", "limit", "description", "read_only", "is_template", "template_name", "metadata",
    "tags", "hidden",
)  # fmt: skip
_ROLES = {role.value: role for role in Role} | {"function": Role.TOOL}
_OPEN = "The agent was exported before this call came to an end."


class FilePart(BaseModel):
    """A part of a message in a file."""

    type: str = "text"
    text: str | None = None
    reasoning: str | None = None
    signature: str | None = None
    data: str | None = None
    source: Json | None = None


class FileFunction(BaseModel):
    """A function that is called."""

    name: str
    arguments: str = ""


class FileCall(BaseModel):
    """A call in a file."""

    id: str
    function: FileFunction


class FileReturn(BaseModel):
    """What a call came to, in a file."""

    tool_call_id: str | None = None
    status: Literal["success", "error"] = "success"
    func_response: str | list[FilePart] | None = None
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class FileMessage(BaseModel):
    """A message in a file."""

    id: str
    role: Literal["user", "system", "assistant", "tool", "function", "approval", "summary"]
    content: str | list[FilePart] | None = None
    name: str | None = None
    tool_calls: list[FileCall] | None = None
    tool_call_id: str | None = None
    tool_returns: list[FileReturn] | None = None
    otid: str | None = None
    sender_id: str | None = None
    group_id: str | None = None
    created_at: Moment | None = None


class FileAgent(CreateAgentRequest):
    """An agent in a file."""

    id: str
    in_context_message_ids: list[str] = []
    messages: list[FileMessage] = Field(default=[], max_length=MESSAGES_MAX)


class FileBlock(CreateBlock):
    """A block in a file."""

    id: str


class FileTool(BaseModel):
    """A tool in a file. One that does not ship has its source."""

    id: str
    name: str | None = None
    source_code: str | None = None
    source_type: str | None = None
    description: str | None = None
    json_schema: Json | None = None
    args_json_schema: Json | None = None
    tags: list[str] | None = None
    return_char_limit: int | None = None
    pip_requirements: list[Json] | None = None
    npm_requirements: list[Json] | None = None
    default_requires_approval: bool | None = None
    enable_parallel_execution: bool | None = None


class AgentFile(BaseModel):
    """A whole file. What it has of groups, folders and MCP servers is not taken."""

    agents: list[FileAgent] = Field(min_length=1, max_length=1)
    blocks: list[FileBlock] = []
    tools: list[FileTool] = []


@dataclass(frozen=True, slots=True)
class Exported:
    """What a file is made of."""

    record: AgentRecord
    messages: Sequence[Message]
    model: ModelInfo | None
    now: datetime


def written(exported: Exported) -> Json:
    """An agent as a file."""
    record, agent = exported.record, exported.record.agent
    state = cast("Json", agent_state(agent, AgentDetails(model=exported.model)))
    blocks = [
        {"id": f"block-{n}", **{name: cast("Json", block_state(b))[name] for name in _BLOCK_FIELDS}}
        for n, b in enumerate(record.blocks)
    ]
    # Folders stay where they are, and so do the tools that came with them.
    names = [name for name in agent.tools if name not in FILE_TOOLS]
    tools = [{**tool, "id": f"tool-{n}"} for n, tool in enumerate(tool_states(names, record.tools))]
    messages = [
        {
            **stored_message_state(m),
            "id": f"message-{n}",
            "agent_id": "agent-0",
            "run_id": None,
            "step_id": None,
        }
        for n, m in enumerate(exported.messages)
    ]
    file_agent: Json = {
        "id": "agent-0",
        **{name: state[name] for name in _AGENT_FIELDS},
        "context_window_limit": agent.context_window_tokens,
        "include_base_tools": False,
        "include_base_tool_rules": False,
        "tool_exec_environment_variables": dict.fromkeys((each.name for each in record.secrets), ""),
        "block_ids": [block["id"] for block in blocks],
        "tool_ids": [tool["id"] for tool in tools],
        "tools": names,
        "in_context_message_ids": [f"message-{n}" for n, m in enumerate(exported.messages) if m.in_context],
        "messages": messages,
        "files_agents": [],
        "group_ids": [],
    }
    return {
        "agents": [file_agent],
        "groups": [],
        "blocks": blocks,
        "files": [],
        "sources": [],
        "tools": tools,
        "mcp_servers": [],
        "skills": [],
        "metadata": {"made_by": "runstead"},
        "created_at": exported.now,
    }


def read_file(content: bytes) -> AgentFile:
    """A file as it was given. Raises `Invalid`, saying where it is no agent file."""
    try:
        document: object = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise Invalid(f"The file is no JSON: {error}.") from None
    if not isinstance(document, dict) or "agents" not in document:
        raise Invalid("The file is no agent file of the current format: it has no 'agents'.")
    try:
        return AgentFile.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"The file is no agent file: {where}: {first['msg']}.") from None


def tools_in(file: AgentFile) -> tuple[str, ...]:
    """The names of the tools that the file's agent has, but those that look into folders: it gets none."""
    agent = file.agents[0]
    by_id = {tool.id: tool.name for tool in file.tools}
    named = [name for each in agent.tool_ids or () if (name := by_id.get(each)) is not None]
    return tuple(name for name in dict.fromkeys([*named, *(agent.tools or ())]) if name not in FILE_TOOLS)


def new_tools_in(file: AgentFile, names: Sequence[str], stored: Mapping[str, StoredTool]) -> list[ToolCreate]:
    """Those of the named tools that must be made first. Raises `Invalid` for one that is neither here nor in the file."""
    sources = {tool.name: tool for tool in file.tools if tool.source_code}
    missing = [name for name in names if name not in BUILTINS and name not in stored]
    unknown = [name for name in missing if name not in sources]
    if unknown:
        raise Invalid(f"The file's agent has tools that are not here: {', '.join(unknown)[:500]}.")
    try:
        return [
            ToolCreate.model_validate(sources[name].model_dump(exclude_none=True, exclude={"id", "name"}))
            for name in missing
        ]
    except ValidationError as error:
        raise Invalid(f"A tool in the file cannot be made: {error.errors()[0]['msg']}.") from None


def messages_in(file: AgentFile, agent: Agent, ids: Ids, now: datetime) -> list[Message]:
    """The messages of a file as those of the agent that is made of it. A call that was open is answered as given up."""
    given = file.agents[0]
    seen = set(given.in_context_message_ids)
    returned = {r.tool_call_id for m in given.messages for r in _returns(m)}
    made: list[Message] = []
    for each in given.messages:
        message = _message(each, agent, ids, now, in_context=each.id in seen)
        made += _as_stored(message, each, returned, ids)
    return made


def _as_stored(message: Message, each: FileMessage, returned: set[str | None], ids: Ids) -> list[Message]:
    """What a message of a file becomes: what an approval decided stands in the returns, of which each is a message."""
    if message.role is Role.APPROVAL:
        return []
    if message.role is Role.TOOL:
        return [_tool(message, _return(result, each.name), ids) for result in _returns(each)]
    left = [call for call in message.tool_calls if call.id not in returned]
    return [
        message,
        *(_tool(message, ToolReturn(call.id, call.name, "error", _OPEN), ids) for call in left),
    ]


def _message(each: FileMessage, agent: Agent, ids: Ids, now: datetime, *, in_context: bool) -> Message:
    return Message(
        id=MessageId(f"message-{ids.uuid()}"),
        user_id=agent.user_id,
        agent_id=agent.id,
        role=_ROLES[each.role],
        created_at=each.created_at or now,
        parts=tuple(part for given in _parts(each.content) if (part := _part(given))),
        tool_calls=tuple(
            ToolCall(call.id, call.function.name, call.function.arguments) for call in each.tool_calls or ()
        ),
        name=each.name,
        otid=each.otid,
        sender_id=each.sender_id,
        group_id=each.group_id,
        in_context=in_context,
    )


def _tool(near: Message, result: ToolReturn, ids: Ids) -> Message:
    return Message(
        id=MessageId(f"message-{ids.uuid()}"),
        user_id=UserId(near.user_id),
        agent_id=AgentId(near.agent_id),
        role=Role.TOOL,
        created_at=near.created_at,
        name=result.name,
        tool_return=result,
        in_context=near.in_context,
    )


def _returns(message: FileMessage) -> list[FileReturn]:
    """The returns of a tool's message; in older files its content is the return."""
    if message.role not in {"tool", "function"}:
        return []
    if message.tool_returns:
        return message.tool_returns
    text = "".join(part.text or "" for part in _parts(message.content))
    return [FileReturn(tool_call_id=message.tool_call_id, func_response=text)]


def _return(given: FileReturn, name: str | None) -> ToolReturn:
    text = given.func_response
    if isinstance(text, list):
        text = "\n".join(part.text or "" for part in text)
    return ToolReturn(
        given.tool_call_id or "",
        name,
        given.status,
        text or "",
        tuple(given.stdout or ()),
        tuple(given.stderr or ()),
    )


def _parts(content: str | list[FilePart] | None) -> list[FilePart]:
    return [FilePart(text=content)] if isinstance(content, str) else content or []


def _part(given: FilePart) -> Part | None:
    """A part as it is stored; None for what is kept elsewhere (calls and returns of older files)."""
    if given.type == "text":
        return TextPart(given.text or "")
    if given.type == "reasoning":
        return ReasoningPart(given.reasoning or "", given.signature)
    if given.type == "redacted_reasoning":
        return ReasoningPart("", redacted=given.data)
    if given.type == "image" and given.source is not None:
        source = {name: given.source.get(name) for name in ("url", "data", "media_type", "detail")}
        return ImagePart(**source)
    return None
