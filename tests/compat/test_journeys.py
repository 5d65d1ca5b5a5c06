"""Both official SDKs, each in an environment of its own, drive every operation against a running server.

The journeys are `journey_sdk0.py` and `journey_sdk1.py`; they run in the SDKs' interpreters and report here, operation by
operation. An environment is made when it is first needed and kept under `.cache/`, from versions pinned by hash.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.serving import Server

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
VERSIONS = ("0.1.324", "1.12.1")
INSTALL_S = 240
JOURNEY_S = 120


def interpreter(generation: int) -> Path:
    """The Python of an environment that has one generation's SDK; made where it is not there yet."""
    pins = HERE / f"requirements-{generation}.txt"
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    folder = CACHE / f"compat-{VERSIONS[generation]}"
    python, complete = folder / "bin" / "python", folder / "complete"
    if not complete.exists() or complete.read_text() != wanted:
        ask([sys.executable, "-m", "venv", "--clear", str(folder)])
        ask([str(python), "-m", "pip", "install", "--quiet", "--require-hashes", "-r", str(pins)])
        complete.write_text(wanted)
    return python


def ask(command: list[str], timeout_s: float = INSTALL_S) -> str:
    """What a command prints; its failure fails the test with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_S + JOURNEY_S)
@pytest.mark.parametrize("generation", [0, 1])
@pytest.mark.parametrize("journey", ["journey", "journey_folders", "journey_memory"])
def test_the_sdk_does_every_operation(journey: str, generation: int, server: Server) -> None:
    """Every operation works, and all that it returns fits the SDK's own types."""
    script = HERE / f"{journey}_sdk{generation}.py"
    report = ask([str(interpreter(generation)), str(script), server.url], JOURNEY_S)
    failed = {name: said for name, said in json.loads(report).items() if said != "ok"}
    assert not failed, "\n\n".join(f"{name}: {said}" for name, said in failed.items())
