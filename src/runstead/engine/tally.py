"""The loop, counted: how runs end, what models failed with, how long their first token and their tools took.

It changes nothing of what the executor does, and counts nothing while a model speaks. What is logged while a run is worked
on has the run's id, whoever logs it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any, cast

from structlog.contextvars import bound_contextvars

from runstead.clock import Clock
from runstead.domain.message import ToolCall
from runstead.domain.run import Run
from runstead.domain.tool import ToolOutcome
from runstead.engine.owner import Executor
from runstead.errors import ModelErrorKind
from runstead.loop.hold import Hold
from runstead.telemetry import Meter

_MODEL_ERRORS = frozenset(kind.value for kind in ModelErrorKind)


class CountedExecutor:
    """An executor whose ended runs are counted."""

    def __init__(self, executor: Executor, meter: Meter) -> None:
        self._executor = executor
        self._meter = meter

    async def execute(self, hold: Hold) -> None:
        """Work on the run until it is over or must be left."""
        with bound_contextvars(run_id=hold.run.id, epoch=hold.run.epoch):
            await self._executor.execute(hold)
        self._count(hold.run)

    async def fail(self, hold: Hold, error: Exception) -> None:
        """End a run that something unforeseen broke."""
        with bound_contextvars(run_id=hold.run.id, epoch=hold.run.epoch):
            await self._executor.fail(hold, error)
        self._count(hold.run)

    def _count(self, run: Run) -> None:
        if not run.status.final:
            return
        self._meter.add("runstead_runs_finished_total", label=run.status.value)
        if run.ttft_ns is not None:
            self._meter.observe("runstead_time_to_first_token_seconds", run.ttft_ns / 1e9)
        error = run.metadata.get("error")
        if isinstance(error, Mapping):
            kind = cast("Mapping[str, object]", error).get("error_type")
            if kind in _MODEL_ERRORS:
                self._meter.add("runstead_model_errors_total", label=str(kind))


class CountedTools:
    """A watch over tool calls that notes how long they took and which failed."""

    def __init__(self, meter: Meter, clock: Clock) -> None:
        self._meter = meter
        self._clock = clock

    async def __call__(
        self, call: ToolCall, kind: str, made: Coroutine[Any, Any, ToolOutcome]
    ) -> ToolOutcome:
        """Make the call. One that is cancelled is not counted."""
        began_ns = self._clock.monotonic_ns()
        outcome = await made
        seconds = (self._clock.monotonic_ns() - began_ns) / 1e9
        self._meter.observe("runstead_tool_seconds", seconds, kind)
        if outcome.status != "success":
            self._meter.add("runstead_tool_errors_total", label=kind)
        return outcome
