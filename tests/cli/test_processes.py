"""`runstead serve --processes N`: every process answers on the one port, the dead are replaced, and a stop ends all."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from tests.cli.outcome import runstead
from tests.cli.test_serve import refused
from tests.processes import lives
from tests.serving import Server, until

from runstead.cli import processes
from runstead.settings import Settings

pytestmark = pytest.mark.slow

ANSWER_S = 2.0
START_S = 60.0


def family(folder: Path, database_url: str) -> Server:
    """A server of two processes, not started."""
    return Server(folder, "http://127.0.0.1:9/v1", RUNSTEAD_DATABASE_URL=database_url, RUNSTEAD_PROCESSES="2")


def members(server: Server) -> list[int]:
    """The processes that said that they listen and still live, oldest first."""
    said = re.findall(r"\(process (\d+)\) is listening", server.log)
    return [pid for pid in map(int, said) if lives(pid)]


def answers(server: Server) -> bool:
    """Whether a connection of its own is answered."""
    try:
        return httpx.get(f"{server.url}/v1/ready/", timeout=ANSWER_S).status_code == 200
    except httpx.TransportError:
        return False


@contextmanager
def asleep(pid: int) -> Generator[None]:
    """Stopped for the time of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_scrape_tells_the_numbers_of_every_process(tmp_path: Path, postgres_store_url: str) -> None:
    """Whichever is asked."""
    with family(tmp_path, postgres_store_url) as server:

        def told() -> set[str]:
            text = httpx.get(f"{server.url}/metrics", timeout=START_S).text
            return set(re.findall(r'^runstead_leases_held{process="(\d)"}', text, re.MULTILINE))

        until(lambda: told() == {"0", "1"}, START_S, "the numbers of both")


def test_each_answers_the_dead_are_replaced_a_stop_ends_all(tmp_path: Path, postgres_store_url: str) -> None:
    """With one asleep the other answers, both ways round; a killed one comes back; SIGTERM is passed on; code 0."""
    with family(tmp_path, postgres_store_url) as server:
        until(lambda: len(members(server)) == 2, START_S, "two processes")
        first, second = members(server)
        for sleeper in (first, second):
            with asleep(sleeper):
                until(lambda: answers(server), START_S, f"an answer while {sleeper} sleeps")

        os.kill(first, signal.SIGKILL)
        # Whoever is killed may be seen alive for a moment.
        until(lambda: not lives(first), START_S, "the end of the killed one")
        until(lambda: len(members(server)) == 2, START_S, "the one that replaces it")
        _, third = members(server)
        with asleep(second):
            until(lambda: answers(server), START_S, "an answer of the new one")

        assert server.stop() == 0, server.log
        assert not any(lives(pid) for pid in (second, third))
    assert "a process ended with 137" in server.log
    assert "Traceback" not in server.log


def test_nobody_is_left_when_the_watcher_is_killed(tmp_path: Path, postgres_store_url: str) -> None:
    """SIGKILL to the first process: the others stop in order, and the port is free."""
    server = family(tmp_path, postgres_store_url).start()
    until(lambda: len(members(server)) == 2, START_S, "two processes")
    both = members(server)
    server.kill()
    until(lambda: not any(lives(pid) for pid in both), START_S, "the end of both")
    with family(tmp_path, postgres_store_url):
        pass
    assert "Traceback" not in server.log


def test_what_cannot_be_is_said_once_it_is_known(tmp_path: Path) -> None:
    """On SQLite, on a taken port, without the database: code 2 and one sentence."""
    refused(runstead(tmp_path, "serve", "--processes", "2", "--port", "0"), "share a PostgreSQL")
    refused(runstead(tmp_path, "serve", "--processes", "0", "--port", "0"), "between 1 and")
    nowhere = "postgresql://nobody@127.0.0.1:9/none"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        outcome = runstead(
            tmp_path, "serve", "--processes", "2", "--port", port, RUNSTEAD_DATABASE_URL=nowhere
        )
        refused(outcome, "--port")
    outcome = runstead(tmp_path, "serve", "--processes", "2", "--port", "0", RUNSTEAD_DATABASE_URL=nowhere)
    assert (outcome.code, outcome.out) == (2, "")
    assert "127.0.0.1:9" in outcome.error
    assert "another one starts" not in outcome.error


def test_a_slow_start_that_fails_is_not_tried_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may take longer over it than a server lives that is taken for sound."""
    monkeypatch.setattr(processes, "SOUND_S", 0.0)
    monkeypatch.setenv("RUNSTEAD_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    assert 2 == processes.supervise(Settings(processes=2, port=0))
