"""A process that has imported the server and forks: a real process, to be killed, in a few milliseconds.

`python -m tests.fault.nursery` reads one order a line and answers each with how that child ended, or that it was stopped.
`Nursery` is the test's side of it. The children play `story.py`; the nursery itself has no threads and no event loop.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, cast

from tests.fault.story import Plan, play, rehearse

ROOT = Path(__file__).resolve().parents[2]
CHILD_S = 120
# Loaded by the engine when it starts: here once, and not in every child.
PRELOADED = ("docket", "httpx", "uvloop")


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a child: the signal that ended or stopped it, or 0; and the code it ended with."""

    pid: int
    signal: int
    code: int
    stopped: bool


class Nursery:
    """Starts children that play a story. Serves one test at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fault.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def play(self, folder: Path, plan: Plan) -> Fate:
        """Let a child play until it ends or is stopped."""
        return self._ask({"folder": str(folder), "plan": asdict(plan)})

    def resume(self, fate: Fate) -> Fate:
        """Let a stopped child go on until it ends."""
        return self._ask({"resume": fate.pid})

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(CHILD_S)
        self._process.stdout.close()

    def _ask(self, order: dict[str, object]) -> Fate:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = cast("dict[str, Any]", json.loads(self._process.stdout.readline()))
        return Fate(**answer)


def main() -> None:
    """Carry out orders until there are no more."""
    for name in PRELOADED:
        import_module(name)
    with tempfile.TemporaryDirectory() as folder:
        rehearse(Path(folder))  # so that no child pays for what is made at its first use
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "who forks must have no thread"
    gc.freeze()  # a child's collector leaves the pages alone that it shares with the nursery
    for line in sys.stdin:
        order = cast("dict[str, Any]", json.loads(line))
        if "resume" in order:
            pid = int(order["resume"])
            os.kill(pid, signal.SIGCONT)
        else:
            pid = _fork(Path(order["folder"]), Plan(**order["plan"]))
        print(json.dumps(asdict(_wait(pid))), flush=True)


def _fork(folder: Path, plan: Plan) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(CHILD_S)
        log = os.open(folder / "child.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for descriptor in (1, 2):
            os.dup2(log, descriptor)
        play(folder, plan)
        code = 0
    except BaseException:  # noqa: BLE001 - a child must never come back into the nursery's loop
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _wait(pid: int) -> Fate:
    _, status = os.waitpid(pid, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        return Fate(pid, os.WSTOPSIG(status), 0, stopped=True)
    if os.WIFSIGNALED(status):
        return Fate(pid, os.WTERMSIG(status), 0, stopped=False)
    return Fate(pid, 0, os.WEXITSTATUS(status), stopped=False)


if __name__ == "__main__":
    main()
