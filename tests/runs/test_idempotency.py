"""The same request is the same run: in every mode, while it runs, when it is over or its events are gone, in one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from sqlalchemy.exc import IntegrityError
from tests.runs.line import Held, held, saying, sent
from tests.runs.test_admit import ASK_FIRST, SEARCH, decided
from tests.world import World, frames, wait_until, world

from runstead.clock import ManualClock
from runstead.domain.run import RunStatus
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest
from runstead.runs.admit import KEY_CHARS_MAX
from runstead.settings import Settings
from runstead.store.database import Database

MODES = ("", "/stream", "/async")
KEY = {"idempotency-key": "k"}
THREE_HOURS_S = 3 * 3600


async def run_of(answer: Any, mode: str) -> str:
    """The run that an answer tells of."""
    assert 200 == answer.status_code, answer.text
    if mode == "/async":
        return cast("str", answer.json()["id"])
    if mode == "/stream":
        return cast("str", answer.headers["x-run-id"])
    return cast("str", answer.json()["stop_reason"]["run_id"])


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("mode", MODES)
async def test_ten_at_once_are_one_run(tmp_path: Path, mode: str, background: bool) -> None:
    """Identical requests of one moment: one run, one question to the model, ten equal answers."""
    gateway = ScriptedGateway(lambda _: says("Once."))
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        body = saying("hello", background=background)

        answers = await asyncio.gather(*(sent(w, agent, body, mode, **KEY) for _ in range(10)))

        (run_id,) = {await run_of(answer, mode) for answer in answers}
        await w.ended(run_id)
        assert [run_id] == [run["id"] for run in await w.get("/v1/runs/")]
        assert 1 == len(gateway.requests)
        if mode != "/async":
            assert 1 == len({answer.text for answer in answers})


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("again", MODES)
async def test_a_retry_attaches_to_the_run_that_goes_on(tmp_path: Path, first: str, again: str) -> None:
    """In whatever mode it comes: who streams gets all from the beginning, who waits gets the answer."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        body = saying("hold")
        async with asyncio.TaskGroup() as group:
            one = group.create_task(sent(w, agent, body, first, **KEY))
            await wait_until(lambda: "hold" in model.asked, "the model being asked")
            two = group.create_task(sent(w, agent, body, again, **KEY))
            if again == "/async":
                await asyncio.wait({two})
                assert "running" == two.result().json()["status"]
            model.go.set()

        run_id = await run_of(one.result(), first)
        assert run_id == await run_of(two.result(), again)
        await w.ended(run_id)
        assert ["hold"] == model.asked
        if again == "/stream":
            told = frames(two.result().text)
            assert [1, 2] == [frame.id for frame in told[:2]]
            assert "[DONE]" == told[-1].kind
        elif again == "":
            assert "so far and on." == two.result().json()["messages"][-1]["content"]


async def test_own_ids_are_a_set(tmp_path: Path) -> None:
    """Two messages with their ids are one request; one of them alone is another; another text with the ids is a conflict."""
    gateway = ScriptedGateway(lambda _: says("Yes."))
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        a, b = ({"role": "user", "content": text, "otid": f"own-{text}"} for text in "ab")

        both = await sent(w, agent, {"messages": [a, b]})
        again = await sent(w, agent, {"messages": [a, b]}, "/stream")
        alone = await sent(w, agent, {"messages": [a]})
        changed = await sent(w, agent, {"messages": [a, {**b, "content": "c"}]})

        assert await run_of(both, "") == await run_of(again, "/stream") != await run_of(alone, "")
        assert 409 == changed.status_code
        assert await run_of(both, "") == changed.json()["run_id"]
        assert 2 == len(gateway.requests)


async def test_a_key_is_its_actors_own(tmp_path: Path) -> None:
    """Two actors who chose the same key have each their run."""
    async with world(tmp_path, ScriptedGateway(lambda r: says(r.messages[-1].text))) as w:
        org = (await w.client.post("/v1/admin/orgs/", json={"name": "theirs"})).json()["id"]
        user = (await w.client.post("/v1/admin/users/", json={"name": "b", "organization_id": org})).json()
        mine = await w.agent()
        first = await sent(w, mine, saying("mine"), **KEY)
        w.client.headers["user_id"] = user["id"]
        theirs = await w.agent()

        second = await sent(w, theirs, saying("theirs"), **KEY)

        assert ["mine", "theirs"] == [a.json()["messages"][-1]["content"] for a in (first, second)]


@pytest.mark.parametrize("verdict", [True, False])
async def test_an_answer_sent_many_times_is_one_run(tmp_path: Path, verdict: bool) -> None:
    """Without any key: at once, while its run goes on, and afterwards; the opposite is a conflict all the time."""
    go = asyncio.Event()
    gateway = ScriptedGateway([calls(SEARCH), [go, *says("Done.")]])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await w.say(agent, "look it up")

        answers = await asyncio.gather(*(sent(w, agent, decided(verdict), "/async") for _ in range(5)))
        opposite = await sent(w, agent, decided(not verdict), "/async")
        await wait_until(lambda: len(gateway.requests) == 2, "the model being asked again")
        during = await sent(w, agent, decided(verdict), "/async")
        go.set()
        (run_id,) = {await run_of(answer, "/async") for answer in (*answers, during)}
        await w.ended(run_id)
        after = await sent(w, agent, decided(verdict), "/async")

        assert run_id == await run_of(after, "/async")
        assert 409 == opposite.status_code
        assert 2 == len(await w.get("/v1/runs/"))
        assert 2 == len(gateway.requests)


