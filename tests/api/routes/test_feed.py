"""The extensions for pages that show runs: summaries, filters, counts, and the feed of all runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy import create_engine, event
from tests.world import WAIT_S, World, wait_until, world

from runstead.clock import ManualClock, SystemClock
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER
from runstead.llm.scripted import ScriptedGateway, says
from runstead.runs.feed import CHANGES_KEPT_MAX, RunFeed
from runstead.store import runs
from runstead.store.migrate import migrate

SUMMARY = "include=runstead.summary"


@asynccontextmanager
async def living(folder: Path) -> AsyncGenerator[World]:
    """A server whose model says one thing over and over."""
    async with world(folder, ScriptedGateway([says("well said")] * 20)) as w:
        yield w


async def test_a_summary_says_whose_a_run_is_and_how_it_begins(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        agent = await w.agent(name="ada")
        await w.say(agent, "Tell me " + "much " * 100)
        (run,) = await w.get(f"/v1/runs/?{SUMMARY}")

        summary = run["summary"]
        assert (summary["agent_name"], summary["model"]) == ("ada", "scripted/model")
        assert summary["input"].startswith("Tell me much")
        assert len(summary["input"]) == 200
        assert summary["step_count"] == 1
        assert summary["usage"]["total_tokens"] > 0
        assert (await w.get(f"/v1/runs/{run['id']}?{SUMMARY}"))["summary"] == summary
        assert "summary" not in await w.get(f"/v1/runs/{run['id']}")
        assert "summary" not in (await w.get("/v1/runs/"))[0]


async def test_a_summary_outlives_its_agent(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        agent = await w.agent()
        await w.say(agent, "hello")
        await w.client.delete(f"/v1/agents/{agent}")
        (run,) = await w.get(f"/v1/runs/?{SUMMARY}")
        assert (run["summary"]["agent_name"], run["summary"]["model"]) == (None, "scripted/model")


async def test_runs_are_filtered_by_text_and_time(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        agent = await w.agent()
        for text in ("first 100% sure", "SECOND thing"):
            await w.say(agent, text)
        newest, oldest = await w.get("/v1/runs/")

        async def ids(query: str) -> list[str]:
            counted = await w.get(f"/v1/runs/counts?{query}")
            found = [run["id"] for run in await w.get(f"/v1/runs/?{query}")]
            assert counted["total"] == len(found)
            return found

        assert await ids("search=second") == [newest["id"]]
        assert await ids("search=100%25 s") == [oldest["id"]]
        assert await ids("search=0%25%25") == []
        assert await ids(f"created_before={newest['created_at']}") == [oldest["id"]]
        assert await ids(f"created_after={newest['created_at']}") == [newest["id"]]
        # Without a zone it is UTC.
        assert await ids(f"created_after={newest['created_at'].removesuffix('Z')}") == [newest["id"]]


async def test_counts_name_every_status(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        agent = await w.agent()
        await w.say(agent, "hello")
        every = {"created": 0, "running": 0, "completed": 1, "failed": 0, "cancelled": 0}
        assert await w.get("/v1/runs/counts") == {"total": 1, "by_status": every}
        assert (await w.get("/v1/runs/counts?statuses=failed"))["total"] == 0
        await w.get("/v1/runs/counts?statuses=odd", status=422)


async def test_lists_counts_and_feed_show_only_the_callers_own(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        user = (
            await w.client.post(
                "/v1/admin/users/", json={"name": "eve", "organization_id": DEFAULT_ORGANIZATION}
            )
        ).json()["id"]
        feed = w.server.services.feeds.enter(user)
        start = await feed.begin()
        await w.say(await w.agent(), "hello")
        assert await feed.next(start, 0.3) == (start, ())
        w.server.services.feeds.leave(user)
        w.client.headers["user_id"] = user
        assert await w.get(f"/v1/runs/?{SUMMARY}&search=hello") == []
        assert (await w.get("/v1/runs/counts"))["total"] == 0


async def test_a_feed_tells_of_births_ends_and_deletions(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        agent = await w.agent()
        feeds = w.server.services.feeds
        feed = feeds.enter(DEFAULT_USER)
        try:
            after = await feed.begin()
            run_id = await w.begin(agent, "hello")
            await w.ended(run_id)
            after, changes = await feed.next(after, WAIT_S)
            assert [(each.run_id, each.run and each.run.status.value) for each in changes] == [
                (run_id, "completed")
            ]
            assert changes[0].summary.input == "hello"
            await w.client.delete(f"/v1/runs/{run_id}")
            after, changes = await feed.next(after, WAIT_S)
            assert [(each.run_id, each.run) for each in changes] == [(run_id, None)]
            assert await feed.next(after, 0.0) == (after, ())
        finally:
            feeds.leave(DEFAULT_USER)


async def test_a_feed_tells_also_of_what_is_old(tmp_path: Path) -> None:
    """A run that ended long ago and is deleted; one that was made and ended while nobody looked."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway([says("well said")] * 2), clock=clock) as w:
        feed = RunFeed(w.server.services.db, clock, DEFAULT_USER, every_s=0.0)
        agent = await w.agent()
        after = await feed.begin()
        run_id = await w.begin(agent, "hello")
        await w.ended(run_id)
        clock.advance(3600)
        after, changes = await feed.next(after, WAIT_S)
        assert [(each.run_id, each.run and each.run.status.value) for each in changes] == [
            (run_id, "completed")
        ]
        assert await feed.begin() == after
        await w.client.delete(f"/v1/runs/{run_id}")
        after, changes = await feed.next(after, WAIT_S)
        assert [(each.run_id, each.run) for each in changes] == [(run_id, None)]
        assert await feed.begin() == after


