"""`runstead runs export`: one document, and why something is not in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.cli.terminal import Terminal
from tests.serving import Client, Server, saying, story
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow
Ended = Callable[..., str]


def test_all_of_a_background_run(typed: Typed, ended: Ended, tmp_path: Path) -> None:
    """Run, messages, steps, and every event from 1 on."""
    run_id, file = ended(), tmp_path / "run.json"

    shown = typed("runs", "export", run_id, "--out", str(file))

    document = json.loads(file.read_text())
    assert (shown.code, shown.out) == (0, "")
    assert document["run"]["id"] == run_id
    assert [event["seq_id"] for event in document["events"]] == list(range(1, len(document["events"]) + 1))
    assert document["events"][-1]["message_type"] == "usage_statistics"
    assert document["events_missing_because"] is None
    assert len(document["messages"]) == 2
    assert len(document["steps"]) == 1
    assert json.loads(typed("runs", "export", run_id).out)["events"] == document["events"]


def test_a_foreground_run_has_no_events(typed: Typed, ended: Ended) -> None:
    """And the document says why."""
    document = json.loads(typed("runs", "export", ended(background=False)).out)

    assert document["events"] is None
    assert "not started in the background" in document["events_missing_because"]
    assert len(document["messages"]) == 2


def test_a_run_that_is_not_over_is_not_waited_for(
    typed: Typed, client: Client, agent: str, model: StoryModel, mark: str
) -> None:
    """What is durable so far."""
    told = story({"text": ["a ", {"gate": mark}]}, mark=mark)
    run_id = client.ask("POST", f"/v1/agents/{agent}/messages/async", saying(told))["id"]
    model.wait_asked(mark, said=1)

    document = json.loads(typed("runs", "export", run_id).out)

    assert document["run"]["status"] == "running"
    assert document["events"][0]["seq_id"] == 1
    model.open(mark)


def test_a_file_that_cannot_be_written(typed: Typed, ended: Ended, tmp_path: Path) -> None:
    """Another one can be chosen."""
    shown = typed("runs", "export", ended(), "--out", str(tmp_path / "no" / "run.json"))

    assert shown.code == 2
    assert "--out" in shown.error


def test_a_terminal_gets_a_bar_on_standard_error(server: Server, ended: Ended, tmp_path: Path) -> None:
    """Which is gone when it is done: the file has nothing of it."""
    file = tmp_path / "run.json"
    with Terminal(tmp_path, "runs", "export", ended(), "--out", str(file), "--url", server.url) as terminal:
        assert terminal.ends() == 0
    assert "events" in terminal.text
    assert json.loads(file.read_text())["events"]
