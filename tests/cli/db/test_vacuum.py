"""`runstead db vacuum`: says what it gave back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runstead.cli import main


def test_sizes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before and after, for people and for programs."""
    folder = ["--data-dir", str(tmp_path)]
    assert main(["db", "vacuum", *folder]) == 2
    assert "runstead db migrate" in capsys.readouterr().err
    assert main(["db", "migrate", *folder]) == 0
    capsys.readouterr()

    assert main(["db", "vacuum", *folder]) == 0
    assert " KiB -> " in capsys.readouterr().out
    assert main(["db", "vacuum", "--json", *folder]) == 0
    assert json.loads(capsys.readouterr().out).keys() == {"before_bytes", "after_bytes"}
