"""What went to providers and came back, a row a step: written in the step's commit, read by its step, swept with time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from runstead.domain.trace import ProviderTrace
from runstead.ids import RunId, UserId
from runstead.store.codec import from_us, to_us
from runstead.store.schema import provider_traces as table


def insert_traces(conn: Connection, traces: Sequence[ProviderTrace]) -> None:
    """Store the traces of steps that have none."""
    if traces:
        conn.execute(insert(table), [_row(trace) for trace in traces])


def find_trace(conn: Connection, user_id: UserId, step_id: str) -> ProviderTrace | None:
    """The trace of one step of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.step_id == step_id)).first()
    if row is None:
        return None
    return ProviderTrace(
        step_id=row.step_id,
        user_id=row.user_id,
        agent_id=row.agent_id,
        run_id=row.run_id,
        created_at=from_us(int(row.created_at)),
        request=row.request,
        response=row.response,
    )


def forget_before(conn: Connection, before: datetime, limit: int) -> int:
    """Forget the oldest traces from before then, at most so many. Gives how many."""
    old = (
        select(table.c.step_id)
        .where(table.c.created_at < to_us(before))
        .order_by(table.c.created_at)
        .limit(limit)
    )
    return conn.execute(delete(table).where(table.c.step_id.in_(old))).rowcount


def forget_run(conn: Connection, run_id: RunId) -> None:
    """Forget what a run that is deleted asked."""
    conn.execute(delete(table).where(table.c.run_id == run_id))


def forget_agent(conn: Connection, agent_id: str) -> None:
    """Forget what an agent that is deleted asked."""
    conn.execute(delete(table).where(table.c.agent_id == agent_id))


def _row(trace: ProviderTrace) -> dict[str, object]:
    return {
        "step_id": trace.step_id,
        "user_id": trace.user_id,
        "agent_id": trace.agent_id,
        "run_id": trace.run_id,
        "created_at": to_us(trace.created_at),
        "request": trace.request,
        "response": trace.response,
    }
