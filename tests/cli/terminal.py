"""`runstead` in a pseudo-terminal: what a person at a keyboard sees and types. Waits for what is shown, never for time."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.cli.outcome import heed_ctrl_c

SHOWN_S = 60.0
ROWS, COLUMNS = 40, 120
_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[=>()][0B]?)")
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


class Terminal:
    """One command in a terminal of its own. A context manager: its end ends the command."""

    def __init__(self, home: Path, *words: str, **environment: str) -> None:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        heed_ctrl_c()
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "runstead", *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**kept, "HOME": str(home), "TERM": "xterm-256color", **environment},
            start_new_session=True,
        )
        os.close(theirs)
        self.raw = ""
        self._from = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        os.close(self._ours)

    @property
    def text(self) -> str:
        """What was shown so far, without colours and movement, its lines joined where the terminal broke them."""
        return _ESCAPES.sub("", self.raw).replace("\r", "")

    def shows(self, text: str) -> None:
        """Wait until it shows this, after what was waited for before."""
        deadline = time.monotonic() + SHOWN_S
        while (at := self.text.find(text, self._from)) < 0:
            assert self._read(deadline), f"{text!r} was not shown:\n{self.text[self._from :][-4000:]}"
        self._from = at + len(text)

    def types(self, text: str) -> None:
        """Type something, line breaks with it."""
        os.write(self._ours, text.encode())

    def interrupts(self) -> None:
        """Ctrl-C, as the terminal's driver would send it."""
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Wait for the end; gives the exit code."""
        deadline = time.monotonic() + SHOWN_S
        while self._read(deadline):
            pass
        return self._process.wait(SHOWN_S)

    def _read(self, deadline: float) -> bool:
        ready, _, _ = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))
        if not ready:
            return False
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # Linux' word for the end of a terminal
            return False
        self.raw += data.decode(errors="replace")
        return bool(data)
