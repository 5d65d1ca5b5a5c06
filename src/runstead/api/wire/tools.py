"""Tools as JSON: what clients may write of one, and how tools, built in or made by an actor, are answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import AliasChoices, BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.blocks import Tags
from runstead.api.wire.documents import Document
from runstead.domain.mcp_server import ORIGIN
from runstead.domain.stored_tool import Requirement, StoredTool
from runstead.domain.tool import DEFAULT_RETURN_LIMIT_CHARS, ToolOutcome, ToolSpec
from runstead.errors import Invalid
from runstead.ids import ToolId, UserId
from runstead.tools.catalog import BUILTINS, tool_id
from runstead.tools.packages import check_requirements
from runstead.tools.shipped import SPECS
from runstead.tools.signature import SOURCE_CHARS_MAX, Signature, function_schema, signature_of

RETURN_CHARS_MAX = 1_000_000
NAME_CHARS_MAX = 64
TEXT_CHARS_MAX = 20_000
_NOT_HERE = "Known to the API; this server does not offer it, and the model is not told of it."


class RequirementGiven(BaseModel):
    """A package."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    version: Annotated[str, Field(max_length=100)] | None = None


Source = Annotated[str, Field(max_length=SOURCE_CHARS_MAX)]
ReturnLimit = Annotated[int, Field(ge=1, le=RETURN_CHARS_MAX)]
Requirements = Annotated[list[RequirementGiven], Field(max_length=100)]
ArgumentValues = Document


class ToolCreate(BaseModel):
    """A tool to be made: Python source whose last function is the tool."""

    source_code: Source
    source_type: str = "python"
    description: Annotated[str, Field(max_length=TEXT_CHARS_MAX)] | None = None
    tags: Tags | None = None
    json_schema: Document | None = None
    args_json_schema: Document | None = None
    return_char_limit: ReturnLimit = DEFAULT_RETURN_LIMIT_CHARS
    pip_requirements: Requirements | None = None
    npm_requirements: Requirements | None = None
    default_requires_approval: bool | None = None
    enable_parallel_execution: bool | None = False


class ToolUpdate(BaseModel):
    """What of a tool shall be changed: the fields that are given."""

    source_code: Source | None = None
    source_type: str | None = None
    description: Annotated[str, Field(max_length=TEXT_CHARS_MAX)] | None = None
    tags: Tags | None = None
    json_schema: Document | None = None
    args_json_schema: Document | None = None
    return_char_limit: ReturnLimit | None = None
    pip_requirements: Requirements | None = None
    npm_requirements: Requirements | None = None
    default_requires_approval: bool | None = None
    enable_parallel_execution: bool | None = None
    metadata_: Document | None = None


class ToolRunFromSource(BaseModel):
    """A source to be run once, without becoming a tool."""

    source_code: Source
    args: ArgumentValues
    env_vars: Annotated[dict[str, str], Field(max_length=1000)] | None = None
    name: str | None = None
    source_type: str | None = None
    args_json_schema: Document | None = None
    json_schema: Document | None = None
    pip_requirements: Requirements | None = None
    npm_requirements: Requirements | None = None


class CodeInput(BaseModel):
    """A source of which the schema shall be told."""

    code: Source
    source_type: str | None = "python"


class ToolSearchRequest(BaseModel):
    """What to look for among tools."""

    query: Annotated[str, Field(max_length=2000)] | None = None
    search_mode: Literal["vector", "fts", "hybrid"] = "hybrid"
    tool_types: list[str] | None = None
    tags: list[str] | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50


class ModifyApprovalRequest(BaseModel):
    """Whether a person approves each call of a tool. The newer client of TypeScript sends its own name for it."""

    requires_approval: Annotated[
        bool, Field(validation_alias=AliasChoices("requires_approval", "body_requires_approval"))
    ]


class ToolExecuteRequest(BaseModel):
    """The arguments of one call."""

    args: ArgumentValues = {}


class RequirementState(TypedDict):
    """A package."""

    name: str
    version: str | None


class ToolState(TypedDict):
    """A tool."""

    id: str
    name: str | None
    tool_type: str
    description: str | None
    source_type: str | None
    source_code: str | None
    json_schema: dict[str, object] | None
    args_json_schema: dict[str, object] | None
    tags: list[str]
    return_char_limit: int
    pip_requirements: list[RequirementState] | None
    npm_requirements: list[RequirementState] | None
    default_requires_approval: bool | None
    enable_parallel_execution: bool | None
    created_by_id: str | None
    last_updated_by_id: str | None
    project_id: str | None
    metadata_: dict[str, object] | None


