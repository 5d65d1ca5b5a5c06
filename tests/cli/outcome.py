"""Running `runstead` as a user does: a process, what it printed, and how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.serving import until

END_S = 120.0
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


class Begun:
    """A command that goes on, with its output in files that can be looked at meanwhile."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, error: Path) -> None:
        self._process = process
        self._out = out
        self._error = error

    @property
    def out(self) -> str:
        """What it wrote to standard output so far."""
        return self._out.read_text(errors="replace")

    @property
    def error(self) -> str:
        """What it wrote to standard error so far."""
        return self._error.read_text(errors="replace")

    def shows(self, text: str) -> None:
        """Wait until it wrote this to standard output."""
        until(lambda: text in self.out, END_S, f"{text!r} in the output")

    def complains(self, text: str) -> None:
        """Wait until it wrote this to standard error."""
        until(lambda: text in self.error, END_S, f"{text!r} in the errors")

    def signals(self, number: int) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def ends(self) -> int:
        """Wait for its end; gives the exit code."""
        return self._process.wait(END_S)


def heed_ctrl_c() -> None:
    """Let what is started from here on be interrupted: a shell's background jobs ignore it, and hand that down."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def begun(home: Path, *arguments: str, **environment: str) -> Generator[Begun]:
    """Begin a command; what still goes on at the block's end is killed."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    out, error = home / "begun.out", home / "begun.err"
    heed_ctrl_c()
    with out.open("wb") as to_out, error.open("wb") as to_error:
        process = subprocess.Popen(
            [sys.executable, "-m", "runstead", *arguments],
            env={**kept, "HOME": str(home), **environment},
            stdin=subprocess.DEVNULL,
            stdout=to_out,
            stderr=to_error,
        )
    try:
        yield Begun(process, out, error)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
