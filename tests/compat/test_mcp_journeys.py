"""MCP servers by both official SDKs, against a server whose operator allowed this machine's addresses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.compat.environments import HERE, INSTALL_S, ask, python_of
from tests.compat.test_journeys import JOURNEY_S
from tests.mcp_server import Program
from tests.ports import free_port
from tests.serving import Server
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def allowing(model: StoryModel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that may ask what listens here."""
    folder = tmp_path_factory.mktemp("allowing")
    with Server(folder, model.url, RUNSTEAD_MCP_ALLOW_HOSTS="127.0.0.1") as server:
        yield server


@pytest.mark.timeout(INSTALL_S + JOURNEY_S)
@pytest.mark.parametrize("generation", [0, 1])
def test_the_sdk_uses_mcp_servers(generation: int, allowing: Server, tmp_path: Path) -> None:
    """Registered, listed, changed, tools run and called in a run, refused where that is due, deleted."""
    script = HERE / f"journey_mcp_sdk{generation}.py"
    with Program("streamable-http", free_port(), tmp_path / "asked") as program:
        command = [str(python_of(generation)), str(script), allowing.url, program.url]
        report = ask(command, JOURNEY_S)
    failed = {name: said for name, said in json.loads(report).items() if said != "ok"}
    assert not failed, "\n\n".join(f"{name}: {said}" for name, said in failed.items())
