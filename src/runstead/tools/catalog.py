"""Tools by name and by id: what ships, and what an actor made, as one list. Runs nothing and reads nothing.

A built-in tool's id follows from its name, so it is the same on every server and needs no row. Some names of the API are
taken without there being such a tool here: clients give them to every agent, and the model is not told of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from runstead.domain.stored_tool import StoredTool
from runstead.errors import NotFound
from runstead.ids import ToolId, stable_id

_CORE = "letta_core"
_MEMORY = "letta_sleeptime_core"
_BUILTIN = "letta_builtin"
_FILES = "letta_files_core"
# What sort of tool the API says it is.
BUILTINS: Mapping[str, str] = {
    "send_message": _CORE,
    "conversation_search": _CORE,
    "archival_memory_insert": _CORE,
    "archival_memory_search": _CORE,
    "core_memory_append": "letta_memory_core",
    "core_memory_replace": "letta_memory_core",
    "memory": _MEMORY,
    "memory_insert": _MEMORY,
    "memory_replace": _MEMORY,
    "memory_rethink": _MEMORY,
    "run_code": _BUILTIN,
    "web_search": _BUILTIN,
    "fetch_webpage": _BUILTIN,
    "open_files": _FILES,
    "grep_files": _FILES,
    "semantic_search_files": _FILES,
}
TOOL_TYPES = (
    "custom",
    "letta_core",
    "letta_memory_core",
    "letta_multi_agent_core",
    "letta_sleeptime_core",
    "letta_voice_sleeptime_core",
    "letta_builtin",
    "letta_files_core",
    "external_langchain",
    "external_composio",
    "external_mcp",
)


def tool_id(name: str) -> ToolId:
    """The id of a built-in tool."""
    return ToolId(stable_id("tool", name))


_NAMES = {tool_id(name): name for name in BUILTINS}


def builtin_name(wanted: str) -> str | None:
    """The name of the built-in tool with that id."""
    return _NAMES.get(ToolId(wanted))


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every tool that a request may name: those that ship, and the actor's own that were looked up for it."""

    stored: Mapping[str, StoredTool] = field(default_factory=dict[str, StoredTool])

    def names(self, names: Iterable[str]) -> tuple[str, ...]:
        """The names, each once. Raises `NotFound` naming those that are no tools."""
        wanted = tuple(dict.fromkeys(names))
        unknown = [name[:100] for name in wanted if name not in BUILTINS and name not in self.stored]
        if unknown:
            there = ", ".join(sorted(BUILTINS))
            raise NotFound(
                f"There are no tools named {', '.join(unknown)}. Built in: {there}; others are made with POST /v1/tools/."
            )
        return wanted

    def names_of(self, tool_ids: Iterable[str]) -> tuple[str, ...]:
        """The names of tools given by id. Raises `NotFound` for an unknown id."""
        mine = {tool.id: tool.name for tool in self.stored.values()}
        wanted = tuple(dict.fromkeys(ToolId(each) for each in tool_ids))
        unknown = [each[:100] for each in wanted if each not in _NAMES and each not in mine]
        if unknown:
            raise NotFound(f"There are no tools with the ids {', '.join(unknown)}.")
        return tuple(_NAMES.get(each) or mine[each] for each in wanted)

    def approval_by_default(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the tools whose calls a person approves unless an agent's rules say otherwise."""
        found = ((name, self.stored.get(name)) for name in names)
        return tuple(name for name, tool in found if tool is not None and tool.default_requires_approval)
