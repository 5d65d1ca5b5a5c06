"""A process that is stopped for longer than its lease, and wakes up: what it wanted to write is refused.

Two processes over one database, each as a server of several would be: the second takes the run only once the lease is over.
The first is stopped by SIGSTOP at the moment at which it is about to write, so that this write is what it wakes up to.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.fault.left import (
    check_attempts,
    check_log,
    check_nothing_left,
    check_transcript,
    events_in,
    left_by,
)
from tests.fault.nursery import Nursery
from tests.fault.story import Plan, stage
from tests.world import wait_until

from runstead.clock import SystemClock
from runstead.events.journal import entries_of
from runstead.store import events
from runstead.store.codec import from_us

LEASE_S = 0.5


def stalled(at: str, nth: int = 1, *, stream_tokens: bool = True) -> Plan:
    """A process that is stopped there."""
    return Plan(at, nth, signal.SIGSTOP, lease_s=LEASE_S, shares=True, stream_tokens=stream_tokens)


# Where it is stopped, what it then is refused, and how often the tool's effect is seen.
STALLS = [
    (stalled("append, before", 3), "append: refused", 1),
    (stalled("commit, before", 1), "commit: StaleEpoch", 1),
    (stalled("commit, before", 2), "commit: StaleEpoch", 2),
    (stalled("commit, before", 3), "commit: StaleEpoch", 1),
    (stalled("commit, before", 1, stream_tokens=False), "commit: StaleEpoch", 1),
]


@pytest.mark.slow
@pytest.mark.parametrize("over", [True, False], ids=["the run is over", "the run goes on"])
@pytest.mark.parametrize(("plan", "refused", "effects"), STALLS)
async def test_who_wakes_up_too_late_writes_nothing(
    nursery: Nursery, folder: Path, plan: Plan, refused: str, effects: int, over: bool
) -> None:
    """Its append and its commit are refused; transcript and log are those of the second process alone."""
    fate = await asyncio.to_thread(nursery.play, folder, plan)
    assert (signal.SIGSTOP, True) == (fate.signal, fate.stopped), (folder / "child.log").read_text()
    second = Plan(begins=False, shares=True, lease_s=LEASE_S, stream_tokens=plan.stream_tokens)
    async with stage(folder, second) as s:
        s.points.armed = False
        leased_until = from_us(await s.database.read(lease))
        if over:
            await s.all_over()
        else:
            s.model.may_end.clear()
            await wait_until(lambda: s.model.held_up, "the takeover")
        assert SystemClock().now() > leased_until
        before = await s.database.read(rows)

        fate = await asyncio.to_thread(nursery.resume, fate)

        assert (0, 0) == (fate.signal, fate.code), (folder / "child.log").read_text()
        assert [refused] == (folder / "refusals").read_text().splitlines()
        assert before == await s.database.read(rows), "who woke up changed something"
        s.model.may_end.set()
        await s.all_over()
        left = await left_by(s)
        assert 2 == left.run.epoch
        made = [step.created_at for step in left.steps if step.attempt == 2]
        assert all(at >= leased_until for at in made), "nobody took it before its lease was over"
        await check_nothing_left(s, left.run)
    check_transcript(left)
    check_log(left, events_in(folder / "seen"))
    check_attempts(left)
    assert [left.returned.call_id] * effects == (folder / "effects").read_text().split()


def lease(conn: Connection) -> int:
    """Until when the only run has its owner."""
    return int(conn.exec_driver_sql("SELECT lease_until FROM runs").scalar_one())


def rows(conn: Connection) -> list[object]:
    """Everything about the run but its lease, which its owner renews, and how its events are packed, which is no change."""
    run = "id, status, epoch, owner, last_seq, step_count, completion_tokens FROM runs"
    what = (run, "* FROM messages", "* FROM steps")
    found = [[tuple(row) for row in conn.exec_driver_sql(f"SELECT {each} ORDER BY 1, 2")] for each in what]
    run_id = conn.exec_driver_sql("SELECT id FROM runs").scalar_one()
    return [
        *found,
        [(each.seq, each.kind, each.data) for each in entries_of(events.read(conn, run_id, 0), 0)],
    ]
