"""Runs a page's shell and Python blocks in order, in one shell, in a folder of its own, against a real server.

What a reader types is what runs, but for places: a page says 8283 or db.example and gets its own. `runstead serve` in a page
is a real server too: it starts behind, is waited for, and ends with the page or when the page serves again. Python blocks
run with the published client.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.docs.blocks import Block
from tests.processes import lives
from tests.serving import until

PAGE_S = 300.0
END_S = 60.0
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR")
_PROGRAM = """#!/usr/bin/env bash
# `runstead` as a reader has it. A server goes behind, and this waits until it answers; one that served before is stopped.
if [ "${{1-}}" != serve ]; then exec {python} -m runstead "$@"; fi
for before in $(cat "$PAGE/servers" 2>/dev/null); do
  kill "$before" 2>/dev/null || continue
  while grep -qs '^State:[[:space:]]*[^Z]' "/proc/$before/status"; do sleep 0.05; done
done
{python} -m runstead "$@" >>"$PAGE/server.log" 2>&1 </dev/null &
echo $! >>"$PAGE/servers"
for _ in $(seq 600); do
  curl -s -o /dev/null "http://127.0.0.1:$RUNSTEAD_PORT/v1/health/" && exit 0
  kill -0 $! 2>/dev/null || break
  sleep 0.1
done
cat "$PAGE/server.log" >&2
exit 1
"""
# Nobody else shall reach a server of a test; and the server that agents are moved from is played by the page's own.
_OF_ANY_PAGE = {"0.0.0.0": "127.0.0.1", "letta.example": "127.0.0.1"}
# As `set -e`, but a reader who leaves a stream early (`curl … | sed 20q`) has done nothing wrong.
_STOP = "trap 'code=$?; case $code in 23|141) ;; *) exit $code ;; esac' ERR"


class Failed(AssertionError):
    """A block ended with an error; the text says which one and what it said."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who runs a page: where, with which Python, and what stands in place of what the page names."""

    folder: Path
    port: int
    python: Path
    instead: Mapping[str, str] = field(default_factory=dict[str, str])
    variables: Mapping[str, str] = field(default_factory=dict[str, str])

    def own(self, code: str) -> str:
        """A block's text with the reader's own places."""
        for given, mine in {"8283": str(self.port), **_OF_ANY_PAGE, **self.instead}.items():
            code = code.replace(given, mine)
        return code


def run_page(blocks: Sequence[Block], reader: Reader) -> str:
    """Run the blocks; gives what they wrote. Raises `Failed` at the first that fails."""
    _furnish(reader.folder)
    script = reader.folder / "page.sh"
    script.write_text(_script(blocks, reader), encoding="utf-8")
    log = reader.folder / "output.log"
    with log.open("wb") as output:
        shell = subprocess.Popen(
            ["bash", str(script)],
            cwd=reader.folder / "here",
            env=_environment(reader),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = shell.wait(PAGE_S)
        except subprocess.TimeoutExpired:
            code = -1
        finally:
            _end(shell, reader.folder)
    told = log.read_text(encoding="utf-8", errors="replace")
    if code != 0:
        at = re.findall(r"^### (.*)$", told, re.MULTILINE)
        raise Failed(f"{at[-1] if at else 'the page'} ended with {code}:\n{told[-4000:]}")
    return told


def _furnish(folder: Path) -> None:
    """The folder in which a reader stands: a checkout that is installed."""
    for place in (folder / "bin" / "runstead", folder / "here" / ".venv" / "bin" / "runstead"):
        place.parent.mkdir(parents=True)
        place.write_text(_PROGRAM.format(python=shlex.quote(sys.executable)), encoding="utf-8")
        place.chmod(0o755)


def _script(blocks: Sequence[Block], reader: Reader) -> str:
    lines = ["set -o pipefail", _STOP]
    for number, block in enumerate(blocks):
        lines.append(f"echo {shlex.quote('### ' + block.place)}")
        code = reader.own(block.code)
        if block.language == "python":
            file = reader.folder / f"block_{number}.py"
            file.write_text(code, encoding="utf-8")
            code = f"{shlex.quote(str(reader.python))} {shlex.quote(str(file))}"
        lines.append(code)
    return "\n".join(lines) + "\n"


def _environment(reader: Reader) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    return {
        **kept,
        "PATH": f"{reader.folder / 'bin'}:{kept.get('PATH', '')}",
        "HOME": str(reader.folder / "here"),
        "PAGE": str(reader.folder),
        "RUNSTEAD_PORT": str(reader.port),
        "RUNSTEAD_URL": f"http://127.0.0.1:{reader.port}",
        **reader.variables,
    }


def _end(shell: subprocess.Popen[bytes], folder: Path) -> None:
    """End what the page started, its servers in order."""
    started = folder / "servers"
    pids = [int(line) for line in started.read_text().split()] if started.exists() else []
    for pid in filter(lives, pids):
        os.kill(pid, signal.SIGTERM)
    if shell.poll() is None:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
    until(lambda: not any(map(lives, pids)), END_S, "the end of the page's servers")
