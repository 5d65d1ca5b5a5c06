"""`runstead runs list`: lines in a pipe, JSON for programs, filters that the server holds, errors that say what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.cli.outcome import runstead
from tests.cli.terminal import Terminal
from tests.serving import Client, Server, story

pytestmark = pytest.mark.slow
Ended = Callable[..., str]
FAILS = story({"status": 400})


def test_a_pipe_gets_lines_of_columns(typed: Typed, ended: Ended, agent: str) -> None:
    """A line of names, a line a run, newest first; no colours, no padding."""
    older, newer = ended("one"), ended("two")

    shown = typed("runs", "list", "--agent", agent)

    head, *rows = [line.split("\t") for line in shown.out.splitlines()]
    assert head == ["ID", "STATUS", "WHY", "AGENT", "AGE", "TOOK", "TOKENS", "EXPIRES", "INPUT"]
    assert [row[0] for row in rows] == [newer, older]
    assert rows[0][1:4] == ["completed", "end_turn", "tester"]
    assert int(rows[0][6]) > 0
    assert [row[8] for row in rows] == ["two", "one"]
    assert "\x1b" not in shown.out


def test_programs_get_json(typed: Typed, ended: Ended, agent: str) -> None:
    """A line of JSON a run, as the API has it."""
    run_id = ended()

    shown = typed("runs", "list", "--agent", agent, "--json")

    (run,) = [json.loads(line) for line in shown.out.splitlines()]
    assert (run["id"], run["agent_id"], run["usage"]["total_tokens"] > 0) == (run_id, agent, True)


def test_filters_and_the_limit(typed: Typed, ended: Ended, agent: str) -> None:
    """Status, stop reason, activity and number are the server's to filter."""
    good, bad = ended(), ended(FAILS)

    def ids(*words: str) -> list[str]:
        out = typed("runs", "list", "--agent", agent, "--json", *words).out
        return [json.loads(line)["id"] for line in out.splitlines()]

    assert ids("--status", "failed") == [bad]
    assert ids("--status", "failed", "--status", "completed") == [bad, good]
    assert ids("--stop-reason", "end_turn") == [good]
    assert ids("--limit", "1") == [bad]
    assert ids("--active") == []


def test_more_than_a_page(typed: Typed, ended: Ended, agent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is over all pages, and no run comes twice."""
    monkeypatch.setattr("runstead.cli.client.PAGE_MAX", 2)
    made = [ended(str(n)) for n in range(5)]

    shown = typed("runs", "list", "--agent", agent, "--limit", "5", "--json")

    assert [json.loads(line)["id"] for line in shown.out.splitlines()] == made[::-1]


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (["--limit", "0"], "--limit must be at least 1"),
        (["--agent", "nobody"], "runstead agents list"),
        (["--url", "ftp://x"], "RUNSTEAD_URL"),
    ],
)
def test_what_cannot_be_done_says_what_can(typed: Typed, words: list[str], advice: str) -> None:
    """One sentence on standard error, exit code 2."""
    shown = typed("runs", "list", *words)

    assert (shown.code, shown.out) == (2, "")
    assert advice in shown.error


def test_where_nobody_serves(tmp_path: Path) -> None:
    """How to start a server, and how to name another."""
    shown = runstead(tmp_path, "runs", "list", RUNSTEAD_URL="http://127.0.0.1:9")

    assert shown.code == 2
    assert "runstead serve" in shown.error
    assert "--url" in shown.error
    assert len(shown.error.splitlines()) == 1


def test_a_terminal_gets_a_table(
    server: Server, client: Client, ended: Ended, agent: str, tmp_path: Path
) -> None:
    """Colours for the status, ids as short as they may be typed; with NO_COLOR the same without colours."""
    client.ask("PATCH", f"/v1/agents/{agent}", {"name": "a\x1b[31mname"})
    run_id = ended()
    for more, coloured in ({}, True), ({"NO_COLOR": "1"}, False):
        with Terminal(tmp_path, "runs", "list", "--agent", agent, "--url", server.url, **more) as terminal:
            assert terminal.ends() == 0
        assert run_id[:12] in terminal.text
        assert ("\x1b[32mcompleted" in terminal.raw) is coloured
        assert "\x1b[31m" not in terminal.raw, "what an agent is called never steers the terminal"
        assert "\N{SYMBOL FOR ESCAPE}[31mname" in terminal.text
