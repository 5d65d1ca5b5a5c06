"""`runstead db status`: what is there, and an exit code that says whether it is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstead.cli import main
from runstead.cli.db.status import told
from runstead.store.distance import Counts
from runstead.store.migrate import HEAD
from runstead.store.upkeep import Stand


def test_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1 while there is none, 0 once it is made."""
    folder = ["--data-dir", str(tmp_path)]
    assert main(["db", "status", *folder]) == 1
    assert "not made yet" in capsys.readouterr().out
    assert main(["db", "migrate", *folder]) == 0
    capsys.readouterr()

    assert main(["db", "status", *folder]) == 0
    shown = capsys.readouterr().out
    assert f"schema   {HEAD}, current" in shown
    assert "runs\t0" in shown
    assert main(["db", "status", "--json", *folder]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["version"], document["current"], document["rows"]["runs"]) == (HEAD, True, 0)


def test_what_each_version_means() -> None:
    """Behind, and ahead of this Runstead."""
    stand = Stand("SQLite", "x", "0001", "0002", 0, 0, {}, Counts.PYTHON)
    assert "runstead db migrate" in told(stand)
    assert "newer" in told(Stand("SQLite", "x", "0003", "0002", 0, 0, {}, Counts.PYTHON))
