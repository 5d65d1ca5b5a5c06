"""How much memory a call's processes take together: each has a limit of its own, but there may be many. Reads /proc only.

Pages that several share are counted once for each, so the sum is never too small.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DEPTH_MAX = 10_000  # processes looked at


def processes_of(pid: int, uid: int | None) -> set[int]:
    """A process and all that descend from it, and, with a uid, all that are that user's."""
    return _descendants(pid) | (set[int]() if uid is None else _of_user(uid))


def resident_bytes(pids: Iterable[int]) -> int:
    """The memory of these processes together."""
    return sum(map(_resident, pids))


def _descendants(pid: int) -> set[int]:
    found: set[int] = set()
    left = [pid]
    while left and len(found) < DEPTH_MAX:
        each = left.pop()
        if each in found:
            continue
        found.add(each)
        try:
            tasks = [*(_PROC / str(each) / "task").iterdir()]
            left += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except (OSError, ValueError):
            continue  # it ended meanwhile, or the kernel does not tell
    return found


def users_at_work() -> set[int]:
    """All users that have processes."""
    return {uid for _, uid in _processes()}


def _of_user(uid: int) -> set[int]:
    return {pid for pid, owner in _processes() if owner == uid}


def _processes() -> Iterator[tuple[int, int]]:
    """Every process, and whose it is."""
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):  # it ended meanwhile
                yield int(folder.name), folder.stat().st_uid


def _resident(pid: int) -> int:
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0
