"""What a story left in the store once it is over, and everything that must be true of it wherever its process died."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Connection
from tests.fault.story import FIRST_PIECES, LAST_PIECES, Plan, Stage, owned, stage
from tests.sse import Frame, parse

from runstead.domain.message import Mark, Message, Role, ToolReturn
from runstead.domain.run import Run, RunStatus, StopReason
from runstead.domain.step import Step, StepStatus, Usage
from runstead.events.log import Entry, Kind
from runstead.ids import RunId
from runstead.store import messages, runs, steps
from runstead.store.messages import MessageFilter, MessagePage
from runstead.store.pages import Page
from runstead.store.steps import StepFilter


@dataclass(frozen=True, slots=True)
class Left:
    """All that is stored of the one run, once it is over."""

    run: Run
    messages: list[Message]
    steps: list[Step]
    log: list[Entry]

    @property
    def kept(self) -> list[Message]:
        """The transcript without what was given up."""
        return [m for m in self.messages if m.mark is not Mark.ABANDONED]

    @property
    def returned(self) -> ToolReturn:
        """What came of the call."""
        found = self.kept[2].tool_return
        assert found is not None
        return found

    @property
    def given_up(self) -> list[Step]:
        """The steps of attempts that died."""
        return [step for step in self.steps if step.error_type == "abandoned"]

    @property
    def superseded(self) -> list[dict[str, Any]]:
        """The pings that disown messages."""
        told = [orjson.loads(entry.data) for entry in self.log if entry.kind is Kind.PING]
        return [ping for ping in told if ping.get("superseded_message_ids")]


async def left_by(s: Stage) -> Left:
    """What the store has of the only run."""
    db = s.server.services.db
    (run_id,) = await db.read(_run_ids)
    run = await db.read(runs.get_run, run_id)
    assert run is not None
    said = await db.read(messages.list_messages, run.user_id, MessageFilter(run_id=run.id), MessagePage())
    made = await db.read(steps.list_steps, run.user_id, StepFilter(run_id=run.id), Page(ascending=True))
    reader = await s.server.services.log.reader(run.id, 0)
    log: list[Entry] = []
    while not reader.ended:
        log += await reader.next(timeout_s=0)
    return Left(run, said, made, log)


def _run_ids(conn: Connection) -> list[RunId]:
    return [RunId(row.id) for row in conn.exec_driver_sql("SELECT id FROM runs")]


def events_in(path: Path) -> list[Frame]:
    """The whole events of the log that a client was given."""
    if not path.exists():
        return []
    whole = path.read_text().rpartition("\n\n")[0] + "\n\n"
    return [frame for frame in parse(whole.split("\n")) if frame.seq]


def check_transcript(left: Left) -> None:
    """Each step once: the question, a call and its one return, the answer."""
    assert [Role.USER, Role.ASSISTANT, Role.TOOL, Role.ASSISTANT] == [m.role for m in left.kept]
    asked, call, _, answer = left.kept
    assert "What is it?" == asked.text
    assert ("".join(FIRST_PIECES), "".join(LAST_PIECES)) == (call.text, answer.text)
    assert [left.returned.call_id] == [each.id for each in call.tool_calls]
    assert all(m.in_context for m in left.kept)


def check_log(left: Left, seen: Sequence[Frame]) -> None:
    """Numbered without gap, ended once, and what a client was given before the death is its beginning."""
    assert list(range(1, len(left.log) + 1)) == [entry.seq for entry in left.log]
    assert len(left.log) == left.run.last_seq
    assert [Kind.STOP, Kind.USAGE] == [entry.kind for entry in left.log if entry.kind in "sue"]
    assert [(f.seq, f.data.encode()) for f in seen] == [(e.seq, e.data) for e in left.log[: len(seen)]]


def check_attempts(left: Left) -> None:
    """What was said in vain is marked everywhere: for readers, in the transcript, and in the bill."""
    told = [orjson.loads(entry.data) for entry in left.log if entry.kind is Kind.MESSAGE]
    kept = {m.id for m in left.kept}
    in_vain = {each["id"] for each in told} - kept
    disowned = [id_ for ping in left.superseded for id_ in ping["superseded_message_ids"]]
    assert sorted(in_vain) == sorted(disowned), "each once"
    abandoned = [m for m in left.messages if m.mark is Mark.ABANDONED]
    assert in_vain == {m.id for m in abandoned}
    assert not any(m.in_context for m in abandoned)
    assert {m.step_id for m in abandoned} == {step.id for step in left.given_up}
    assert all(s.status is StepStatus.FAILED and s.usage.completion_tokens > 0 for s in left.given_up)
    made = [step for step in left.steps if step.error_type is None]
    assert [StepStatus.SUCCESS] * 2 == [step.status for step in made]
    assert left.run.usage == sum((step.usage for step in left.steps), Usage())
    assert 2 == left.run.step_count


async def check_nothing_left(s: Stage, run: Run) -> None:
    """No owner, no lease, nothing due, nobody in line."""
    db = s.server.services.db
    assert (RunStatus.COMPLETED, StopReason.END_TURN) == (run.status, run.stop_reason)
    assert 0 == await db.read(owned)
    assert [] == await db.read(runs.due_runs, s.server.services.clock.now(), 10)
    assert await db.read(runs.head_of_lane, run.lane) is None
    assert 0 == s.server.engine.owner.held


async def finish(folder: Path, plan: Plan, effects: int) -> Left:
    """Start a server over what a dead process left, and see that all is as if it had not died.

    Nobody asks it for anything until all runs are over; then the same request is sent again. Where nothing had been
    admitted that makes the run, otherwise it finds the one that is there.
    """
    async with stage(folder, plan) as s:
        s.points.armed = False
        await s.all_over()
        await s.send("again")
        await s.all_over()
        left = await left_by(s)
        given_up = [m.id for m in left.messages if m.mark is Mark.ABANDONED]
        assert not any(m.id in given_up for asked in s.model.requests for m in asked.messages)
        await check_nothing_left(s, left.run)
    check_transcript(left)
    check_log(left, events_in(folder / "seen"))
    if plan.callback_url is None:
        again = events_in(folder / "again")
        assert len(left.log) == len(again)
        check_log(left, again)
    check_attempts(left)
    kept = folder / "effects"
    assert [left.returned.call_id] * effects == (kept.read_text().split() if kept.exists() else [])
    return left
