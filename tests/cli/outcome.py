"""Running `runstead` as a user does: a process, what it printed, and how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

END_S = 50.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a command."""

    code: int
    out: str
    error: str


def runstead(home: Path, *arguments: str, **environment: str) -> Outcome:
    """Run the command to its end, with nothing in its environment but what is given."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    done = subprocess.run(
        [sys.executable, "-m", "runstead", *arguments],
        env={**kept, "HOME": str(home), **environment},
        capture_output=True,
        text=True,
        timeout=END_S,
        check=False,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)
