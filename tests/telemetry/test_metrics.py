"""The numbers: what they are called, and that they are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from runstead.telemetry.metrics import METRICS, SERIES_MAX, Meter, MetricKind, metrics_table


def test_the_table_in_the_docs_is_the_metrics() -> None:
    """docs/metrics.md holds the table that `METRICS` gives now."""
    assert metrics_table() in (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()


def test_names_of_metrics_are_one_kind_each() -> None:
    """No name twice; counters end in `_total`, and nothing else does."""
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.startswith("runstead_")
        assert metric.name.endswith("_total") is (metric.kind is MetricKind.COUNTER)


def test_a_meter_counts_by_label_and_within_limits() -> None:
    """Series that are known are there from the start; more than there may be are counted together."""
    meter = Meter()
    assert meter.values()["runstead_runs_finished_total"] == {"completed": 0, "failed": 0, "cancelled": 0}
    for n in range(SERIES_MAX + 3):
        meter.add("runstead_model_errors_total", label=f"kind-{n}")
    series = meter.values()["runstead_model_errors_total"]
    assert len(series) == SERIES_MAX + 1
    assert series["other"] == 3
    meter.move("runstead_streams_open", 2)
    meter.watch("runstead_leases_held", lambda: 5)
    assert meter.values()["runstead_streams_open"][""] == 2
    assert meter.values()["runstead_leases_held"][""] == 5
    with pytest.raises(KeyError):
        meter.add("runstead_unknown_total")


def test_a_time_falls_into_its_bucket() -> None:
    """At a bound it is within; beyond the last it is counted too."""
    meter = Meter()
    for seconds in (0.05, 0.051, 1000):
        meter.observe("runstead_time_to_first_token_seconds", seconds)
    timings = meter.timings()["runstead_time_to_first_token_seconds"][""]
    assert timings.counts[0] == timings.counts[1] == timings.counts[-1] == 1
    assert sum(timings.counts) == 3


def test_times_are_told_apart_by_label_and_have_bounds_of_their_own() -> None:
    """What is quick is measured finely; labels have the same limit as elsewhere."""
    meter = Meter()
    meter.observe("runstead_tail_lag_seconds", 0.003)
    lag = meter.timings()["runstead_tail_lag_seconds"][""]
    assert lag.counts[lag.bounds_s.index(0.005)] == 1
    for n in range(SERIES_MAX + 2):
        meter.observe("runstead_tool_seconds", 1.0, f"tool-{n}")
    series = meter.timings()["runstead_tool_seconds"]
    assert len(series) == SERIES_MAX + 1
    assert sum(series["other"].counts) == 2
