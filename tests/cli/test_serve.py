"""`runstead serve` that cannot: one sentence that says what to do, exit code 2, no traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.cli.outcome import Outcome, runstead
from tests.serving import Server

from runstead.app import data_folder
from runstead.errors import CannotStart
from runstead.settings import Settings

pytestmark = pytest.mark.slow


def refused(outcome: Outcome, reason: str) -> None:
    """Hold that it said why, in one line."""
    assert (outcome.code, outcome.out) == (2, "")
    assert reason in outcome.error
    assert len(outcome.error.splitlines()) == 1, outcome.error


def test_a_port_in_use(tmp_path: Path) -> None:
    """Another port can be chosen."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        refused(runstead(tmp_path, "serve", "--port", port), "--port")


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands in its way."""
    (tmp_path / "file").touch()
    refused(
        runstead(tmp_path, "serve", "--port", "0", "--data-dir", str(tmp_path / "file" / "x")), "--data-dir"
    )


def test_a_data_folder_in_use(tmp_path: Path) -> None:
    """Two processes over one folder would be two owners of every run."""
    with data_folder(Settings(data_dir=tmp_path)):
        outcome = runstead(tmp_path, "serve", "--port", "0", "--data-dir", str(tmp_path))
        with pytest.raises(CannotStart, match="Another Runstead"), data_folder(Settings(data_dir=tmp_path)):
            pass
    refused(outcome, "Another Runstead serves from")


def test_an_open_server_is_not_shown_to_the_network(tmp_path: Path) -> None:
    """Neither password nor key: refused, with both ways out."""
    refused(runstead(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0"), "RUNSTEAD_SERVER_PASSWORD")


def test_an_unreadable_setting(tmp_path: Path) -> None:
    """The variable is named."""
    refused(runstead(tmp_path, "serve", RUNSTEAD_LEASE_S="soon"), "RUNSTEAD_LEASE_S must be a number")


def test_a_port_that_is_none(tmp_path: Path) -> None:
    """Out of range is not in use."""
    refused(runstead(tmp_path, "serve", "--port", "70000"), "between 0 and 65535")


def test_it_says_what_it_found_and_stops_in_order(tmp_path: Path) -> None:
    """The banner names the address, the data and the models; SIGTERM ends it with 0 and no traceback."""
    with Server(tmp_path, "http://127.0.0.1:9/v1") as server:
        with server.client() as client:
            client.ask("GET", "/v1/models/")
        assert server.stop() == 0
    assert f"listening on http://127.0.0.1:{server.port}" in server.log
    assert "openai: no answer from http://127.0.0.1:9/v1" in server.log
    assert "not-a-secret" not in server.log
    assert "Traceback" not in server.log
