"""A process killed at every hop of a message's journey: the next one over the same folder ends it, and nothing is doubled.

Each case is a real process that gets SIGKILL at one exact point; then a server is started over what it left behind, and
nobody asks it for anything until all runs are over.
"""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fault.left import finish
from tests.fault.nursery import Nursery
from tests.fault.story import Plan, stage
from tests.webhooks.test_deliver import listening

from runstead.clock import ManualClock
from runstead.store import runs
from runstead.webhooks.deliver import Callbacks


def killed(at: str, nth: int = 1, **more: Any) -> Plan:
    """A process that dies there."""
    return Plan(at, nth, signal.SIGKILL, **more)


def drained(at: str, nth: int, where: str, where_nth: int = 1) -> Plan:
    """A process that is told to stop while the story is at `where`, and dies while it lets go."""
    return killed(at, nth, drains=where, drains_nth=where_nth)


def resumed(at: str, nth: int = 1) -> Plan:
    """A process that goes on with what it finds, and dies too."""
    return killed(at, nth, begins=False)


def named(value: object) -> str:
    """The name of a case."""
    if not isinstance(value, Plan):
        return "-"
    return f"{value.at} {value.nth}{' drained' * bool(value.drains)}{'' if value.stream_tokens else ' steps'}"


def die(nursery: Nursery, folder: Path, plan: Plan) -> None:
    """Let a process play its part up to its death."""
    fate = nursery.play(folder, plan)
    assert (signal.SIGKILL, False) == (fate.signal, fate.stopped), (folder / "child.log").read_text()


WHEN = ("before", "inside", "after")

# Where the process dies, and how often the tool's effect is then seen in all.
HOPS = [
    (killed("admit, before"), 1),
    (killed("admit, inside"), 1),
    (killed("admit, after"), 1),
    (killed("claim, before"), 1),
    (killed("claim, inside"), 1),
    (killed("claim, after"), 1),
    (killed("model, asked"), 1),
    (killed("client, given events"), 1),
    (killed("append, before"), 1),
    (killed("append, inside"), 1),
    (killed("append, after"), 1),
    (killed("client, given events", 2), 1),
    (killed("model, a piece said", 1), 1),
    (killed("model, a piece said", 2), 1),
    (killed("model, a piece said", 3), 1),
    (killed("model, a piece said", 4), 1),
    (killed("model, all said"), 1),
    (killed("commit, before"), 1),
    (killed("commit, inside"), 1),
    (killed("commit, after"), 1),
    (killed("tool, before it acts"), 1),
    (killed("tool, after it acted"), 2),
    (killed("commit, before", 2), 2),
    (killed("commit, inside", 2), 2),
    (killed("commit, after", 2), 1),
    (killed("model, asked", 2), 1),
    (killed("model, a piece said", 5), 1),
    (killed("model, all said", 2), 1),
    (killed("commit, before", 3), 1),
    (killed("commit, inside", 3), 1),
    (killed("commit, after", 3), 1),
    (killed("fold, before"), 1),
    (killed("fold, inside"), 1),
    (killed("fold, after"), 1),
    (killed("commit, inside", stream_tokens=False), 1),
    (killed("commit, after", 2, stream_tokens=False), 1),
]


# While it stops: the first commit gives up what was said, or the call in flight; the next one hands the run over.
LETTING_GO = [
    *(
        (drained(f"commit, {when}", nth, "model, a piece said", 2), 1)
        for nth in (1, 2)
        for when in ("before", "inside", "after")
    ),
    *((drained(f"commit, {when}", 2, "tool, after it acted"), 2) for when in ("before", "inside", "after")),
]


@pytest.mark.parametrize(("plan", "effects"), [*HOPS, *LETTING_GO], ids=named)
async def test_killed_at_a_hop(nursery: Nursery, folder: Path, plan: Plan, effects: int) -> None:
    """Wherever it dies, the run ends as if it had not."""
    die(nursery, folder, plan)
    await finish(folder, Plan(stream_tokens=plan.stream_tokens), effects)


# The first process dies in mid-answer; the second one while it makes up for that, or in its own attempt.
AGAIN = [
    resumed("claim, after"),
    resumed("commit, before"),
    resumed("commit, inside"),
    resumed("commit, after"),
    resumed("append, after"),
    resumed("tool, before it acts"),
]


@pytest.mark.slow
@pytest.mark.parametrize("second", AGAIN, ids=named)
async def test_killed_again(nursery: Nursery, folder: Path, second: Plan) -> None:
    """Two deaths are as one: what each attempt said is given up once."""
    die(nursery, folder, killed("client, given events", 3))
    die(nursery, folder, second)
    left = await finish(folder, Plan(), effects=1)
    assert len({m for ping in left.superseded for m in ping["superseded_message_ids"]}) == len(left.given_up)
    assert (2 if second.at == "append, after" else 1) == len(left.given_up)
    assert 3 == left.run.epoch


# Where it dies once the run is over, and how often the callback is then heard in all: at least once.
TELLING = [
    (killed("lease, inside"), 1),
    (killed("lease, after"), 1),
    (killed("note, before"), 2),
    (killed("note, inside"), 2),
    (killed("note, after"), 1),
]


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "times"), TELLING, ids=named)
async def test_killed_while_it_tells(nursery: Nursery, folder: Path, plan: Plan, times: int) -> None:
    """A callback is told at least once, and always the same; the run says that it was."""
    async with listening() as listener:
        mine = killed(plan.at, callback_url=listener.url)
        await asyncio.to_thread(die, nursery, folder, mine)
        left = await finish(folder, Plan(callback_url=listener.url, tells=False), effects=1)
        async with stage(folder, Plan(begins=False, tells=False)) as s:
            # Later, when what the dead process had taken on is anybody's again.
            later = ManualClock(s.server.services.clock.now() + timedelta(hours=1))
            s.server.callbacks._clock = later
            await Callbacks.deliver_due(s.server.callbacks)
            run = await s.server.services.db.read(runs.get_run, left.run.id)
            assert run is not None
            assert run.callback_status_code == 200
        assert times == len(listener.heard)
        assert all(heard == listener.heard[0] for heard in listener.heard)
