"""What a call of user code leaves on the disk without a name space around it: measured while it runs, removed afterwards.

Folders that an attacker made may be so deep that Python's own removal fails, or takes a file handle for each level: `rm`
does it. What was deleted and is still open takes room too, and only /proc tells of it.
"""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

WRITTEN_BYTES_MAX = 256 * 1024 * 1024
WRITTEN_FILES_MAX = 20_000
# Where every user may write. A kernel with Landlock keeps calls out of them.
PUBLIC = ("/tmp", "/var/tmp", "/dev/shm", "/run/lock")  # noqa: S108 - looked at and cleared, never written
REMOVE_S = 60.0
_BLOCK_BYTES = 512


def too_much(home: str, uid: int | None, pids: Iterable[int]) -> bool:
    """Whether a call has written more than it may: into its home, where everybody may, or into files without a name."""
    left = _Left(WRITTEN_BYTES_MAX, WRITTEN_FILES_MAX)
    folders = [home, *(() if uid is None else _left_by(uid))]
    return not (
        all(_count(folder, left) for folder in folders) and all(_count_open(pid, left) for pid in pids)
    )


def too_many_inside(pids: Iterable[int]) -> bool:
    """Whether processes in name spaces of their own have more files there than a call may: the room for them is bounded, but
    not their number, and each takes memory that is nobody's.
    """
    host = _place("/")
    for pid in pids:
        root = f"/proc/{pid}/root"
        try:
            if _place(root) == host:
                continue  # it is not inside yet, or never goes there
            used = [os.statvfs(root + folder) for folder in ("/tmp", "/dev/shm")]  # noqa: S108 - inside of it
        except OSError:
            continue  # it ended meanwhile
        return any(each.f_files - each.f_ffree > WRITTEN_FILES_MAX for each in used)
    return False


def _place(path: str) -> tuple[int, int]:
    found = Path(path).stat()
    return found.st_dev, found.st_ino


def more_than(path: str, size: int, files: int) -> bool:
    """Whether there is more below a path than so many bytes or files."""
    return not _count(path, _Left(size, files))


def clear(home: str, uid: int | None) -> None:
    """Remove a call's home, and what its user left where everybody may write."""
    paths = [home, *(() if uid is None else _left_by(uid))]
    if uid is None:
        # A folder that its owner cannot enter is not removed either.
        _do("/bin/chmod", "-R", "u+rwX", "--", home)
    _remove(paths)


class _Left:
    """How much more may be written."""

    def __init__(self, size: int, files: int) -> None:
        self._size = size
        self._files = files

    def take(self, found: os.stat_result) -> bool:
        """Count one; False where it is one too many."""
        self._size -= found.st_blocks * _BLOCK_BYTES
        self._files -= 1
        return self._size >= 0 and self._files >= 0


def _count(path: str, left: _Left) -> bool:
    """Count all below a path. A folder too deep to be looked into is too much."""
    folders = [path]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if not left.take(entry.stat(follow_symlinks=False)):
                        return False
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue  # it is gone, or a file, or its owner shut it
        except OSError:
            return False
    return True


def _count_open(pid: int, left: _Left) -> bool:
    """Count a process's open files that have no name any more."""
    folder = Path("/proc") / str(pid) / "fd"
    try:
        handles = list(folder.iterdir())
    except OSError:
        return True  # it ended meanwhile
    for handle in handles:
        try:
            found = handle.stat()
        except OSError:
            continue
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 0 and not left.take(found):
            return False
    return True


def owners() -> set[int]:
    """Who has something at the top of the folders where everybody may write."""
    return {uid for _, uid in _public()}


def clear_left_by(uid: int) -> None:
    """Remove what a user has there."""
    if paths := _left_by(uid):
        _remove(paths)


def _left_by(uid: int) -> list[str]:
    return [path for path, owner in _public() if owner == uid]


def _public() -> Iterator[tuple[str, int]]:
    """What is at the top of the folders where everybody may write, and whose it is."""
    for folder in PUBLIC:
        try:
            with os.scandir(folder) as entries:
                for each in entries:
                    with suppress(FileNotFoundError):  # it went away while it was looked at
                        yield each.path, each.stat(follow_symlinks=False).st_uid
        except OSError:
            continue  # this machine has none


def _remove(paths: Sequence[str]) -> None:
    _do("/bin/rm", "-rf", "--one-file-system", "--", *paths)


def _do(*command: str) -> None:
    try:
        subprocess.run(command, capture_output=True, check=False, timeout=REMOVE_S)  # noqa: S603 - paths after `--`
    except subprocess.TimeoutExpired:
        return