async def test_readers_of_one_actor_share_a_look(tmp_path: Path) -> None:
    """However many read, the store is asked once a look: what one of them sees, all of them are given."""
    async with living(tmp_path) as w:
        asked: list[object] = []

        class Counted:
            async def read(self, query: Any, *args: Any) -> Any:
                asked.append(query)
                return await w.server.services.db.read(query, *args)

        feed = RunFeed(cast("Any", Counted()), w.server.services.clock, DEFAULT_USER, every_s=0.01)
        start = await feed.begin()

        async def told() -> int:
            _, changes = await feed.next(start, WAIT_S)
            assert changes
            return len(asked)

        async with asyncio.TaskGroup() as group:
            readers = [group.create_task(told()) for _ in range(20)]
            await wait_until(lambda: len(asked) > 3, "looks that find nothing")
            await w.begin(await w.agent(), "hello")
        assert 1 == len({reader.result() for reader in readers})


async def test_a_reader_that_missed_too_much_is_told(tmp_path: Path) -> None:
    async with living(tmp_path) as w:
        feed = RunFeed(w.server.services.db, w.server.services.clock, DEFAULT_USER)
        feed._append([cast("Any", f"run-{n}") for n in range(CHANGES_KEPT_MAX + 1)], [])
        with pytest.raises(Exception, match="list the runs again"):
            await feed.next(0, 0.1)
        assert (await feed.next(CHANGES_KEPT_MAX, 0.1))[0] == CHANGES_KEPT_MAX + 1


def test_a_look_reads_no_more_than_what_is_active_or_new(tmp_path: Path) -> None:
    """However many runs an actor has: both halves go by an index that leaves the rest out."""
    url = f"sqlite:///{tmp_path / 'runstead.db'}"
    migrate(url)
    engine = create_engine(url)
    asked: list[tuple[str, Any]] = []
    event.listen(engine, "before_cursor_execute", lambda *given: asked.append((given[2], given[3])))
    with engine.connect() as connection:
        runs.touched_runs(connection, DEFAULT_USER, SystemClock().now())
        plans = [
            connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()[0][3]
            for statement, values in list(asked)
        ]
    engine.dispose()
    assert "runs_active" in plans[0]
    assert "created_at>" in plans[1]
