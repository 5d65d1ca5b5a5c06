"""`runstead db migrate`: made where there is nothing, left where it is current."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstead.cli import main
from runstead.store.migrate import HEAD


def test_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second time changes nothing."""
    folder = ["--data-dir", str(tmp_path / "data")]

    assert main(["db", "migrate", *folder]) == 0
    assert f"nothing -> {HEAD}." in capsys.readouterr().out
    assert main(["db", "migrate", "--json", *folder]) == 0
    assert json.loads(capsys.readouterr().out) == {"before": HEAD, "after": HEAD, "changed": False}


def test_no_database_url(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Said in one line."""
    monkeypatch.setenv("RUNSTEAD_DATABASE_URL", "nonsense")
    assert main(["db", "status"]) == 2
    assert "RUNSTEAD_DATABASE_URL" in capsys.readouterr().err
