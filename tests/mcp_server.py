"""MCP servers for tests: `mcp_tools.py` in a process of its own, over stdio, SSE or streamable HTTP.

`Program` starts one that listens, and can kill and start it again on the same port. What it was asked stands in the lines
of a file.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

START_S = 60.0
POLL_S = 0.02
PROGRAM = Path(__file__).with_name("mcp_tools.py").resolve()
Kind = Literal["sse", "streamable-http"]


def stdio_command(asked: Path) -> list[str]:
    """The command line of one that speaks on its standard streams."""
    return [sys.executable, str(PROGRAM), "stdio", "0", str(asked)]


class Program:
    """One that listens on a port of 127.0.0.1. A context manager."""

    def __init__(self, kind: Kind, port: int, asked: Path) -> None:
        self.kind = kind
        self.port = port
        self.asked = asked
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/{'sse' if self.kind == 'sse' else 'mcp'}"

    @property
    def lines(self) -> list[str]:
        """What it was asked."""
        return self.asked.read_text().splitlines() if self.asked.exists() else []

    def start(self) -> Self:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), self.kind, str(self.port), str(self.asked)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_S
        while not self._listens():
            assert time.monotonic() < deadline, "the MCP server did not start"
            assert self._process.poll() is None, "the MCP server ended at its start"
            time.sleep(POLL_S)  # until the tool server listens
        return self

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(START_S)

    def pause(self) -> None:
        """It does nothing any more; its connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as trying:
            return trying.connect_ex(("127.0.0.1", self.port)) == 0