async def test_a_message_behind_an_answer_waits_for_it(tmp_path: Path) -> None:
    """Once a denial is admitted nobody is asked any more: a message of the same moment stands in line."""

    def script(request: ModelRequest) -> list[Cue]:
        last = request.messages[-1]
        return calls(SEARCH) if last.text == "look it up" else says(f"After {last.role.value}.")

    async with world(tmp_path, ScriptedGateway(script)) as w:
        agent = await w.agent(tool_rules=ASK_FIRST)
        await w.say(agent, "look it up")

        answers = await asyncio.gather(
            sent(w, agent, decided(False), "/async"), sent(w, agent, saying("and?"), "/async")
        )

        ended = [await w.ended(await run_of(answer, "/async")) for answer in answers]
        assert [RunStatus.COMPLETED] * 2 == [run.status for run in ended]


@pytest.mark.parametrize("mode", MODES)
async def test_a_retry_whose_events_are_gone_starts_no_work(tmp_path: Path, mode: str) -> None:
    """410 that says where the messages are; who asked for the run alone gets it. The reference's words and its 3 hours."""
    clock = ManualClock()
    settings = Settings(drain_s=0.0, reconcile_s=0.05, events_keep_s=THREE_HOURS_S)
    gateway = ScriptedGateway(lambda _: says("Once."))
    async with world(tmp_path, gateway, settings=settings, clock=clock) as w:
        agent = await w.agent()
        body = saying("hello", background=True)
        run_id = await run_of(await sent(w, agent, body, "/stream", **KEY), "/stream")
        clock.advance(THREE_HOURS_S - 1)
        await w.server.retention.sweep()
        assert "[DONE]" == frames((await sent(w, agent, body, "/stream", **KEY)).text)[-1].kind
        clock.advance(2)
        await w.server.retention.sweep()

        again = await sent(w, agent, body, mode, **KEY)
        resumed = await w.client.post(f"/v1/runs/{run_id}/stream", json={})

        gone = (
            "Run was created more than 3 hours ago, and is now expired."
            f" Its messages are still at /v1/runs/{run_id}/messages."
        )
        assert (410, gone) == (resumed.status_code, resumed.json()["detail"])
        if mode == "/async":
            assert run_id == await run_of(again, mode)
        else:
            assert (410, gone) == (again.status_code, again.json()["detail"])
        assert "Once." == (await w.get(f"/v1/runs/{run_id}/messages"))[-1]["content"]
        assert 1 == len(gateway.requests)


async def test_a_key_has_a_limit(tmp_path: Path) -> None:
    """255 characters; one more is 400 and no run."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("Yes."))) as w:
        agent = await w.agent()
        longest = {"idempotency-key": "k" * KEY_CHARS_MAX}
        assert 200 == (await sent(w, agent, saying("x"), **longest)).status_code
        for mode in MODES:
            refused = await sent(w, agent, saying("y"), mode, **{"idempotency-key": "k" * 256})
            assert 400 == refused.status_code
            assert "255" in refused.json()["detail"]
        assert 1 == len(await w.get("/v1/runs/"))


@dataclass
class Beaten:
    """A store whose next write finds that another process was first, as PostgreSQL says it."""

    db: Database
    beaten: bool = False

    async def read(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self.db.read(query, *args, **kwargs)

    async def write(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self.beaten:
            self.beaten = True
            raise IntegrityError("INSERT", None, Exception("duplicate key value violates unique constraint"))
        return await self.db.write(query, *args, **kwargs)

    async def close(self) -> None:
        await self.db.close()


async def test_who_is_beaten_by_another_process_gets_its_run(tmp_path: Path) -> None:
    """The key was written between the look and the insert: the request is looked up again, and finds the other's run."""
    model = Held()
    async with world(tmp_path, model.gateway) as w:
        agent = await w.agent()
        first = await sent(w, agent, saying("hold"), "/async", **KEY)
        admission = w.server.services.admission
        admission._db = Beaten(admission._db)

        second = await sent(w, agent, saying("hold"), "/async", **KEY)

        assert first.json()["id"] == await run_of(second, "/async")
        model.go.set()
        await w.ended(first.json()["id"])


async def test_the_key_of_a_run_in_line_is_kept(tmp_path: Path) -> None:
    """However long it waits: a retry after the keys' time finds it; those of runs that are over are forgotten."""
    clock, model = ManualClock(), Held()
    async with world(tmp_path, model.gateway, clock=clock) as w:
        agent = await w.agent()
        over = await run_of(await sent(w, agent, saying("early"), **KEY), "")
        await held(w, model, agent)
        waiting = await sent(w, agent, saying("later"), "/async", **{"idempotency-key": "line"})
        await _much_later(w, clock)

        again = await sent(w, agent, saying("later"), "/async", **{"idempotency-key": "line"})
        anew = await sent(w, agent, saying("early"), "/async", **KEY)

        assert await run_of(waiting, "/async") == await run_of(again, "/async")
        assert over != await run_of(anew, "/async")
        model.go.set()
        await w.ended(await run_of(anew, "/async"))


async def _much_later(w: World, clock: ManualClock) -> None:
    """Eight days on; the owner renews its lease before anybody can take its run."""
    clock.advance(8 * 24 * 3600)
    await w.server.engine.owner.renew()
    swept = await w.server.retention.sweep()
    assert 1 == swept.keys
