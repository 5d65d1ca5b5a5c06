"""What a server reaches: the port, the providers, Redis; each told apart from its absence."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ports import free_port
from tests.serving import STOP_S, Server, until
from tests.story_model import StoryModel

from runstead.cli.checks.finding import State
from runstead.cli.checks.reach import port, providers, redis, redis_url, time_elsewhere
from runstead.settings import ProviderSettings, Secret, Settings

GONE = ProviderSettings("gone", "chat", "http://me:hidden@127.0.0.1:9/v1", Secret("not-a-secret"))


def test_a_free_port() -> None:
    """Or any."""
    assert port(Settings(port=free_port())).state is State.OK
    assert port(Settings(port=0)).state is State.OK


@pytest.mark.slow
def test_a_port_that_another_program_has() -> None:
    """Another one can be chosen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(0)
        taken.settimeout(0)
        finding = port(Settings(port=int(taken.getsockname()[1])))
    assert finding.state is State.FAIL
    assert "--port" in finding.advice


@pytest.mark.slow
def test_a_port_that_is_ours(server: Server) -> None:
    """Named with its version."""
    finding = port(Settings(port=server.port))

    assert finding.state is State.OK
    assert "is served by Runstead" in finding.told


def test_providers(model: StoryModel) -> None:
    """One that answers, one that does not; no secret is shown."""
    there = ProviderSettings("openai", "chat", model.url)

    found = providers(Settings(providers=(there, GONE)))

    assert [(f.check, f.state) for f in found] == [("models openai", State.OK), ("models gone", State.FAIL)]
    assert "openai/story" in found[0].told
    assert found[1].advice == "start it"
    assert "secret" not in str(found)
    assert "hidden" not in str(found)


def test_no_provider() -> None:
    """Only the demonstration: a warning that says how to get more."""
    (finding,) = providers(Settings())

    assert finding.state is State.WARN
    assert "OPENAI_API_KEY" in finding.advice


def test_nobody_says_the_time() -> None:
    """Then there is none to compare with."""
    assert time_elsewhere(Settings(providers=(GONE,))) is None


def test_redis_that_does_not_answer() -> None:
    """Named without its password."""
    finding = redis("redis://:hidden@127.0.0.1:9/0")

    assert finding.state is State.FAIL
    assert "redis://127.0.0.1:9/0" in finding.told
    assert "hidden" not in finding.told


def test_no_redis_is_configured() -> None:
    """Then it is not looked at."""
    assert redis_url(Settings()) == ""


@pytest.fixture
def real_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed")
    number = str(free_port())
    command = [program, "--port", number, "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        yield f"redis://127.0.0.1:{number}/0"
    finally:
        process.terminate()
        process.wait(STOP_S)


@pytest.mark.slow
def test_redis_that_answers(real_redis: str) -> None:
    """With its version."""
    until(lambda: redis(real_redis).state is State.OK, what="Redis' answer")
    assert redis(real_redis).told.startswith("Redis ")
