"""Which process is which: a name that says enough for another one on the same machine to know that it is dead.

A name holds the machine's boot, the process's namespace, its number and when it was started: only then is "there is no such
process" a fact. Of processes elsewhere nothing is known here: their leases end.
"""

from __future__ import annotations

import os
from pathlib import Path

from runstead.ids import Ids

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_FIELDS = 5
_START_FIELD = 19  # of what follows the command's name in /proc/PID/stat: the time of its start


def own_name(ids: Ids) -> str:
    """The name of this process; another one after every start."""
    pid = os.getpid()
    return f"process:{_place()}:{pid}:{_started(pid)}:{ids.uuid()}"


def is_dead(name: str) -> bool:
    """Whether the process of that name certainly lives no more; False also where that cannot be known."""
    parts = name.split(":")
    if len(parts) != _FIELDS or parts[1] != _place() or not parts[2].isdecimal():
        return False
    return _started(int(parts[2])) != parts[3]


def _place() -> str:
    """The machine, since it was switched on, and the namespace that numbers its processes; empty where there is no such."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - no file that a path leads to
        boot = _BOOT.read_text().strip()
    except OSError:
        return "unknown-" + str(os.getpid())
    return f"{boot}-{namespace.strip('pid:[]')}"


def _started(pid: int) -> str:
    """When a process was started, in the kernel's own count; empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[_START_FIELD]
