"""`runstead runs delete`: asks a person, wants --yes of a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Typed
from tests.cli.terminal import Terminal
from tests.serving import Client, Server

pytestmark = pytest.mark.slow
Ended = Callable[..., str]


def test_a_program_must_say_yes(typed: Typed, client: Client, ended: Ended) -> None:
    """Without --yes nothing is deleted."""
    run_id = ended()

    refused = typed("runs", "delete", run_id)
    assert refused.code == 2
    assert "--yes" in refused.error
    assert client.run(run_id)["id"] == run_id

    assert typed("runs", "delete", "--yes", run_id).out == f"{run_id} is deleted.\n"
    assert client.refused("GET", f"/v1/runs/{run_id}").status_code == 404


def test_a_person_is_asked(server: Server, client: Client, ended: Ended, tmp_path: Path) -> None:
    """Anything but yes leaves it."""
    run_id = ended()
    for said, code in ("n\n", 1), ("y\n", 0):
        with Terminal(tmp_path, "runs", "delete", run_id, "--url", server.url) as terminal:
            terminal.shows(f"Delete {run_id} (completed) for good? [y/N]")
            terminal.types(said)
            assert terminal.ends() == code
    assert client.refused("GET", f"/v1/runs/{run_id}").status_code == 404
