"""The numbers of `GET /metrics`: what they are called, what they mean, and a place to count them.

`METRICS` is every number's name and meaning. A `Meter` counts what happens in this process: a dictionary, no library, so
that counting costs nothing worth counting. Numbers of the store are read by who answers a scrape, not counted here.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MetricKind(StrEnum):
    """How a number behaves."""

    GAUGE = "gauge"  # what is now
    COUNTER = "counter"  # what happened since the process started; only grows
    HISTOGRAM = "histogram"  # how often something took how long


BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
# What should be over before anybody notices.
QUICK_BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


@dataclass(frozen=True, slots=True)
class Metric:
    """One number's name, kind and meaning. `label` tells its series apart; those of `values` are there from the start.

    `of_store`: every process of one store tells the same number; else it is the process's own. `bounds_s` are the upper
    bounds of a histogram's buckets, in seconds.
    """

    name: str
    kind: MetricKind
    help: str
    label: str | None = None
    values: tuple[str, ...] = ()
    of_store: bool = False
    bounds_s: tuple[float, ...] = BUCKETS_S


_G, _C, _H = MetricKind.GAUGE, MetricKind.COUNTER, MetricKind.HISTOGRAM
METRICS: tuple[Metric, ...] = (
    Metric(
        "runstead_runs_active",
        _G,
        "Runs of this store that are not over.",
        "status",
        ("created", "running"),
        of_store=True,
    ),
    Metric(
        "runstead_runs_waiting",
        _G,
        "Runs that have not begun because others of their lane are ahead.",
        of_store=True,
    ),
    Metric(
        "runstead_runs_waiting_oldest_seconds",
        _G,
        "Age of the oldest of these; 0 where there is none.",
        of_store=True,
    ),
    Metric(
        "runstead_runs_due",
        _G,
        "Runs that could be worked on now and that no living process owns.",
        of_store=True,
    ),
    Metric(
        "runstead_runs_due_oldest_seconds",
        _G,
        "Since the oldest of these was last written; 0 where there is none.",
        of_store=True,
    ),
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
    Metric(
        "runstead_tail_lag_seconds",
        _H,
        "From an event's making until it is kept and readers may have it; a sample of the events that are streamed.",
        bounds_s=QUICK_BUCKETS_S,
    ),
    Metric(
        "runstead_tool_seconds",
        _H,
        "How long calls of tools took. Tools that do not ship are `custom`, names that are no tool's `unknown`.",
        "tool",
    ),
    Metric("runstead_tool_errors_total", _C, "Calls of tools whose return was an error.", "tool"),
    Metric("runstead_leases_held", _G, "Runs that this process owns."),
    Metric(
        "runstead_lease_age_seconds",
        _G,
        "Since this process's leases were last renewed; 0 where it has none. Beyond `RUNSTEAD_LEASE_S` they are over.",
    ),
    Metric(
        "runstead_leases_overdue",
        _G,
        "Runs of this store whose owner's lease is over and that nobody took yet.",
        of_store=True,
    ),
    Metric(
        "runstead_leases_overdue_oldest_seconds",
        _G,
        "For how long the oldest of these has been over; 0 where there is none.",
        of_store=True,
    ),
    Metric("runstead_streams_open", _G, "Responses of this process that follow a run."),
    Metric("runstead_log_size", _G, "The event log's own memory.", "what"),
    Metric(
        "runstead_event_rows",
        _G,
        "Rows of the event log: all (an estimate), and those of runs that are not over.",
        "part",
        ("total", "unpacked"),
        of_store=True,
    ),
    Metric(
        "runstead_event_bytes",
        _G,
        "Bytes of the event log: all with its index (PostgreSQL only), and those of runs that are not over.",
        "part",
        ("unpacked",),
        of_store=True,
    ),
    Metric("runstead_store_bytes", _G, "Bytes of the whole database, free pages included.", of_store=True),
    Metric("runstead_messages", _G, "Stored messages (an estimate).", of_store=True),
    Metric("runstead_steps", _G, "Stored steps (an estimate).", of_store=True),
    Metric(
        "runstead_idempotency_keys", _G, "Idempotency keys that are remembered (an estimate).", of_store=True
    ),
    Metric("runstead_outbox_due", _G, "Callbacks that should have been tried by now.", of_store=True),
    Metric("runstead_swept_runs_total", _C, "Runs whose events this process deleted after their retention."),
    Metric("runstead_swept_rows_total", _C, "Rows of events that this process deleted."),
    Metric("runstead_swept_keys_total", _C, "Idempotency keys that this process forgot."),
    Metric("runstead_swept_callbacks_total", _C, "Done callbacks that this process forgot."),
    Metric("runstead_swept_traces_total", _C, "Traces of what went to models that this process forgot."),
    Metric("runstead_swept_deletions_total", _C, "Deletions of runs that this process forgot."),
)
_KNOWN = {metric.name: metric for metric in METRICS}
# Gauges that are moved up and down where things begin and end; the others are read when they are asked for.
LEVELS = ("runstead_streams_open",)
# A label's values are few and our own; what would be more than this is counted as "other".
SERIES_MAX = 50


@dataclass(slots=True)
class Timings:
    """How often something took how long: `counts` per bucket of `bounds_s` and beyond the last, and the sum in seconds."""

    bounds_s: tuple[float, ...]
    counts: list[int] = field(default_factory=list[int])
    sum_s: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds_s) + 1)

    def note(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.sum_s += seconds


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
        self._timings: dict[str, dict[str, Timings]] = {
            metric.name: {} if metric.label else {"": Timings(metric.bounds_s)}
            for metric in METRICS
            if metric.kind is MetricKind.HISTOGRAM
        }

    def add(self, name: str, amount: float = 1, label: str = "") -> None:
        """Count on. `label` is the value of the metric's label, where it has one."""
        series = self._values[name]
        label = _bounded(series, label)
        series[label] = series.get(label, 0.0) + amount

    def observe(self, name: str, seconds: float, label: str = "") -> None:
        """Note how long something took."""
        series = self._timings[name]
        label = _bounded(series, label)
        if label not in series:
            series[label] = Timings(_KNOWN[name].bounds_s)
        series[label].note(seconds)

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

    def timings(self) -> Mapping[str, Mapping[str, Timings]]:
        """All histograms: per name, per value of its label."""
        return self._timings


def _bounded(series: Mapping[str, object], label: str) -> str:
    """The label, or "other" where there are as many as there may be."""
    return label if label in series or len(series) < SERIES_MAX else "other"


def metrics_table() -> str:
    """The table of `docs/metrics.md`."""
    rows = ["| metric | kind | of | label | meaning |", "|---|---|---|---|---|"]
    for metric in METRICS:
        label = "" if metric.label is None else f"`{metric.label}`"
        label += f": {', '.join(metric.values)}" if metric.values else ""
        rows.append(
            f"| `{metric.name}` | {metric.kind} | {'store' if metric.of_store else 'process'} | {label} | {metric.help} |"
        )
    return "\n".join(rows) + "\n"
