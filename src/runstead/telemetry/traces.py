"""Traces, as far as those need them who never made one: where a run's trace comes from, and what the work on it belongs to.

Nothing here imports OpenTelemetry. While traces are off, nothing is current, and a step costs one look at a variable. Spans
are made in `telemetry/spans.py`, which is loaded where traces are on.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Protocol

from runstead.domain.agent import Agent
from runstead.domain.step import Step

# W3C Trace Context, version 00 and what later ones may put behind it.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_TRACEPARENT_CHARS = 55


class Traced(Protocol):
    """The work of one owner on one run."""

    def step(self, step: Step, agent: Agent) -> Step:
        """A step of it begins. Gives the step with its trace's id."""
        ...


current: ContextVar[Traced | None] = ContextVar("runstead_traced", default=None)


def traced_step(step: Step, agent: Agent) -> Step:
    """Say that a step begins, where anybody wants to know it."""
    traced = current.get()
    return step if traced is None else traced.step(step, agent)


def traceparent_of(header: str | None) -> str | None:
    """The caller's place in a trace, from its `traceparent` header; None where there is none that can be read."""
    if header is None or not _TRACEPARENT.match(header.strip()):
        return None
    return "00" + header.strip()[2:_TRACEPARENT_CHARS]
