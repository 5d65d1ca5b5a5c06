"""Hop 2: a request becomes a run in one commit, or changes nothing. The id a client sees exists."""

from __future__ import annotations

from pathlib import Path

from tests.world import world

from runstead.domain.run import RunStatus
from runstead.llm.scripted import ScriptedGateway, says


async def test_the_run_is_there_before_its_id_is_given(tmp_path: Path) -> None:
    """An asynchronous send answers with a run that can be read at once, input and all."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("Hi."))) as w:
        run_id = await w.begin(await w.agent(), "hello")

        run = await w.get(f"/v1/runs/{run_id}")
        said = await w.get(f"/v1/runs/{run_id}/messages?role=user")

        assert run["status"] in {"created", "running", "completed"}
        assert ["hello"] == [message["content"] for message in said]
        await w.ended(run_id)


async def test_the_same_key_gives_the_same_run(tmp_path: Path) -> None:
    """A retry does not send twice; the same key with another body is a conflict."""
    gateway = ScriptedGateway(lambda _: says("Hi."))
    async with world(tmp_path, gateway) as w:
        path = f"/v1/agents/{await w.agent()}/messages"
        body = {"messages": [{"role": "user", "content": "once"}]}
        other = {"messages": [{"role": "user", "content": "twice"}]}
        headers = {"idempotency-key": "k1"}

        first = await w.client.post(path, json=body, headers=headers)
        again = await w.client.post(path, json=body, headers=headers)
        conflict = await w.client.post(path, json=other, headers=headers)

        assert first.json() == again.json()
        assert 1 == len(gateway.requests)
        assert 409 == conflict.status_code


async def test_the_same_own_ids_give_the_same_run(tmp_path: Path) -> None:
    """A client that numbers its messages need send no header."""
    gateway = ScriptedGateway(lambda _: says("Hi."))
    async with world(tmp_path, gateway) as w:
        path = f"/v1/agents/{await w.agent()}/messages"
        body = {"messages": [{"role": "user", "content": "once", "otid": "a-1"}]}

        first = await w.client.post(path, json=body)
        again = await w.client.post(path, json=body)

        assert first.json() == again.json()
        assert 1 == len(gateway.requests)


async def test_a_refused_request_leaves_nothing(tmp_path: Path) -> None:
    """An agent that is not there has no run."""
    async with world(tmp_path, ScriptedGateway()) as w:
        missing = "agent-00000000-0000-4000-8000-000000000000"

        answer = await w.say(missing, "hello")

        assert 404 == answer.status_code
        assert [] == await w.get("/v1/runs/")


async def test_a_second_message_waits_its_turn(tmp_path: Path) -> None:
    """One conversation, one run at a time, first come first served."""
    gateway = ScriptedGateway(lambda r: says(f"You said {r.messages[-1].text}."))
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        runs = [await w.begin(agent, f"{number}") for number in range(5)]
        for run_id in runs:
            assert (await w.ended(run_id)).status is RunStatus.COMPLETED

        history = await w.get(f"/v1/agents/{agent}/messages?order=asc")

        said = [m["content"] for m in history if m["message_type"] != "system_message"]
        assert [text for n in range(5) for text in (f"{n}", f"You said {n}.")] == said
