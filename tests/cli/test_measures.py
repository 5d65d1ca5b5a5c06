"""Times, sizes and ends, as people read them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest

from runstead.cli.measures import age, duration_of, moment, outcome_code, rough, size, span, tokens_of

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MS = 1_000_000


def run(**fields: Any) -> RunState:
    """A run with these fields."""
    body = {"status": "completed", "stop_reason": "end_turn", "total_duration_ns": None}
    return cast("RunState", {"created_at": "2026-01-02T03:04:00.500000Z", **body, **fields})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.9, "0s"), (59.9, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")],
)
def test_a_time_span_in_its_largest_unit(seconds: float, text: str) -> None:
    """Rounded down."""
    assert rough(seconds) == text


def test_ages() -> None:
    """With or without a zone it is UTC; a clock that is behind never shows a negative age."""
    assert age("2026-01-02T03:03:05.000000Z", NOW) == "1m"
    assert moment("2026-01-02T03:04:05") == NOW
    assert age("2026-01-02T04:04:05.000000Z", NOW) == "0s"


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(None, "-"), (0, "0ms"), (350 * MS, "350ms"), (2400 * MS, "2.4s"), (192_000 * MS, "3m12s")],
)
def test_durations(nanoseconds: int | None, text: str) -> None:
    """Exact enough to compare."""
    assert span(nanoseconds) == text


def test_how_long_a_run_took() -> None:
    """Or has been going on."""
    assert duration_of(run(total_duration_ns=1500 * MS), NOW) == "1.5s"
    assert duration_of(run(status="running"), NOW) == "4.5s"
    assert duration_of(run(), NOW) == "-"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 1024**4, "3.0 TiB")]
)
def test_sizes(count: int, text: str) -> None:
    """In the unit that suits them."""
    assert size(count) == text


def test_ends_as_exit_codes() -> None:
    """Completed, failed, cancelled, and completed with a question."""
    codes = [outcome_code(run(status=status)) for status in ("completed", "failed", "cancelled")]
    assert codes == [0, 1, 3]
    assert outcome_code(run(stop_reason="requires_approval")) == 4


def test_tokens_of_a_server_that_does_not_say() -> None:
    """Another server of the same API."""
    assert tokens_of(run()) == "-"
    assert tokens_of(run(usage={"total_tokens": 7})) == "7"
