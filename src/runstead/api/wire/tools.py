"""Tools as JSON, by name: what an agent answers of the tools it has. Nothing is run here.

A built-in tool's id follows from its name, so it is the same on every server and needs no row. Some names of the API are
taken without there being such a tool here: clients give them to every agent, and the model is not told of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from typing_extensions import TypedDict

from runstead.domain.tool import DEFAULT_RETURN_LIMIT_CHARS, ToolSpec
from runstead.errors import NotFound
from runstead.ids import ToolId
from runstead.tools.builtin.archival import ARCHIVAL_TOOLS
from runstead.tools.builtin.conversation import CONVERSATION_TOOLS
from runstead.tools.builtin.memory import MEMORY_TOOLS

_CORE = "letta_core"
_MEMORY = "letta_sleeptime_core"
_BUILTIN = "letta_builtin"
_NOT_HERE = "Known to the API; this server does not offer it, and the model is not told of it."
# What sort of tool the API says it is.
BUILTINS: Mapping[str, str] = {
    "send_message": _CORE,
    "conversation_search": _CORE,
    "archival_memory_insert": _CORE,
    "archival_memory_search": _CORE,
    "core_memory_append": "letta_memory_core",
    "core_memory_replace": "letta_memory_core",
    "memory_insert": _MEMORY,
    "memory_replace": _MEMORY,
    "memory_rethink": _MEMORY,
    "run_code": _BUILTIN,
    "web_search": _BUILTIN,
    "fetch_webpage": _BUILTIN,
}
_SPECS = {tool.spec.name: tool.spec for tool in (*MEMORY_TOOLS, *CONVERSATION_TOOLS, *ARCHIVAL_TOOLS)}


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
    pip_requirements: list[dict[str, object]] | None
    npm_requirements: list[dict[str, object]] | None
    default_requires_approval: bool | None
    enable_parallel_execution: bool | None
    created_by_id: str | None
    last_updated_by_id: str | None
    project_id: str | None
    metadata_: dict[str, object] | None


def stable_id(prefix: str, text: str) -> str:
    """An id that follows from a text, in the shape of all ids."""
    digits = hashlib.sha256(f"{prefix}:{text}".encode()).hexdigest()
    shape = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
    return f"{prefix}-{shape}"


def tool_id(name: str) -> ToolId:
    """The id of a built-in tool."""
    return ToolId(stable_id("tool", name))


def known_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names, each once. Raises `NotFound` naming those that are no tools."""
    wanted = tuple(dict.fromkeys(names))
    unknown = [name[:100] for name in wanted if name not in BUILTINS]
    if unknown:
        raise NotFound(
            f"There are no tools named {', '.join(unknown)}; there are {', '.join(sorted(BUILTINS))}."
        )
    return wanted


def names_of(tool_ids: Iterable[str]) -> tuple[str, ...]:
    """The names of tools given by id. Raises `NotFound` for an unknown id."""
    by_id = {tool_id(name): name for name in BUILTINS}
    wanted = [ToolId(each) for each in tool_ids]
    unknown = [each[:100] for each in wanted if each not in by_id]
    if unknown:
        raise NotFound(f"There are no tools with the ids {', '.join(unknown)}.")
    return tuple(by_id[each] for each in wanted)


def specs_of(names: Iterable[str]) -> list[ToolSpec]:
    """What the model is told of these tools."""
    return [_SPECS[name] for name in names if name in _SPECS]


def tool_state(name: str) -> ToolState:
    """A tool as it is answered."""
    kind, spec = BUILTINS.get(name, "custom"), _SPECS.get(name)
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
