"""`runstead runs cancel`: what runs is ended, what had ended is said."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client, saying, story
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow


def test_a_running_one_and_one_that_had_ended(
    typed: Typed, client: Client, agent: str, ended: Callable[..., str], model: StoryModel, mark: str
) -> None:
    """Each is told of; the exit code says that not all were cancelled."""
    old = ended()
    told = story({"text": ["a ", {"gate": mark}]}, mark=mark)
    run_id = client.ask("POST", f"/v1/agents/{agent}/messages/async", saying(told))["id"]
    model.wait_asked(mark, said=1)

    shown = typed("runs", "cancel", run_id, old, "--json")

    assert shown.code == 1
    assert [json.loads(line) for line in shown.out.splitlines()] == [
        {"id": run_id, "cancelled": True, "status": "cancelled"},
        {"id": old, "cancelled": False, "status": "completed"},
    ]
    assert client.run(run_id)["status"] == "cancelled"
    assert f"{old} had ended before: completed." in typed("runs", "cancel", old).out


def test_an_unknown_id_ends_nothing(
    typed: Typed, client: Client, agent: str, model: StoryModel, mark: str
) -> None:
    """All ids are looked up before the first run is ended."""
    told = story({"text": ["a ", {"gate": mark}]}, mark=mark)
    run_id = client.ask("POST", f"/v1/agents/{agent}/messages/async", saying(told))["id"]
    model.wait_asked(mark, said=1)

    assert typed("runs", "cancel", run_id, "run-1").code == 2
    assert client.run(run_id)["status"] == "running"
    assert typed("runs", "cancel", run_id).out == f"{run_id} is cancelled.\n"
