"""`runstead runs watch`: every event once, across a kill of the server too; the exit code is how the run ended."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.cli.outcome import begun
from tests.cli.terminal import Terminal
from tests.serving import Client, Server, saying, story, tokens
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow
Ended = Callable[..., str]
CALL = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_watched"}
RULE = {"type": "requires_approval", "tool_name": "conversation_search"}


@pytest.fixture
def own(model: StoryModel, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to be killed."""
    with Server(tmp_path / "own", model.url, RUNSTEAD_KEEPALIVE_S="0.5") as running:
        yield running


def begin(client: Client, agent: str, content: str) -> str:
    """Begin a background run with tokens; gives its id."""
    body = saying(content, stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        return str(next(frames).json["run_id"])


def events(text: str) -> list[int]:
    """The numbers of events written as JSON."""
    return [json.loads(line)["seq_id"] for line in text.splitlines()]


def test_a_pipe_gets_plain_text_and_the_outcome(typed: Typed, client: Client) -> None:
    """Thoughts, calls, returns and answers each on lines of their own; how it ended on standard error."""
    agent = client.agent(tools=["conversation_search"])
    run_id = begin(
        client, agent, story({"reasoning": ["h", "m"], "calls": [CALL]}, {"text": ["so ", "it is"]})
    )

    shown = typed("runs", "watch", run_id)

    assert shown.code == 0
    lines = shown.out.splitlines()
    assert lines[0] == "thinks> hm"
    assert lines[1] == 'calls> conversation_search({"query": "x"}) call_watched'
    assert lines[2].startswith("got> conversation_search: ")
    assert lines[3:] == ["agent> so it is"]
    assert f"{run_id} completed (end_turn) after" in shown.error
    assert "\x1b" not in shown.out + shown.error


def test_json_passes_every_event_on(typed: Typed, ended: Ended) -> None:
    """A line each; --after begins later, --tail with what is not finished."""
    run_id = ended()

    numbers = events(typed("runs", "watch", run_id, "--json").out)

    assert numbers == list(range(1, len(numbers) + 1))
    assert events(typed("runs", "watch", run_id, "--json", "--after", "2").out) == numbers[2:]
    assert typed("runs", "watch", run_id, "--json", "--tail").out == ""


def test_the_tail_begins_at_the_last_finished_step(
    server: Server, client: Client, model: StoryModel, mark: str, tmp_path: Path
) -> None:
    """What is being said is seen whole, what was done before is not."""
    agent = client.agent(tools=["conversation_search"])
    told = story({"calls": [CALL]}, {"text": ["so ", {"gate": mark}, "it is"]}, mark=f"{mark}-asked")
    run_id = begin(client, agent, told)
    model.wait_until(lambda: len(model.asked_with(f"{mark}-asked")) == 2)
    model.wait_asked(f"{mark}-asked", said=1)
    with begun(tmp_path, "runs", "watch", run_id, "--tail", "--url", server.url) as watching:
        watching.shows("so ")
        model.open(mark)
        assert watching.ends() == 0
    assert watching.out == "agent> so it is\n"


def test_the_exit_code_is_the_outcome(typed: Typed, ended: Ended, client: Client) -> None:
    """0 completed, 1 failed, 3 cancelled, 4 waits for an approval."""
    asking = client.agent(tools=["conversation_search"], tool_rules=[RULE])
    waiting = ended(story({"calls": [CALL]}), agent_id=asking)
    failed = ended(story({"status": 400}))

    assert typed("runs", "watch", ended()).code == 0
    shown = typed("runs", "watch", failed)
    assert shown.code == 1
    assert "error> llm_bad_request" in shown.out
    shown = typed("runs", "watch", waiting)
    assert shown.code == 4
    assert f"runstead runs approve {waiting}" in shown.error


def test_cancelled_while_watched(
    server: Server, client: Client, agent: str, mark: str, tmp_path: Path
) -> None:
    """The watcher is told at once and ends with 3."""
    run_id = begin(client, agent, story({"text": ["one ", {"gate": mark}]}))
    with begun(tmp_path, "runs", "watch", run_id, "--url", server.url) as watching:
        watching.shows("agent> one ")
        client.ask("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run_id]})
        assert watching.ends() == 3


def test_a_killed_server_is_waited_for(own: Server, model: StoryModel, mark: str, tmp_path: Path) -> None:
    """SIGKILL in mid-sentence and a restart: said on standard error, no event lost, none shown twice, the outcome is 0."""
    with own.client() as client:
        agent = client.agent()
        run_id = begin(client, agent, story({"text": [*tokens(20), {"gate": mark}, "end"]}))
        with begun(tmp_path, "runs", "watch", run_id, "--json", "--url", own.url) as watching:
            watching.shows("t19 ")
            own.kill()
            watching.complains("trying to come back")
            model.open(mark)
            own.start()
            assert watching.ends() == 0
    numbers = events(watching.out)
    assert numbers == list(range(1, len(numbers) + 1))
    assert '"content":"end"' in watching.out
    assert "the server is back; going on after event" in watching.error


def test_a_server_that_stays_away(own: Server, mark: str, tmp_path: Path) -> None:
    """Patience ends, and it is said how long it was."""
    with own.client() as client:
        run_id = begin(client, client.agent(), story({"text": ["one ", {"gate": mark}]}))
    words = ("runs", "watch", run_id, "--patience", "0.3", "--url", own.url)
    with begun(tmp_path, *words) as watching:
        watching.shows("one ")
        own.kill()
        assert watching.ends() == 2
    assert "did not come back within 0.3 s" in watching.error


def test_leaving_does_not_cancel(
    server: Server, client: Client, agent: str, model: StoryModel, mark: str, tmp_path: Path
) -> None:
    """Ctrl-C says how to come back and how to cancel."""
    run_id = begin(client, agent, story({"text": ["one ", {"gate": mark}, "two"]}))
    with begun(tmp_path, "runs", "watch", run_id, "--url", server.url) as watching:
        watching.shows("one ")
        watching.signals(signal.SIGINT)
        assert watching.ends() == 130
    assert f"runstead runs watch {run_id} --after 2" in watching.error
    assert f"runstead runs cancel {run_id}" in watching.error
    model.open(mark)
    assert client.wait_status(run_id, "completed")["stop_reason"] == "end_turn"


def test_a_foreground_run_by_its_messages(
    server: Server, client: Client, agent: str, model: StoryModel, mark: str, tmp_path: Path
) -> None:
    """Its stream is its sender's alone; the messages are shown as each is complete."""
    told = story({"text": ["one ", {"gate": mark}, "two"]}, mark=mark)
    body = saying(told, stream_tokens=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        run_id = str(next(frames).json["run_id"])
        with begun(tmp_path, "runs", "watch", run_id, "--url", server.url) as watching:
            watching.complains("not started in the background")
            model.open(mark)
            assert watching.ends() == 0
    assert "you> " in watching.out
    assert "agent> one two\n" in watching.out


def test_a_foreground_run_that_failed(typed: Typed, ended: Ended) -> None:
    """Why is said, though no event tells it."""
    shown = typed("runs", "watch", ended(story({"status": 400}), background=False))

    assert shown.code == 1
    assert "llm_bad_request" in shown.error


def test_a_terminal_sees_it_live(
    server: Server, client: Client, model: StoryModel, mark: str, tmp_path: Path
) -> None:
    """Text as it is said, thoughts dimmed, calls and returns in panels, and nothing of the model steers the terminal."""
    agent = client.agent(tools=["conversation_search"])
    turns = ({"reasoning": ["hmm"], "calls": [CALL]}, {"text": ["evil \x1b[2J", {"gate": mark}, "end"]})
    run_id = begin(client, agent, story(*turns))
    with Terminal(tmp_path, "runs", "watch", run_id, "--url", server.url) as terminal:
        terminal.shows("evil ␛[2J")
        model.open(mark)
        assert terminal.ends() == 0
    assert "\x1b[2;3mhmm" in terminal.raw
    assert "─ calls conversation_search ─" in terminal.text
    assert "─ conversation_search answered ─" in terminal.text
    assert "\x1b[2J" not in terminal.raw
    assert f"{run_id} completed (end_turn)" in terminal.text


def test_the_terminal_is_left_as_it_was(
    server: Server, client: Client, agent: str, mark: str, tmp_path: Path
) -> None:
    """Ctrl-C while a spinner turns: the cursor is shown again."""
    run_id = begin(client, agent, story({"text": [{"gate": mark}]}))
    with Terminal(tmp_path, "runs", "watch", run_id, "--url", server.url) as terminal:
        terminal.shows("waiting for the first word")
        terminal.interrupts()
        assert terminal.ends() == 130
    assert terminal.raw.rindex("\x1b[?25h") > terminal.raw.rindex("\x1b[?25l")
    client.ask("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run_id]})


def test_a_number_that_is_none(typed: Typed) -> None:
    """Refused before anything is asked."""
    shown = typed("runs", "watch", "run-1", "--after=-1")

    assert shown.code == 2
    assert "--after wants the number of an event" in shown.error
