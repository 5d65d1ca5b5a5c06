"""The command line as a whole: what can be typed, and how it ends."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from runstead import __version__
from runstead.cli import main


def test_version_names_what_a_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Runstead, Python, SQLite."""
    assert main(["version"]) == 0
    said = capsys.readouterr().out
    assert f"runstead {__version__}" in said
    assert f"Python {platform.python_version()}" in said
    assert main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runstead"] == __version__


@pytest.mark.parametrize("arguments", [[], ["fly"], ["serve", "--port", "x"], ["keys"]])
def test_what_cannot_be_understood_ends_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """With the usage on standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: runstead" in capsys.readouterr().err


@pytest.mark.slow
def test_openapi_writes_the_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To a file or to standard output, the same."""
    assert main(["openapi", "--out", str(tmp_path / "api.json")]) == 0
    written = (tmp_path / "api.json").read_text(encoding="utf-8")
    assert main(["openapi"]) == 0

    assert capsys.readouterr().out == written
    assert "/v1/runs/{run_id}/stream" in json.loads(written)["paths"]


def test_what_can_be_typed_loads_nothing_heavy() -> None:
    """Neither Rich nor an HTTP client nor the server: `--help` and the start of `serve` wait for none of them."""
    asked = (
        "import sys; from runstead.cli.grammar import parser; parser();"
        " print([m for m in ('rich', 'httpx', 'sqlalchemy', 'fastapi', 'asyncio', 'orjson') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.strip() == "[]"
