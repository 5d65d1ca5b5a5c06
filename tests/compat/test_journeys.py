"""The official SDKs of Python and of TypeScript, unchanged, drive every operation against a running server.

The journeys are `journey_*_sdk0.py` and so on, and `journey_npm0.mjs` and so on; each runs in its client's own environment
(`environments.py`) and reports here, operation by operation.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.compat.environments import HERE, INSTALL_S, NODE, ask, packages_of, python_of
from tests.serving import Server

JOURNEY_S = 300
NPM = {
    "journey_npm0": "letta-client-0.1.211",
    "journey_npm1": "letta-client-1.12.1",
    "journey_lettactl": "letta-client-1.12.1",
    "journey_vercel": "vercel-ai-sdk-provider-1.4.0",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + JOURNEY_S)]


def all_went_well(report: str) -> None:
    """Assert that no operation of a journey failed."""
    said: dict[str, str] = json.loads(report)
    failed = {name: told for name, told in said.items() if told != "ok"}
    assert said
    assert not failed, "\n\n".join(f"{name}: {told}" for name, told in failed.items())


@pytest.mark.parametrize("generation", [0, 1])
@pytest.mark.parametrize("journey", ["journey", "journey_folders", "journey_memory"])
def test_the_sdk_does_every_operation(journey: str, generation: int, server: Server) -> None:
    """Every operation works, and all that it returns fits the SDK's own types."""
    script = HERE / f"{journey}_sdk{generation}.py"
    all_went_well(ask([str(python_of(generation)), str(script), server.url], JOURNEY_S))


@pytest.mark.parametrize("journey", NPM)
def test_the_client_of_npm_does_every_operation(journey: str, server: Server, folder: Path) -> None:
    """The same of the clients of npm. A script finds its packages beside itself, so it runs in a folder that has both."""
    folder.mkdir()
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, folder)
    (folder / "node_modules").symlink_to(packages_of(NPM[journey]))
    all_went_well(ask([str(NODE), f"{journey}.mjs", server.url], JOURNEY_S, folder=folder))
