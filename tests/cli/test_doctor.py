"""`runstead doctor`: a line a check, advice where it is not ok, an exit code for scripts; nothing is changed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.outcome import runstead
from tests.cli.terminal import Terminal

pytestmark = pytest.mark.slow


def test_a_machine_that_is_fit(tmp_path: Path) -> None:
    """Exit code 0, warnings or not; no folder is made."""
    shown = runstead(tmp_path, "doctor", "--port", "0")

    assert shown.code == 0, shown
    assert "warn  models" in shown.out
    assert "-> set a key or base URL" in shown.out
    assert "\x1b" not in shown.out
    assert not (tmp_path / ".runstead").exists()


def test_json_and_what_failed(tmp_path: Path) -> None:
    """One object a line; a provider that does not answer is a failure."""
    shown = runstead(tmp_path, "doctor", "--port", "0", "--json", OLLAMA_BASE_URL="http://127.0.0.1:9")

    found = {line["check"]: line for line in map(json.loads, shown.out.splitlines())}
    assert shown.code == 1
    assert found["models ollama"]["state"] == "fail"
    assert found["models ollama"]["advice"] == "start it"
    assert found["data folder"] == {
        "check": "data folder",
        "state": "ok",
        "told": f"{tmp_path / '.runstead'} can be made",
        "advice": "",
    }


def test_a_terminal_gets_colours(tmp_path: Path) -> None:
    """Green, yellow, red."""
    with Terminal(tmp_path, "doctor", "--port", "0") as terminal:
        assert terminal.ends() == 0
    assert "\x1b[32mok   \x1b[0m python" in terminal.raw
    assert "\x1b[33mwarn \x1b[0m models" in terminal.raw
