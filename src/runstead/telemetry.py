"""What a server tells of itself: logs, and the numbers of `GET /metrics`.

Logs are structured, one line an event, bound to a run's id where there is one, and never with a secret in them. `log(name)`
is cheap and may be called at import; nothing is printed but through `configure`, which a server calls once.

`METRICS` is every number's name and meaning. A `Meter` counts what happens in this process: a dictionary, no library, so
that counting costs nothing worth counting. Numbers of the store are read by who answers a scrape, not counted here.
"""

from __future__ import annotations

import logging
import sys
from bisect import bisect_left
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import structlog

_SECRET_WORDS = ("authorization", "api_key", "password", "secret", "token_value")
HIDDEN = "…"


def log(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(part=name))


def configure(level: str, *, as_json: bool) -> None:
    """Write logs from `level` on to standard error, for people or as JSON lines.

    Raises `ValueError` for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {level!r}; use DEBUG, INFO, WARNING or ERROR.")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # A traceback with the values of its variables would show secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        hide_secrets,
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an ellipsis in the place of every value whose name says that it is secret."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = HIDDEN
    return event


class MetricKind(StrEnum):
    """How a number behaves."""

    GAUGE = "gauge"  # what is now
    COUNTER = "counter"  # what happened since the process started; only grows
    HISTOGRAM = "histogram"  # how often something took how long


@dataclass(frozen=True, slots=True)
class Metric:
    """One number's name, kind and meaning. `label` tells its series apart; those of `values` are there from the start."""

    name: str
    kind: MetricKind
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()


_G, _C, _H = MetricKind.GAUGE, MetricKind.COUNTER, MetricKind.HISTOGRAM
METRICS: tuple[Metric, ...] = (
    Metric(
        "runstead_runs_active", _G, "Runs of this store that are not over.", "status", ("created", "running")
    ),
    Metric("runstead_runs_waiting", _G, "Runs that have not begun because others of their lane are ahead."),
    Metric("runstead_runs_waiting_oldest_seconds", _G, "Age of the oldest of these; 0 where there is none."),
    Metric(
        "runstead_runs_finished_total",
        _C,
        "Runs that this process brought to their end.",
        "status",
        ("completed", "failed", "cancelled"),
    ),
    Metric("runstead_model_errors_total", _C, "Runs that a model's failure ended, by its type.", "type"),
    Metric(
        "runstead_time_to_first_token_seconds",
        _H,
        "From a run's beginning to the first thing its model said; counted at the run's end.",
    ),
    Metric("runstead_leases_held", _G, "Runs that this process owns."),
    Metric("runstead_streams_open", _G, "Responses of this process that follow a run."),
    Metric("runstead_log_size", _G, "The event log's own memory.", "what"),
    Metric(
        "runstead_event_rows",
        _G,
        "Rows of the event log: all (an estimate), and those of runs that are not over.",
        "part",
        ("total", "unpacked"),
    ),
    Metric(
        "runstead_event_bytes",
        _G,
        "Bytes of the event log: all with its index (PostgreSQL only), and those of runs that are not over.",
        "part",
        ("unpacked",),
    ),
    Metric("runstead_store_bytes", _G, "Bytes of the whole database, free pages included."),
    Metric("runstead_messages", _G, "Stored messages (an estimate)."),
    Metric("runstead_steps", _G, "Stored steps (an estimate)."),
    Metric("runstead_idempotency_keys", _G, "Idempotency keys that are remembered (an estimate)."),
    Metric("runstead_outbox_due", _G, "Callbacks that should have been tried by now."),
    Metric("runstead_swept_runs_total", _C, "Runs whose events this process deleted after their retention."),
    Metric("runstead_swept_rows_total", _C, "Rows of events that this process deleted."),
    Metric("runstead_swept_keys_total", _C, "Idempotency keys that this process forgot."),
    Metric("runstead_swept_callbacks_total", _C, "Done callbacks that this process forgot."),
    Metric("runstead_swept_traces_total", _C, "Traces of what went to models that this process forgot."),
)
_KNOWN = {metric.name: metric for metric in METRICS}
BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
# Gauges that are moved up and down where things begin and end; the others are read when they are asked for.
LEVELS = ("runstead_streams_open",)
# A label's values are few and our own; what would be more than this is counted as "other".
SERIES_MAX = 50


@dataclass(slots=True)
class Timings:
    """How often something took how long: `counts` per bucket of `BUCKETS_S` and beyond the last, and the sum in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0


class Meter:
    """The numbers of one process. Names must be in `METRICS`."""

    def __init__(self) -> None:
        self._values: dict[str, dict[str, float]] = {
            metric.name: dict.fromkeys(metric.values or (() if metric.label else ("",)), 0.0)
            for metric in METRICS
            if metric.kind is MetricKind.COUNTER
        }
        self._levels: dict[str, float] = dict.fromkeys(LEVELS, 0.0)
        self._watched: dict[str, Callable[[], float]] = {}
        self._timings = {m.name: Timings() for m in METRICS if m.kind is MetricKind.HISTOGRAM}

    def add(self, name: str, amount: float = 1, label: str = "") -> None:
        """Count on. `label` is the value of the metric's label, where it has one."""
        series = self._values[name]
        if label not in series and len(series) >= SERIES_MAX:
            label = "other"
        series[label] = series.get(label, 0.0) + amount

    def observe(self, name: str, seconds: float) -> None:
        """Note how long something took."""
        timings = self._timings[name]
        timings.counts[bisect_left(BUCKETS_S, seconds)] += 1
        timings.sum_s += seconds

    def move(self, name: str, by: float) -> None:
        """Move one of `LEVELS` up or down."""
        self._levels[name] += by

    def watch(self, name: str, read: Callable[[], float]) -> None:
        """Ask `read` whenever this gauge is asked for."""
        assert _KNOWN[name].kind is MetricKind.GAUGE, "only a gauge is what is now"
        self._watched[name] = read

    def values(self) -> Mapping[str, Mapping[str, float]]:
        """All counters and the gauges that are known here: per name, per value of its label (empty where it has none)."""
        read = {name: {"": value()} for name, value in self._watched.items()}
        return self._values | {name: {"": level} for name, level in self._levels.items()} | read

    def timings(self) -> Mapping[str, Timings]:
        """All histograms."""
        return self._timings


def metrics_table() -> str:
    """The table of `docs/metrics.md`."""
    rows = ["| metric | kind | label | meaning |", "|---|---|---|---|"]
    for metric in METRICS:
        label = "" if metric.label is None else f"`{metric.label}`"
        label += f": {', '.join(metric.values)}" if metric.values else ""
        rows.append(f"| `{metric.name}` | {metric.kind} | {label} | {metric.help} |")
    return "\n".join(rows) + "\n"
