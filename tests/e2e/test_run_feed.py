"""The feed of all runs, over the wire of a real server."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from tests.serving import Client, Server, saying, story
from tests.story_model import StoryModel

Json = dict[str, Any]


@pytest.mark.slow
def test_a_feed_over_the_wire(model: StoryModel, folder: Path, mark: str) -> None:
    """It opens, tells of a run with its summary, keeps silence alive, and lets a stopping server go at once."""
    with Server(folder, model.url, RUNSTEAD_KEEPALIVE_S="1") as server, server.client() as client:
        with client.http.stream("GET", "/v1/runs/feed") as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            lines = answer.iter_lines()
            assert _said(lines)["message_type"] == "feed_opened"
            run_id = _started(client, story({"text": ["a", {"gate": mark}]}, mark=mark))
            seen = _said(lines)
            while seen["message_type"] == "ping":  # before it: a slow machine's silence
                seen = _said(lines)
            assert (seen["message_type"], seen["run_id"]) == ("run_changed", run_id)
            assert seen["run"]["summary"]["agent_name"] == "tester"
            model.open(mark)
            while seen["message_type"] != "run_changed" or seen["run"]["status"] != "completed":
                seen = _said(lines)
            while seen["message_type"] != "ping":
                seen = _said(lines)
            server.terminate()
            rest = [line for line in lines if line and "ping" not in line]
        assert rest == ["retry: 1000"]
        assert server.wait_gone() == 0


def _said(lines: Any) -> Json:
    line = next(each for each in lines if each.startswith("data: "))
    return cast("Json", orjson.loads(line.removeprefix("data: ")))


def _started(client: Client, text: str) -> str:
    body = saying(text, background=True)
    return str(client.ask("POST", f"/v1/agents/{client.agent()}/messages/async", body)["id"])
