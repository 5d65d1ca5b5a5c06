"""Fixtures of the tests from outside: one story model and one real server a test process, and a client with a clean agent.

A folder's conftest imports them by name. Tests that stop or kill a server, or need settings of its own, start their own.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from tests.serving import Client, Server
from tests.story_model import StoryModel


@pytest.fixture(scope="session")
def model() -> Generator[StoryModel]:
    """The model that every server here asks."""
    with StoryModel() as model:
        yield model


@pytest.fixture(scope="session")
def server(model: StoryModel, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server shared by the tests of this process; its end must be clean and its log free of tracebacks."""
    with Server(
        tmp_path_factory.mktemp("server"), model.url, RUNSTEAD_KEEPALIVE_S="1", RUNSTEAD_MODEL_RETRIES="0"
    ) as server:
        yield server
    assert "Traceback" not in server.log, server.log


@pytest.fixture
def client(server: Server) -> Generator[Client]:
    """A client of the shared server."""
    with server.client() as client:
        yield client


@pytest.fixture
def agent(client: Client) -> str:
    """A new agent on the shared server."""
    return client.agent()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a test's own server may live."""
    return tmp_path / "own"


@pytest.fixture
def mark(request: pytest.FixtureRequest) -> str:
    """A word that is this test's alone: it names its gates and finds its requests to the model."""
    return str(request.node.name).replace("[", "-").replace("]", "-")