class ToolSearchResult(TypedDict):
    """A tool that was found, and how well it fits: 1 is best."""

    tool: ToolState
    combined_score: float
    embedded_text: str | None
    fts_rank: int | None
    vector_rank: int | None


class ToolExecutionResult(TypedDict):
    """What came of one call."""

    status: str
    func_return: str | None
    stdout: list[str]
    stderr: list[str]
    agent_state: None
    sandbox_config_fingerprint: str | None


def execution_result(outcome: ToolOutcome) -> ToolExecutionResult:
    """An outcome as its answer."""
    return {
        "status": outcome.status,
        "func_return": outcome.text,
        "stdout": list(outcome.stdout),
        "stderr": list(outcome.stderr),
        "agent_state": None,
        "sandbox_config_fingerprint": None,
    }


def signature_in(body: ToolCreate) -> Signature:
    """The function that a request brings. Raises `Invalid` saying what to write."""
    if body.source_type != "python":
        raise Invalid(
            f"source_type {body.source_type[:50]!r} cannot be run by this server; write the tool in python."
        )
    told = body.json_schema is not None or body.args_json_schema is not None
    named = body.json_schema.get("name") if body.json_schema is not None else None
    signature = signature_of(body.source_code, name=str(named) if named else None, described=not told)
    if len(signature.name) > NAME_CHARS_MAX:
        raise Invalid(
            f"The function's name has {len(signature.name)} characters; models take {NAME_CHARS_MAX}."
        )
    if not signature.name.isascii():
        raise Invalid(
            f"The function is named {signature.name!r}; models take names of the letters a to z, digits and _ only."
        )
    if signature.name in BUILTINS:
        raise Invalid(
            f"{signature.name} is the name of a tool that is built in; name the function differently."
        )
    return signature


def new_tool(body: ToolCreate, signature: Signature, made: tuple[ToolId, UserId, datetime]) -> StoredTool:
    """The tool that a request describes; `signature` knows all its types. Raises `Invalid`."""
    description = body.description or signature.description
    if body.json_schema is not None:
        schema = {**body.json_schema, "name": signature.name}
        description = body.description or str(schema.get("description") or "") or signature.description
        schema["description"] = description
        if body.args_json_schema is not None and "parameters" not in schema:
            schema |= function_schema(signature.name, description, body.args_json_schema)
    elif body.args_json_schema is not None:
        if not description:
            raise Invalid(
                f"Give a description, or the function {signature.name} a docstring: the model is told by it."
            )
        schema = function_schema(signature.name, description, body.args_json_schema)
    else:
        schema = {**signature.json_schema, "description": description}
    new_id, user_id, now = made
    return StoredTool(
        id=new_id,
        user_id=user_id,
        name=signature.name,
        created_at=now,
        updated_at=now,
        description=description,
        source_code=body.source_code,
        json_schema=schema,
        args_json_schema=body.args_json_schema,
        tags=tuple(dict.fromkeys(body.tags or ())),
        return_limit_chars=body.return_char_limit,
        pip_requirements=requirements(body.pip_requirements),
        npm_requirements=requirements(body.npm_requirements),
        default_requires_approval=body.default_requires_approval,
        parallel=bool(body.enable_parallel_execution),
    )


def as_created(tool: StoredTool, body: ToolUpdate) -> ToolCreate:
    """The request that would make the tool as a change wants it: what is not given stays as it is.

    A new source without a schema has a schema of its own again.
    """
    given = body.model_dump(exclude_none=True, exclude={"metadata_"})
    before: dict[str, Any] = {
        "source_code": tool.source_code,
        "tags": list(tool.tags),
        "args_json_schema": tool.args_json_schema,
        "return_char_limit": tool.return_limit_chars,
        "pip_requirements": [_requirement(each) for each in tool.pip_requirements],
        "npm_requirements": [_requirement(each) for each in tool.npm_requirements],
        "default_requires_approval": tool.default_requires_approval,
        "enable_parallel_execution": tool.parallel,
    }
    if not {"source_code", "json_schema", "args_json_schema"} & given.keys():
        before |= {"json_schema": dict(tool.json_schema), "description": tool.description}
    if "source_code" in given and "args_json_schema" not in given:
        del before["args_json_schema"]
    return ToolCreate.model_validate({**before, **given})


def changed_tool(tool: StoredTool, wanted: StoredTool, body: ToolUpdate) -> StoredTool:
    """A tool as a change wants it, with its id and age."""
    metadata = tool.metadata if body.metadata_ is None else body.metadata_
    return replace(
        wanted, id=tool.id, created_at=tool.created_at, tool_type=tool.tool_type, metadata=metadata
    )


