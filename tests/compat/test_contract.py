"""Our own OpenAPI document against both references: nothing of the core is missing but what is decided."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.serving import Server


def test_nothing_of_the_core_is_missing(server: Server, shared_facts: Path) -> None:
    """Every operation, parameter, request field and response field of both generations, as the running server describes."""
    checker = shared_facts / "api" / "check_contract.py"
    command = [sys.executable, str(checker), f"{server.url}/openapi.json", "--scope", "core"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 differences" in done.stdout
