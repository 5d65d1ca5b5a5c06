"""Users that exist for one call: each is one call's at a time, over all servers of this machine. For servers that are root.

What is one call's would else be another's too: its processes, which are killed with the call, its files and its limits. A
lock of the kernel holds each user, so what a killed server held is free at once; what its calls left behind is ended and
removed by the next server that starts. Starts no calls.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

from runstead.tools import litter
from runstead.tools.ending import end_all_of
from runstead.tools.footprint import users_at_work

# Between the ranges that systemd and its like take their passing users from.
PASSING_UIDS = range(60_600, 61_100)
FOLDER = "runstead-users"
PLACES = ("/run", "/tmp")  # noqa: S108 - a folder of root's own


class NobodyLeft(Exception):
    """No user can be had; the text says why and what the server's operator can do."""


class PassingUsers:
    """The users of one server's calls."""

    def __init__(self, uids: Sequence[int] = PASSING_UIDS, places: Sequence[str] = PLACES) -> None:
        self._places = places
        self._uids = set(uids)
        self._free = deque(uids)
        # Each call is the user that was away the longest; another server on this machine begins elsewhere.
        self._free.rotate(os.getpid())

    @contextmanager
    def lend(self) -> Generator[int]:
        """A user that no other call is. Raises `NobodyLeft`."""
        uid, lock = self._take()
        try:
            yield uid
        finally:
            os.close(lock)
            self._free.append(uid)

    def reclaim(self) -> Sequence[int]:
        """End and remove what killed servers' calls left behind; gives whose it was. Raises `NobodyLeft`; blocks."""
        folder, reclaimed = self._folder(), list[int]()
        for uid in sorted((users_at_work() | litter.owners()) & self._uids):
            if (lock := _locked(folder, uid)) is None:
                continue  # it is a call's
            try:
                end_all_of(uid)
                litter.clear_left_by(uid)
                reclaimed.append(uid)
            finally:
                os.close(lock)
        return reclaimed

    def _take(self) -> tuple[int, int]:
        folder = self._folder()
        for uid in list(self._free):
            if (lock := _locked(folder, uid)) is not None:
                self._free.remove(uid)
                return uid, lock
        raise NobodyLeft(
            "Every user that a call can be is another call's now; allow fewer at once (RUNSTEAD_SANDBOX_CALLS_MAX)."
        )

    def _folder(self) -> Path:
        """Where the locks are: the same for every server, and nobody else's."""
        for place in self._places:
            folder = Path(place) / FOLDER
            try:
                folder.mkdir(mode=0o700, exist_ok=True)
                found = folder.lstat()
            except OSError:
                continue
            if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022:
                return folder
        raise NobodyLeft(
            f"User code needs a folder {FOLDER}, of this user's own, in {' or '.join(self._places)}:"
            " there servers agree on the users that calls are."
        )


def _locked(folder: Path, uid: int) -> int | None:
    """The lock of a user, as an open file; None where somebody has it. Raises `NobodyLeft`."""
    try:
        lock = os.open(folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise NobodyLeft(f"Nothing can be written to {folder} ({error.strerror}).") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock
