"""Which tools an agent has, as the model sees them, and how one of them is run.

A tool gets what it needs in its context and gives an outcome; it never writes the store: what it changed is committed with
its return. A failure inside a tool is an outcome too: the model reads it and goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, cast

import orjson

from runstead.domain.agent import Agent, Block
from runstead.domain.message import ToolCall
from runstead.domain.stored_tool import StoredTool
from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.ids import RunId, UserId
from runstead.store.database import Database
from runstead.telemetry import log

_log = log("tools")


@dataclass(frozen=True, slots=True)
class ToolContext:
    """For whom a call is run. `call_id` is the same when a call is run again after a crash: an idempotency key.

    `stored` are the agent's tools that are not built in, by name.
    """

    user_id: UserId
    agent: Agent
    run_id: RunId
    call_id: str
    blocks: tuple[Block, ...]
    now: datetime
    stored: Mapping[str, StoredTool] = field(default_factory=dict[str, StoredTool])


Arguments = Mapping[str, object]


class ToolFailure(Exception):
    """The call cannot be carried out; the text tells the model why and what to do."""


@dataclass(frozen=True, slots=True)
class BuiltinTool:
    """A tool that ships: what the model is told, and the function that does it."""

    spec: ToolSpec
    run: Callable[[Arguments, ToolContext, Database], Awaitable[ToolOutcome]]


class StoredToolRunner(Protocol):
    """Runs stored tools of one type. It may raise `ToolFailure`; the time a call may take is the caller's business."""

    async def run(self, tool: StoredTool, arguments: Arguments, context: ToolContext) -> ToolOutcome:
        """One call to its outcome."""
        ...


Runners = Mapping[str, StoredToolRunner]


# Sees each call while it is made, and changes nothing of it: the call, what kind of tool it is (the name of one that ships,
# else CUSTOM_TOOL or UNKNOWN_TOOL), and what makes it.
ToolWatch = Callable[[ToolCall, str, Coroutine[Any, Any, ToolOutcome]], Coroutine[Any, Any, ToolOutcome]]
CUSTOM_TOOL, UNKNOWN_TOOL = "custom", "unknown"


async def unwatched(_call: ToolCall, _kind: str, made: Coroutine[Any, Any, ToolOutcome]) -> ToolOutcome:
    """Make the call."""
    return await made


class Toolbox:
    """The tools of this server: those that ship, and runners for those that actors made, by `tool_type`."""

    def __init__(
        self,
        db: Database,
        tools: tuple[BuiltinTool, ...],
        *,
        timeout_s: float,
        runners: Runners | None = None,
        watch: ToolWatch = unwatched,
    ) -> None:
        self._db = db
        self._tools = {tool.spec.name: tool for tool in tools}
        self._runners = runners or {}
        self._timeout_s = timeout_s
        self._watch = watch

    @property
    def shipped(self) -> frozenset[str]:
        """The names of the tools that ship: of all others there is to look in the store."""
        return frozenset(self._tools)

    def specs(
        self, agent: Agent, client_tools: tuple[ToolSpec, ...], stored: Mapping[str, StoredTool]
    ) -> tuple[ToolSpec, ...]:
        """What the model is told. A client's tool stands before a server's of the same name."""
        mine = {tool.name for tool in client_tools}
        own = [self._spec(name, stored) for name in agent.tools if name not in mine]
        return (*(spec for spec in own if spec is not None), *client_tools)

    def runs_once(self, name: str) -> bool:
        """Whether a call of this tool, once begun, must never be begun again."""
        tool = self._tools.get(name)
        return tool is not None and tool.spec.on_interrupt == "fail"

    async def run(self, call: ToolCall, context: ToolContext) -> ToolOutcome:
        """Run one call to its outcome, whatever it is; only cancellation comes out as an exception."""
        spec = self._spec(call.name, context.stored) if call.name in context.agent.tools else None
        kind = UNKNOWN_TOOL if spec is None else call.name if call.name in self._tools else CUSTOM_TOOL
        return await self._watch(call, kind, self._made(call, context, spec))

    async def _made(self, call: ToolCall, context: ToolContext, spec: ToolSpec | None) -> ToolOutcome:
        if spec is None:
            there = (name for name in context.agent.tools if self._spec(name, context.stored) is not None)
            known = ", ".join(there) or "none"
            return ToolOutcome("error", f"There is no tool named {call.name!r}. Tools: {known}.")
        try:
            arguments = _arguments(call)
            async with asyncio.timeout(self._timeout_s):
                outcome = await self._outcome(call.name, arguments, context)
        except ToolFailure as failure:
            return ToolOutcome("error", f"Error executing {call.name}: {failure}")
        except TimeoutError:
            return ToolOutcome("error", f"{call.name} took longer than {self._timeout_s:g} s.")
        except Exception as error:  # noqa: BLE001 - a tool's bug becomes its error return
            _log.error("tool failed", tool=call.name, run_id=context.run_id, exc_info=error)
            return ToolOutcome("error", f"{call.name} failed inside: {type(error).__name__}.")
        return limited(outcome, spec.return_limit_chars)

    def _spec(self, name: str, stored: Mapping[str, StoredTool]) -> ToolSpec | None:
        """What the model is told of one tool; None where there is none, or nothing here runs its type."""
        if name in self._tools:
            return self._tools[name].spec
        tool = stored.get(name)
        return tool.spec if tool is not None and tool.tool_type in self._runners else None

    async def _outcome(self, name: str, arguments: Arguments, context: ToolContext) -> ToolOutcome:
        if name in self._tools:
            return await self._tools[name].run(arguments, context, self._db)
        tool = context.stored[name]
        return await self._runners[tool.tool_type].run(tool, arguments, context)


def text_argument(arguments: Arguments, name: str, *, default: str | None = None) -> str:
    """A text argument of a call. Raises `ToolFailure` where it is missing or no text."""
    value = arguments.get(name, default)
    if not isinstance(value, str):
        raise ToolFailure(f"the argument {name!r} must be a text.")
    return value


def _arguments(call: ToolCall) -> Arguments:
    try:
        found: object = orjson.loads(call.arguments or "{}")
    except orjson.JSONDecodeError as error:
        raise ToolFailure(f"its arguments are no JSON ({error}). Call it again.") from None
    if not isinstance(found, dict):
        raise ToolFailure("its arguments must be a JSON object. Call it again.")
    return cast("Arguments", found)


def limited(outcome: ToolOutcome, limit_chars: int) -> ToolOutcome:
    """An outcome whose text has at most so many characters, and says so where it was cut."""
    if len(outcome.text) <= limit_chars:
        return outcome
    text = f"{outcome.text[:limit_chars]}… [cut: {len(outcome.text)} characters, the limit is {limit_chars}]"
    return ToolOutcome(outcome.status, text, outcome.stdout, outcome.stderr, outcome.blocks)
