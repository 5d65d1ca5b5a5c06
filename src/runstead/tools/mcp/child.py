"""The first thing that runs in the process of an MCP server that is a program: it makes the server's end its own.

Run by its path, with nothing but the standard library; it becomes the program that its arguments name.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent_pid: int, command: list[str]) -> None:
    """Be killed when the parent ends, however it ends; then become the command."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() == parent_pid:
        os.execv(command[0], command)  # noqa: S606 - what the operator allowed


if __name__ == "__main__":
    become(int(sys.argv[1]), sys.argv[2:])
