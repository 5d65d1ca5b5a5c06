"""Tools that must not be run again: a commit says that a call begins, and whoever goes on after a death lets it be."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fault.left import finish, left_by
from tests.fault.nursery import Nursery
from tests.fault.story import Plan, stage
from tests.fault.test_killed import die, drained, killed, named

from runstead.loop.calls import INTERRUPTED_TEXT

# Commits: the step, the call's beginning, its return. How often the tool then took effect, and what the model is told.
ONCE = [
    (killed("commit, before", 2), 1, "Found."),
    (killed("commit, inside", 2), 1, "Found."),
    (killed("commit, after", 2), 0, INTERRUPTED_TEXT),
    (killed("tool, before it acts"), 0, INTERRUPTED_TEXT),
    (killed("tool, after it acted"), 1, INTERRUPTED_TEXT),
    (killed("commit, before", 3), 1, INTERRUPTED_TEXT),
    (killed("commit, inside", 3), 1, INTERRUPTED_TEXT),
    (killed("commit, after", 3), 1, "Found."),
    (drained("commit, after", 3, "tool, after it acted"), 1, INTERRUPTED_TEXT),
]


@pytest.mark.parametrize(("plan", "effects", "text"), ONCE, ids=named)
async def test_a_call_is_not_run_again(
    nursery: Nursery, folder: Path, plan: Plan, effects: int, text: str
) -> None:
    """With `on_interrupt: fail` a call takes effect at most once, and the model learns that it may have."""
    die(nursery, folder, Plan(plan.at, plan.nth, drains=plan.drains, on_interrupt="fail"))

    left = await finish(folder, Plan(on_interrupt="fail"), effects)

    assert (text, "success" if text == "Found." else "error") == (left.returned.text, left.returned.status)


async def test_without_a_death_it_is_a_tool_like_others(folder: Path) -> None:
    """One effect, its own return; the step remembers which call was begun."""
    async with stage(folder, Plan(on_interrupt="fail")) as s:
        await s.begin()
        await s.all_over()
        left = await left_by(s)
    assert ("Found.", "success") == (left.returned.text, left.returned.status)
    assert [(left.returned.call_id,), ()] == [step.begun_calls for step in left.steps]
    assert [left.returned.call_id] == (folder / "effects").read_text().split()
