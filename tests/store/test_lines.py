"""The line of a lane as clients see it: who waits behind whom, that it moves, and what it costs to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event
from tests.runs.line import Held, held
from tests.store.rows import NOW, fresh_connection
from tests.world import World, wait_for, world

from runstead.domain.run import Run, RunStatus, RunType
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, AgentId, RunId, UserId
from runstead.store import lines, runs
from runstead.store.codec import to_us
from runstead.store.lines import FIRST, LinePlace
from runstead.store.pages import Page
from runstead.store.runs import RunFilter


def stored(conn: Connection, number: int, status: RunStatus, lane: str = "agent-1") -> RunId:
    """A run of the default user, as it is after it was written."""
    run = Run(
        id=RunId(f"run-{number}"),
        user_id=DEFAULT_USER,
        organization_id=DEFAULT_ORGANIZATION,
        agent_id=AgentId(lane),
        type=RunType.SEND,
        status=status,
        created_at=NOW,
        updated_at=NOW,
        completed_at=NOW if status.final else None,
    )
    runs.insert_run(conn, run)
    return run.id


async def line_of(w: World, path: str) -> dict[str, tuple[str | None, int]]:
    """The places that a list shows."""
    found: list[dict[str, Any]] = await w.get(path)
    return {run["id"]: (run["waiting_for"], run["line_position"]) for run in found}


async def test_the_line_is_shown_wherever_runs_are(tmp_path: Path) -> None:
    """List, active list, one run, and the answer of an async send."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        first = await held(w, model, agent)
        second = await w.begin(agent, "b")
        body = {"messages": [{"role": "user", "content": "c"}]}
        sent = (await w.client.post(f"/v1/agents/{agent}/messages/async", json=body)).json()
        third = sent["id"]

        shown = {first: (None, 0), second: (first, 1), third: (second, 2)}
        assert shown == await line_of(w, "/v1/runs/")
        assert shown == await line_of(w, "/v1/runs/?active=true")
        assert shown == await line_of(w, "/v1/runs/active")
        assert (second, 2) == (sent["waiting_for"], sent["line_position"])
        for run_id, (waiting_for, position) in shown.items():
            run = await w.get(f"/v1/runs/{run_id}")
            assert (waiting_for, position) == (run["waiting_for"], run["line_position"])
        model.go.set()
        await w.ended(third)
        assert {(None, 0)} == set((await line_of(w, "/v1/runs/")).values())


async def test_who_leaves_the_middle_lets_the_others_up(tmp_path: Path) -> None:
    """The list that was rendered before shows it, though no row of those behind has changed."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        first = await held(w, model, agent)
        second, third, fourth = [await w.begin(agent, text) for text in "bcd"]
        before = await line_of(w, "/v1/runs/")
        assert {first: (None, 0), second: (first, 1), third: (second, 2), fourth: (third, 3)} == before
        unchanged = (await w.run(fourth)).updated_at

        ended = await w.client.post(f"/v1/agents/{agent}/messages/cancel", json={"run_ids": [third]})

        assert {third: "cancelled"} == ended.json()
        after = await line_of(w, "/v1/runs/")
        assert {first: (None, 0), second: (first, 1), third: (None, 0), fourth: (second, 2)} == after
        assert unchanged == (await w.run(fourth)).updated_at
        model.go.set()
        await w.ended(fourth)
        assert ["hold", "b", "d"] == model.asked


async def test_a_run_that_begins_leaves_the_line(tmp_path: Path) -> None:
    """When the holder ends, the next one is first, and the one behind it waits for it."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        first = await held(w, model, agent)
        second = await w.begin(agent, "hold too")
        third = await w.begin(agent, "c")
        assert (first, 1) == (await line_of(w, "/v1/runs/"))[second]

        await w.client.post(f"/v1/agents/{agent}/messages/cancel", json={"run_ids": [first]})

        async def begun() -> bool:
            return RunStatus.RUNNING is (await w.run(second)).status

        await wait_for(begun, "the second run's beginning")
        assert {first: (None, 0), second: (None, 0), third: (second, 1)} == await line_of(w, "/v1/runs/")
        model.go.set()
        await w.ended(third)


def test_places_are_of_one_lane_and_one_actor() -> None:
    """Runs that are over, other lanes and other actors do not count."""
    with fresh_connection() as conn:
        stored(conn, 1, RunStatus.COMPLETED)
        stored(conn, 2, RunStatus.RUNNING, "agent-2")
        third = stored(conn, 3, RunStatus.CREATED)
        fourth = stored(conn, 4, RunStatus.CREATED)

        assert {third: FIRST, fourth: LinePlace(third, 1)} == lines.places(
            conn, DEFAULT_USER, [third, fourth]
        )
        assert {} == lines.places(conn, UserId("user-2"), [third, fourth])
        assert lines.find_placed(conn, UserId("user-2"), third) is None


def test_a_list_without_waiting_runs_asks_no_more_than_before() -> None:
    """One query where all is known, one more for what changed, and one more only where a run has not begun."""
    with fresh_connection() as conn:
        asked: list[str] = []
        event.listen(conn, "before_cursor_execute", lambda *given: asked.append(given[2]))
        over = stored(conn, 1, RunStatus.COMPLETED)
        known = {str(over): (to_us(NOW), b"")}
        everything = (DEFAULT_USER, RunFilter(), Page())

        def queries(known: dict[str, tuple[int, bytes]]) -> int:
            asked.clear()
            lines.list_changed_placed(conn, *everything, known)
            return len(asked)

        assert [1, 2] == [queries(known), queries({})]
        waiting = stored(conn, 2, RunStatus.CREATED)
        assert 3 == queries(known)
        ids, changed, places = lines.list_changed_placed(conn, *everything, known)
        assert ([waiting, over], [waiting]) == (ids, [run.id for run in changed])
        assert {waiting: FIRST} == places
