"""Hop 6: one pure function decides a run's status. It does no I/O: all a run may do can be tried in memory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.domain.test_run_machine import NOW, new_run

from runstead.domain.run import RunStatus, StopReason
from runstead.domain.run_machine import (
    Advanced,
    Claimed,
    Finished,
    HandedOver,
    IllegalTransition,
    transition,
)
from runstead.domain.step import Usage


def test_a_run_from_its_birth_to_its_end() -> None:
    """Claimed, one step, finished: what it cost adds up, and how long it took is known."""
    run = transition(new_run(), Claimed("process", 15), NOW)
    run = transition(run, Advanced(Usage(100, 10), 1), NOW + timedelta(seconds=1))
    run = transition(run, Finished(StopReason.END_TURN, Usage(120, 5), 1), NOW + timedelta(seconds=2))

    assert (RunStatus.COMPLETED, StopReason.END_TURN) == (run.status, run.stop_reason)
    assert (2, 235) == (run.step_count, run.usage.total_tokens)
    assert 2_000_000_000 == run.duration_ns


def test_nothing_follows_the_end() -> None:
    """A cancel that comes too late, a second end, a claim: all refused."""
    run = transition(new_run(), Claimed("process", 15), NOW)
    run = transition(run, Finished(StopReason.CANCELLED), NOW)

    for late in (Claimed("other", 15), Finished(StopReason.END_TURN), HandedOver()):
        with pytest.raises(IllegalTransition):
            transition(run, late, NOW)


def test_an_owner_that_lets_go_leaves_the_run_running() -> None:
    """Handed over is not over: it waits for the next owner."""
    run = transition(transition(new_run(), Claimed("process", 15), NOW), HandedOver(), NOW)

    assert (RunStatus.RUNNING, None) == (run.status, run.owner)
