"""Hop 8: everybody reads the log, at their own place. Leaving and coming back loses nothing and repeats nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.world import world

from runstead.llm.scripted import ScriptedGateway, says

STORY = "a story of a few words that is told in pieces"


async def test_every_frame_is_numbered(tmp_path: Path) -> None:
    """1, 2, 3, …: in the frame's `id` and in its data; the run's id is known from the first."""
    async with world(tmp_path, ScriptedGateway([says(STORY)])) as w:
        told = await w.stream(await w.agent(), "tell me", background=True)

        numbered = [frame for frame in told if frame.data is not None]
        assert list(range(1, len(numbered) + 1)) == [frame.id for frame in numbered]
        assert all(f.data is not None and f.id == f.data["seq_id"] for f in numbered)
        assert 1 == len({f.data["run_id"] for f in numbered if f.data is not None})
        assert STORY == "".join(f.data["content"] for f in numbered if f.data and "content" in f.data)


@pytest.mark.parametrize("after", [0, 1, 5, 12, 13, 99])
async def test_a_reader_that_comes_back_gets_the_rest(tmp_path: Path, after: int) -> None:
    """From any number on: what follows it. At the end or past it: the end."""
    async with world(tmp_path, ScriptedGateway([says(STORY)])) as w:
        told = await w.stream(await w.agent(), "tell me", background=True)
        run_id = str(told[0].data and told[0].data["run_id"])

        again = await w.resume(run_id, after)

        assert told[after:-1] == again[:-1]
        assert "[DONE]" == again[-1].kind


async def test_a_browser_comes_back_by_its_last_event(tmp_path: Path) -> None:
    """`Last-Event-ID` is the same cursor."""
    async with world(tmp_path, ScriptedGateway([says(STORY)])) as w:
        told = await w.stream(await w.agent(), "tell me", background=True)
        path = f"/v1/runs/{told[0].data and told[0].data['run_id']}/stream"

        by_header = await w.client.post(path, headers={"last-event-id": "4"})
        by_body = await w.client.post(path, json={"starting_after": 4})

        assert by_body.text == by_header.text


async def test_a_waiting_answer_is_the_same_log_folded(tmp_path: Path) -> None:
    """Who does not stream reads the same events, as one document."""
    async with world(tmp_path, ScriptedGateway([says(STORY)])) as w:
        answer = (await w.say(await w.agent(), "tell me")).json()

        assert [STORY] == [message["content"] for message in answer["messages"]]
        assert answer["usage"]["run_id"] == answer["messages"][0]["run_id"]
