"""Where user code that wants out is kept: the sandbox that it attacks, and what is seen of it from outside."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.processes import named

from runstead.tools.sandbox import FenceKind, Job, Ran, Sandbox

SECRET = "the-server-would-rather-keep-this"
SYSTEM_PYTHON = "/usr/bin/python3"
ATTACK_S = 60.0
# What a busy machine may take for what is limited by a time.
SLOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Prison:
    """A sandbox, and the folder of a server that it must not see."""

    sandbox: Sandbox
    data: Path
    kind: FenceKind
    mark: str

    async def attack(self, body: str, timeout_s: float = ATTACK_S, **arguments: object) -> Ran:
        """What comes of a function with this body."""
        names = ", ".join(arguments)
        named = f"import ctypes; ctypes.CDLL(None).prctl(15, b'{self.mark}', 0, 0, 0)"
        lines = "\n    ".join([named, *body.strip().splitlines()])
        job = Job("call", f"def attack({names}):\n    {lines}\n", "attack", arguments)
        return await self.sandbox.run(job, timeout_s=timeout_s)


async def still_works(prison: Prison) -> None:
    """The sandbox serves the next call, and nothing of the last one is left."""
    ran = await prison.attack("return 1 + 1")
    assert (ran.ok, ran.text) == (True, "2")


def refused(ran: Ran) -> None:
    """It got nothing: an error, and not the secret either."""
    assert not ran.ok, ran
    assert SECRET not in repr(ran)


def pids_of(program: str, word: str) -> list[int]:
    """The processes of a program that have a word in their environment."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if command.startswith(program.encode()) and word.encode() in environment:
            found.append(int(folder.name))
    return found


async def gone(prison: Prison) -> bool:
    """Whether nothing of the attacks lives any more, once those that were killed had a moment to vanish."""
    deadline = time.monotonic() + SLOW_S
    while named(prison.mark) and time.monotonic() < deadline:
        await asyncio.sleep(0)
    return not named(prison.mark)


def resident_bytes() -> int:
    """How much memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
