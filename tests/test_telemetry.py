"""Logs: what is written, for whom, and what never is. And the numbers: what they are called, and that they are counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from runstead.telemetry import (
    HIDDEN,
    METRICS,
    SERIES_MAX,
    Meter,
    MetricKind,
    configure,
    hide_secrets,
    log,
    metrics_table,
)


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Configuration is the process's: leave it as it was."""
    yield
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What was logged as JSON."""
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_part_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    """One line an event."""
    configure("INFO", as_json=True)
    log("engine").info("claimed", run_id="run-1", epoch=2)

    (line,) = lines(capsys)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "claimed", "part": "engine", "level": "info", "run_id": "run-1", "epoch": 2}


def test_what_is_bound_stands_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A run's id is bound once for all that happens in it."""
    configure("INFO", as_json=True)
    with structlog.contextvars.bound_contextvars(run_id="run-1"):
        log("loop").info("step")

    assert lines(capsys)[0]["run_id"] == "run-1"


def test_below_the_level_nothing_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A quiet server is quiet."""
    configure("warning", as_json=True)
    log("loop").info("step")

    assert lines(capsys) == []


@pytest.mark.parametrize("name", ["api_key", "OPENAI_API_KEY", "Authorization", "server_password"])
def test_values_that_are_called_secret_are_hidden(name: str) -> None:
    """Whoever logs a secret by mistake logs an ellipsis."""
    assert hide_secrets(None, "info", {"event": "x", name: "sk-1"}) == {"event": "x", name: HIDDEN}


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_shows_no_variables(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The error and where it was, without the values around it."""
    configure("INFO", as_json=as_json)
    hidden = "".join(["never", "-", "shown"])
    try:
        raise ValueError(len(hidden))
    except ValueError:
        log("loop").exception("failed")

    said = capsys.readouterr().err
    assert "ValueError: 11" in said
    assert "never-shown" not in said


def test_an_unknown_level_is_refused() -> None:
    """With the levels there are."""
    with pytest.raises(ValueError, match="use DEBUG, INFO, WARNING or ERROR"):
        configure("LOUD", as_json=True)


def test_the_table_in_the_docs_is_the_metrics() -> None:
    """docs/metrics.md holds the table that `METRICS` gives now."""
    assert metrics_table() in (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()


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
    timings = meter.timings()["runstead_time_to_first_token_seconds"]
    assert timings.counts[0] == timings.counts[1] == timings.counts[-1] == 1
    assert sum(timings.counts) == 3
