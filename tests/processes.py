"""What the kernel tells of processes: whether one lives, and which bear a name. Reads /proc only."""

from __future__ import annotations

from pathlib import Path

_PROC = Path("/proc")


def state(pid: int) -> str:
    """What a process does, as one letter: T is held, Z ended and was not waited for, X is not there."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "X"


def lives(pid: int) -> bool:
    """Whether there is such a process, and not only what its parent has not read of it."""
    return state(pid) not in "ZX"


def named(mark: str) -> list[int]:
    """The living processes of that name."""
    found: list[int] = []
    for folder in _PROC.glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
        except OSError:
            continue
        if f"Name:\t{mark}\n" in status and "State:\tZ" not in status:
            found.append(int(folder.name))
    return found
