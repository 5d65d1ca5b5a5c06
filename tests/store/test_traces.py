"""Traces in the store: each read by its step and its actor, the oldest swept first, none left of what is deleted."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection
from tests.store.rows import NOW

from runstead.domain.trace import ProviderTrace
from runstead.ids import DEFAULT_USER, AgentId, RunId, StepId, UserId
from runstead.store import traces


def kept(conn: Connection, count: int) -> list[ProviderTrace]:
    """Traces of as many runs and agents, a second apart."""
    made = [
        ProviderTrace(
            StepId(f"step-{n}"),
            DEFAULT_USER,
            AgentId(f"agent-{n}"),
            RunId(f"run-{n}"),
            NOW + timedelta(seconds=n),
            f'{{"n": {n}}}',
            '{"said": "\\u0000"}',
        )
        for n in range(count)
    ]
    traces.insert_traces(conn, made)
    return made


def test_a_trace_is_its_actors(conn: Connection) -> None:
    """It comes back as it went; to another actor it is not there."""
    made = kept(conn, 2)

    assert made[1] == traces.find_trace(conn, DEFAULT_USER, "step-1")
    assert traces.find_trace(conn, UserId("user-other"), "step-1") is None


def test_the_oldest_go_first(conn: Connection) -> None:
    """At most so many at once, none that is young enough; and all of a run or an agent that is deleted."""
    kept(conn, 6)
    assert 2 == traces.forget_before(conn, NOW + timedelta(seconds=3), 2)
    assert 1 == traces.forget_before(conn, NOW + timedelta(seconds=3), 2)
    assert 0 == traces.forget_before(conn, NOW + timedelta(seconds=3), 2)
    traces.forget_run(conn, RunId("run-4"))
    traces.forget_agent(conn, "agent-5")

    left = [n for n in range(6) if traces.find_trace(conn, DEFAULT_USER, f"step-{n}") is not None]

    assert [3] == left
