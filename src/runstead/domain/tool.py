"""What the model is told of a tool, and what came of running one. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from runstead.domain.agent import Block

DEFAULT_RETURN_LIMIT_CHARS = 50_000

# What becomes of a call that was in flight when its process died: it is run again with the same id, or never again.
OnInterrupt = Literal["rerun", "fail"]


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it: `parameters` is a JSON schema of an object.

    `on_interrupt` is for tools that cannot tell by a call's id that they have done it before: with `fail`, the model learns
    that the call was interrupted and may have taken effect. It costs a commit before each call.
    """

    name: str
    description: str
    parameters: Mapping[str, object]
    return_limit_chars: int = DEFAULT_RETURN_LIMIT_CHARS
    client: bool = False
    on_interrupt: OnInterrupt = "rerun"


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """What came of a call: text for the model, what it printed, and the memory blocks it changed (with their new values)."""

    status: str
    text: str
    stdout: tuple[str, ...] = ()
    stderr: tuple[str, ...] = ()
    blocks: tuple[Block, ...] = field(default=())
