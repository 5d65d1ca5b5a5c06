"""A tool that an actor made: what the model is told of it, its source, and how it may be run. Pure data.

`tool_type` says who runs it: `custom` is user code for the sandbox, other kinds have runners of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast

from runstead.domain.tool import DEFAULT_RETURN_LIMIT_CHARS, ToolSpec
from runstead.ids import ToolId, UserId

CUSTOM = "custom"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A package that a tool's code imports; without a version the newest one."""

    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class StoredTool:
    """One tool of one actor. `json_schema` is the whole function as the API shows it, `parameters` its arguments.

    `args_json_schema` is what its maker said of the arguments; then nested ones reach the code as objects.
    """

    id: ToolId
    user_id: UserId
    name: str
    created_at: datetime
    updated_at: datetime
    description: str = ""
    tool_type: str = CUSTOM
    source_type: str = "python"
    source_code: str = ""
    json_schema: Mapping[str, object] = field(default_factory=dict[str, object])
    args_json_schema: Mapping[str, object] | None = None
    tags: tuple[str, ...] = ()
    return_limit_chars: int = DEFAULT_RETURN_LIMIT_CHARS
    pip_requirements: tuple[Requirement, ...] = ()
    npm_requirements: tuple[Requirement, ...] = ()
    default_requires_approval: bool | None = None
    parallel: bool = False
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])

    @property
    def spec(self) -> ToolSpec:
        """What the model is told of it."""
        told = self.json_schema.get("parameters")
        parameters: Mapping[str, object] = {"type": "object", "properties": {}}
        if isinstance(told, Mapping):
            parameters = cast("Mapping[str, object]", told)
        described = self.json_schema.get("description")
        text = described if isinstance(described, str) else self.description
        return ToolSpec(self.name, text, parameters, self.return_limit_chars)
