"""`runstead runs show`: everything about a run, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client, story

pytestmark = pytest.mark.slow
Ended = Callable[..., str]
CALL = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_shown"}


def test_all_of_a_run(typed: Typed, ended: Ended, client: Client) -> None:
    """Its facts, its steps with attempt and tokens, its messages with the tool's call and return."""
    agent = client.agent(tools=["conversation_search"])
    run_id = ended(story({"reasoning": ["hm"], "calls": [CALL]}, {"text": ["so ", "it\nis"]}), agent_id=agent)

    shown = typed("runs", "show", run_id)

    lines = shown.out.splitlines()
    assert shown.code == 0
    assert f"run        {run_id}" in lines
    assert "status     completed" in lines
    assert "why        end_turn" in lines
    steps = [line.split("\t") for line in lines if "\tstep-" in line]
    assert [step[:2] + step[3:5] for step in steps] == [[n, "success", "1", "openai/story"] for n in "12"]
    assert 'calls    conversation_search({"query": "x"})  call_shown' in lines
    assert any(line.startswith("got      [success]") for line in lines)
    assert lines[lines.index("agent    so it") + 1] == "         is"


def test_why_it_failed(typed: Typed, ended: Ended) -> None:
    """The error stands among the facts."""
    shown = typed("runs", "show", ended(story({"status": 400})))

    assert "status     failed" in shown.out
    assert "error      llm_bad_request" in shown.out


def test_programs_get_one_document(typed: Typed, ended: Ended, agent: str) -> None:
    """Run, steps and messages."""
    run_id = ended()

    document = json.loads(typed("runs", "show", run_id, "--json").out)

    assert document["run"]["id"] == run_id
    assert document["agent_name"] == "tester"
    assert [step["attempt"] for step in document["steps"]] == [1]
    assert [m["message_type"] for m in document["messages"]] == ["user_message", "assistant_message"]
    assert document["run"]["agent_id"] == agent


def test_the_beginning_of_an_id_is_enough(typed: Typed, ended: Ended) -> None:
    """As long as it is one run's; else it is said what would do."""
    run_id = ended()
    ended()

    assert json.loads(typed("runs", "show", run_id[:16], "--json").out)["run"]["id"] == run_id
    nobody = typed("runs", "show", "run-zzzz")
    assert (nobody.code, "begins with 'run-zzzz'" in nobody.error) == (2, True)


def test_an_unknown_run(typed: Typed) -> None:
    """How to find those that there are."""
    shown = typed("runs", "show", "run-1")

    assert shown.code == 2
    assert "runstead runs list" in shown.error
