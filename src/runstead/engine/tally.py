"""The loop, counted: how runs end, what models failed with, how long their first token took. Once a run, at its end.

It changes nothing of what the executor does, and counts nothing while a model speaks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from runstead.domain.run import Run
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
        await self._executor.execute(hold)
        self._count(hold.run)

    async def fail(self, hold: Hold, error: Exception) -> None:
        """End a run that something unforeseen broke."""
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
