"""Ending what a call started, so that nothing of it goes on: the group, and what left the group.

bubblewrap's inner half asks to die with its outer one, but a moment after it begins to be: killed in between, the outer half
would leave it behind for ever. So the outer one is held first, then those below it are killed, then itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

from runstead.tools.footprint import processes_of, users_at_work

LOOKS_MAX = 500


def end(pid: int) -> None:
    """Kill a process that leads its group, the group, and all that descend from it."""
    try:
        os.killpg(pid, signal.SIGSTOP)
    except ProcessLookupError:
        return
    for _ in range(LOOKS_MAX):
        if _held(pid):
            break
        os.sched_yield()
    below = processes_of(pid, None) - {pid}
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    for each in below:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(each, signal.SIGKILL)


def end_all_of(uid: int) -> None:
    """Kill every process of a user that exists for one call, also those that left its group. Mostly there is none."""
    if uid not in users_at_work():
        return
    # A shell is everywhere, `kill` as a program is not. It spares the shell itself.
    subprocess.run(
        ["/bin/sh", "-c", "kill -s KILL -- -1"],
        user=uid,
        group=uid,
        extra_groups=[],
        capture_output=True,
        check=False,
    )


def _held(pid: int) -> bool:
    """Whether a process does nothing more: it is stopped, or over."""
    try:
        state = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state in "TtZX"
