"""Users that exist for one call: each is one call's at a time, over all servers of this machine. For servers that are root.

What is one call's would else be another's too: its processes, which are killed with the call, its files and its limits.
Knows nothing of calls. A lock of the kernel holds each user, so what a killed server held is free at once.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

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

    def _take(self) -> tuple[int, int]:
        folder = self._folder()
        for _ in range(len(self._free)):
            uid = self._free.popleft()
            try:
                lock = os.open(
                    folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
                )
            except OSError as error:
                self._free.append(uid)
                raise NobodyLeft(f"Nothing can be written to {folder} ({error.strerror}).") from error
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                self._free.append(uid)
            else:
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
