"""SQLite's write-ahead log as a file: where its frames end, and what a disk may have of it after the power was gone.

From https://www.sqlite.org/fileformat2.html#walformat. It knows nothing of what is in the pages.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HEADER_BYTES = 32
FRAME_HEADER_BYTES = 24
_SALT = slice(16, 24)
_FRAME_SALT = slice(8, 16)


@dataclass(frozen=True, slots=True)
class Disk:
    """A database file as it was after a checkpoint, the log that was written since, and what the log's file held before."""

    db: bytes
    wal: bytes
    before: bytes = b""

    @property
    def frame_bytes(self) -> int:
        """The size of a frame."""
        return FRAME_HEADER_BYTES + int.from_bytes(self.wal[8:12], "big")

    def ends(self) -> list[int]:
        """Where each frame of the log ends, in bytes."""
        size = self.frame_bytes
        found: list[int] = []
        for start in range(HEADER_BYTES, len(self.wal) - size + 1, size):
            if self.wal[start : start + FRAME_HEADER_BYTES][_FRAME_SALT] != self.wal[_SALT]:
                break  # left over from before the checkpoint
            found.append(start + size)
        return found

    def torn(self, seed: int) -> Iterator[tuple[int, bytes]]:
        """What the log's file may hold after a loss of power: how much of it is whole, and all that is there."""
        dice = random.Random(seed)
        ends = [0, *self.ends()]
        for end, following in zip(ends, [*ends[1:], ends[-1]], strict=True):
            rest = self.before[end:]
            yield end, self.wal[:end] + rest
            yield end, self.wal[:end] + dice.randbytes(dice.randrange(1, 3 * self.frame_bytes))
            yield end, self.wal[:end] + bytes(2 * self.frame_bytes)
            if following > end + 1:
                cut = dice.randrange(end + 1, following)
                yield end, self.wal[:cut] + self.before[cut:]
                # Written out of order: what follows is there, and this frame is not.
                yield end, self.wal[:end] + bytes(following - end) + self.wal[following:]

    def put(self, folder: Path, wal: bytes) -> Path:
        """Make a data folder of it, in the place of what is there."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        path = folder / "runstead.db"
        path.write_bytes(self.db)
        path.with_name("runstead.db-wal").write_bytes(wal)
        return path


def read(path: Path) -> tuple[bytes, bytes]:
    """The database's file and its log's."""
    wal = path.with_name(path.name + "-wal")
    return path.read_bytes(), wal.read_bytes() if wal.exists() else b""
