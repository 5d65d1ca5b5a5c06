"""A server of one's own for a while: `runstead serve` as a child process, on a free port of this machine only."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from runstead.cli.banner import LISTENING
from runstead.errors import CannotStart

STOP_S_MAX = 30.0


@contextmanager
def child_server(data_dir: Path) -> Generator[str]:
    """The base URL of a server over `data_dir`, which is stopped in order at the end.

    Raises `CannotStart` where the child ends before it listens; what it said is on standard error by then.
    """
    command = [sys.executable, "-m", "runstead", "serve", "--host", "127.0.0.1", "--port", "0", "--data-dir"]
    child = subprocess.Popen([*command, str(data_dir)], stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own program
    try:
        yield _address(child)
    finally:
        child.terminate()
        try:
            child.communicate(timeout=STOP_S_MAX)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()


def _address(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    for line in child.stdout:
        _before, found, address = line.partition(LISTENING)
        if found:
            return address.strip()
    raise CannotStart(f"The server for the demonstration did not start (exit code {child.wait()}).")
