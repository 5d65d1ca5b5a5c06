"""`runstead db backup`: a copy that a server can serve from, made while another serves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.outcome import runstead
from tests.cli.terminal import Terminal
from tests.serving import Server
from tests.story_model import StoryModel

pytestmark = pytest.mark.slow


def test_a_copy_of_a_running_server(
    server: Server, model: StoryModel, ended: Callable[..., str], tmp_path: Path
) -> None:
    """The run that was made before is in it; a server over the copy knows it."""
    run_id = ended()
    folder = str(server.folder / "data")
    (tmp_path / "own" / "data").mkdir(parents=True)
    copy = tmp_path / "own" / "data" / "runstead.db"

    shown = runstead(tmp_path, "db", "backup", str(copy), "--data-dir", folder, "--json")

    assert shown.code == 0, shown
    assert json.loads(shown.out) == {"file": str(copy), "bytes": copy.stat().st_size, "check": "ok"}
    with Server(tmp_path / "own", model.url) as second, second.client() as other:
        assert other.run(run_id)["status"] == "completed"


def test_nothing_is_written_over(server: Server, tmp_path: Path) -> None:
    """On a terminal too."""
    file = tmp_path / "there.db"
    file.write_text("mine")
    words = ("db", "backup", str(file), "--data-dir", str(server.folder / "data"))
    with Terminal(tmp_path, *words) as terminal:
        assert terminal.ends() == 2
    assert "is there already" in terminal.text
    assert file.read_text() == "mine"