def changed_external(tool: StoredTool, body: ToolUpdate) -> StoredTool:
    """A tool of an MCP server's as a change wants it. Raises `Invalid` for what its server says."""
    given = set(body.model_dump(exclude_none=True))
    said = given - {
        "tags", "return_char_limit", "default_requires_approval", "enable_parallel_execution", "metadata_",
    }  # fmt: skip
    if said:
        raise Invalid(
            f"{tool.name} is what its MCP server says: {', '.join(sorted(said))} cannot be changed here. A refresh of the"
            " server brings it up to date."
        )
    approval, parallel = body.default_requires_approval, body.enable_parallel_execution
    metadata = tool.metadata if body.metadata_ is None else {**body.metadata_, ORIGIN: tool.metadata[ORIGIN]}
    return replace(
        tool,
        tags=tool.tags if body.tags is None else tuple(dict.fromkeys(body.tags)),
        return_limit_chars=body.return_char_limit or tool.return_limit_chars,
        default_requires_approval=tool.default_requires_approval if approval is None else approval,
        parallel=tool.parallel if parallel is None else parallel,
        metadata=metadata,
    )


def requirements(given: list[RequirementGiven] | None) -> tuple[Requirement, ...]:
    """The packages that a request names. Raises `Invalid` for what is no plain name."""
    found = tuple(Requirement(each.name, each.version) for each in given or ())
    check_requirements(found)
    return found


def specs_of(names: Iterable[str], stored: Mapping[str, StoredTool]) -> list[ToolSpec]:
    """What the model is told of an agent's tools."""
    found = (SPECS.get(name) or (stored[name].spec if name in stored else None) for name in names)
    return [spec for spec in found if spec is not None]


def tool_states(names: Iterable[str], stored: Mapping[str, StoredTool]) -> list[ToolState]:
    """An agent's tools as they are answered. A name that is no tool any more is left out."""
    return [
        builtin_state(name) if name in BUILTINS else stored_state(stored[name])
        for name in names
        if name in BUILTINS or name in stored
    ]


def builtin_state(name: str) -> ToolState:
    """A tool that ships, as it is answered."""
    kind, spec = BUILTINS[name], SPECS.get(name)
    description = _NOT_HERE if spec is None else spec.description
    schema: dict[str, object] = {"name": name, "description": description}
    if spec is not None:
        schema["parameters"] = spec.parameters
    return {
        "id": tool_id(name),
        "name": name,
        "tool_type": kind,
        "description": description,
        "source_type": "python",
        "source_code": None,
        "json_schema": schema,
        "args_json_schema": None,
        "tags": [kind],
        "return_char_limit": DEFAULT_RETURN_LIMIT_CHARS,
        "pip_requirements": None,
        "npm_requirements": None,
        "default_requires_approval": None,
        "enable_parallel_execution": False,
        "created_by_id": None,
        "last_updated_by_id": None,
        "project_id": None,
        "metadata_": {},
    }


def stored_state(tool: StoredTool) -> ToolState:
    """A tool that an actor made, as it is answered."""
    return {
        "id": tool.id,
        "name": tool.name,
        "tool_type": tool.tool_type,
        "description": tool.description,
        "source_type": tool.source_type,
        "source_code": tool.source_code,
        "json_schema": dict(tool.json_schema),
        "args_json_schema": None if tool.args_json_schema is None else dict(tool.args_json_schema),
        "tags": list(tool.tags),
        "return_char_limit": tool.return_limit_chars,
        "pip_requirements": [_requirement(each) for each in tool.pip_requirements] or None,
        "npm_requirements": [_requirement(each) for each in tool.npm_requirements] or None,
        "default_requires_approval": tool.default_requires_approval,
        "enable_parallel_execution": tool.parallel,
        "created_by_id": tool.user_id,
        "last_updated_by_id": tool.user_id,
        "project_id": None,
        "metadata_": dict(tool.metadata),
    }


def fitness(state: ToolState, words: list[str]) -> float:
    """How many of the words stand in a tool's name or description, from 0 to 1; those in the name count twice."""
    if not words:
        return 1.0
    name, about = (state["name"] or "").lower(), (state["description"] or "").lower()
    found = sum(1.0 if word in name else 0.5 if word in about else 0.0 for word in words)
    return round(found / len(words), 4)


def _requirement(each: Requirement) -> RequirementState:
    return cast("RequirementState", {"name": each.name, "version": each.version})
