"""`runstead agents delete`: by id or by name; asks a person, wants --yes of a program."""

from __future__ import annotations

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client

pytestmark = pytest.mark.slow


def test_deleted(typed: Typed, client: Client, mark: str) -> None:
    """Only with --yes, and nothing where one of them is unknown."""
    agent = client.agent(name=mark)

    assert "--yes" in typed("agents", "delete", mark).error
    assert typed("agents", "delete", "--yes", mark, "nobody").code == 2
    assert client.ask("GET", f"/v1/agents/{agent}")["id"] == agent
    assert typed("agents", "delete", "--yes", mark).out == f"{mark} ({agent}) is deleted.\n"
    assert client.refused("GET", f"/v1/agents/{agent}").status_code == 404
