"""What the model is told of a tool, and what came of running one. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runstead.domain.agent import Block

DEFAULT_RETURN_LIMIT_CHARS = 50_000


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: `parameters` is a JSON schema of an object."""

    name: str
    description: str
    parameters: Mapping[str, object]
    return_limit_chars: int = DEFAULT_RETURN_LIMIT_CHARS
    client: bool = False


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call: text for the model, what it printed, and the memory blocks it changed (with their new values)."""

    status: str
    text: str
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())
