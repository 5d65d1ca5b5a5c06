"""`runstead chat`: a prompt for people, a line a message for programs; approvals in place; leaving ends nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.outcome import END_S, Outcome
from tests.cli.terminal import Terminal
from tests.serving import Client, Server, story
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow
RULE = {"type": "requires_approval", "tool_name": "conversation_search"}
CALL = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_chat"}


def piped(server: Server, agent: str, text: str, *more: str) -> Outcome:
    """Chat through pipes."""
    command = [sys.executable, "-m", "runstead", "chat", agent, "--url", server.url, *more]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=END_S, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def asking(client: Client) -> str:
    """An agent whose tool wants an approval."""
    return client.agent(tools=["conversation_search"], tool_rules=[RULE])


def test_a_pipe_is_a_message_a_line(server: Server, agent: str, client: Client) -> None:
    """The answers alone; each message is a background run."""
    shown = piped(server, agent, "one\n\ntwo\n")

    assert (shown.code, shown.out, shown.error) == (0, "You said: one\nYou said: two\n", "")
    runs = client.ask("GET", f"/v1/runs/?agent_id={agent}")
    assert [run["background"] for run in runs] == [True, True]


def test_a_failure_is_the_exit_code(server: Server, agent: str) -> None:
    """Later messages are sent all the same; why is on standard error."""
    shown = piped(server, agent, story({"status": 400}) + "\ntwo\n")

    assert (shown.code, shown.out) == (1, "You said: two\n")
    assert "llm_bad_request" in shown.error


def test_a_question_ends_a_pipe(server: Server, asking: str) -> None:
    """There is nobody to ask: exit code 4, and how to answer."""
    shown = piped(server, asking, story({"calls": [CALL]}) + "\nnext\n")

    assert (shown.code, shown.out) == (4, "")
    assert "runstead runs approve run-" in shown.error


def test_a_person_is_asked_in_place(server: Server, asking: str, client: Client, tmp_path: Path) -> None:
    """Y lets the call happen, n with a reason denies it; then the answer goes on."""
    again = {**CALL, "id": "call_again"}
    with Terminal(tmp_path, "chat", asking, "--url", server.url) as terminal:
        terminal.shows("you > ")
        terminal.types(story({"calls": [CALL]}, {"calls": [again]}, {"text": ["so be it"]}) + "\n")
        terminal.shows("happen? [y/n]")
        terminal.types("y\n")
        terminal.shows("conversation_search answered")
        terminal.shows("call_again")
        terminal.types("n\n")
        terminal.shows("reason (may be empty) > ")
        terminal.types("enough\n")
        terminal.shows("so be it")
        terminal.types("/quit\n")
        assert terminal.ends() == 0
    said = client.ask("GET", f"/v1/agents/{asking}/messages?order=asc")
    returns = [m for m in said if m["message_type"] == "tool_return_message"]
    assert [(m["tool_call_id"], m["status"]) for m in returns] == [
        ("call_chat", "success"),
        ("call_again", "error"),
    ]
    assert "enough" in returns[1]["tool_return"]


def test_leaving_an_answer_and_coming_back(
    server: Server, agent: str, client: Client, model: StoryModel, mark: str, tmp_path: Path
) -> None:
    """Ctrl-C goes back to the prompt, /watch to the run, /cancel ends it, Ctrl-D leaves."""
    with Terminal(tmp_path, "chat", agent, "--url", server.url) as terminal:
        terminal.shows("you > ")
        terminal.types(story({"text": ["one ", {"gate": mark}, "two"]}) + "\n")
        terminal.shows("\none ")
        terminal.interrupts()
        terminal.shows("the run goes on")
        (run,) = client.ask("GET", f"/v1/runs/?agent_id={agent}")
        assert run["status"] == "running"
        model.open(mark)
        terminal.types("/watch\n")
        terminal.shows("one two")
        terminal.types(story({"text": [{"gate": mark + "-never"}]}) + "\n")
        terminal.shows("waiting for the first word")
        terminal.types("/fly\n")
        terminal.interrupts()
        terminal.shows("/fly is no command")
        terminal.types("/cancel\n")
        terminal.shows(": cancelled")
        terminal.types("/runs\n")
        terminal.shows("TOKENS")
        terminal.shows("you > ")  # Ctrl-D counts where a line is read
        terminal.types("\x04")
        assert terminal.ends() == 0
    assert client.run(run["id"])["status"] == "completed"


def test_a_server_that_restarts_is_waited_for(model: StoryModel, tmp_path: Path) -> None:
    """A message that was typed while it was away is sent when it is back, once."""
    with Server(tmp_path / "own", model.url) as own:
        with own.client() as client:
            agent = client.agent()
        with Terminal(tmp_path, "chat", agent, "--url", own.url) as terminal:
            terminal.shows("you > ")
            own.kill()
            terminal.types("hello\n")
            terminal.shows("trying to come back")
            own.start()
            terminal.shows("You said: hello")
            terminal.types("/quit\n")
            assert terminal.ends() == 0
        with own.client() as client:
            assert len(client.ask("GET", f"/v1/runs/?agent_id={agent}")) == 1


def test_json(server: Server, agent: str, ended: Callable[..., str]) -> None:
    """Every event a line, for programs."""
    del ended
    shown = piped(server, agent, "one\n", "--json")

    assert '"message_type":"usage_statistics"' in shown.out.splitlines()[-1]
