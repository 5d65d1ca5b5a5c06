"""The story as a program of its own, for those who watch its system calls: `python -m tests.fault.journey FOLDER FULL`.

Every write that was acknowledged is told by a line in the folder's file `acks`, written at that moment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import uvloop
from tests.fault.story import Plan, stage


async def _journey(folder: Path, synchronous: str) -> None:
    acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    async with stage(folder, Plan(synchronous=synchronous)) as s:

        def acknowledged(name: str, _args: tuple[object, ...]) -> None:
            os.write(acks, name.encode() + b"\n")

        s.database.acknowledged = acknowledged
        await s.begin()
        await s.all_over()
        await s.pack()
        os.write(acks, b"over\n")
    os.close(acks)


if __name__ == "__main__":
    uvloop.run(_journey(Path(sys.argv[1]), sys.argv[2]))
