"""The machine: versions, the limit of open files, the clock, and the sandbox where tools have one."""

from __future__ import annotations

import platform
import resource
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from runstead import __version__
from runstead.cli.checks.finding import Finding, fail, ok, warn
from runstead.cli.measures import rough
from runstead.store.upkeep import SQLITE_VERSION

# Each reader of a stream holds a file, and so does each call of a model.
OPEN_FILES_WANTED = 4096
OPEN_FILES_MIN = 256
SQLITE_MIN = (3, 35, 0)
AHEAD_S_MAX = 60.0
YEAR_MIN = 2026
SANDBOX_S_MAX = 10.0
LIBRARIES = ("sqlalchemy", "starlette", "uvicorn", "pydantic", "httpx")
SANDBOXES = ("runstead.tools.sandbox", "runstead.sandbox")


def versions() -> list[Finding]:
    """What runs. A library that is not there at all is named."""
    told: list[str] = []
    missing: list[str] = []
    for name in LIBRARIES:
        try:
            told.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    found = [
        ok("python", f"Python {platform.python_version()} on {platform.platform(terse=True)}"),
        _sqlite(SQLITE_VERSION),
    ]
    if missing:
        found.append(
            fail("libraries", f"missing: {', '.join(missing)}", "install Runstead again (scripts/install)")
        )
    else:
        found.append(ok("libraries", ", ".join([f"runstead {__version__}", *told])))
    return found


def open_files() -> Finding:
    """How many files the server may hold open."""
    return files_allowed(*resource.getrlimit(resource.RLIMIT_NOFILE))


def files_allowed(soft: int, hard: int) -> Finding:
    """What a limit of open files means for a server."""
    unlimited = resource.RLIM_INFINITY
    if soft == unlimited or soft >= OPEN_FILES_WANTED:
        return ok("open files", f"{'no limit' if soft == unlimited else soft}")
    most = OPEN_FILES_WANTED if hard == unlimited else min(hard, 65_536)
    advice = f"raise it before serving: `ulimit -n {most}`, or LimitNOFILE= in the systemd unit"
    told = f"{soft}: about {max(soft - 100, 0)} readers at once"
    return fail("open files", told, advice) if soft < OPEN_FILES_MIN else warn("open files", told, advice)


def clock(now: datetime, files: Sequence[Path], elsewhere: datetime | None) -> Finding:
    """Whether the time of day can be believed: not before what was written, and as others have it."""
    advice = "set the clock (timedatectl set-ntp true): the times of runs would be wrong"
    if now.year < YEAR_MIN:
        return fail("clock", f"it says {now:%Y-%m-%d}", advice)
    ahead = max((path.stat().st_mtime - now.timestamp() for path in files if path.exists()), default=0.0)
    if ahead > AHEAD_S_MAX:
        return warn("clock", f"the data was written {rough(ahead)} in the future", advice)
    if elsewhere is None:
        return ok("clock", f"{now:%Y-%m-%d %H:%M:%S}Z, not before what was written")
    apart = abs((now - elsewhere).total_seconds())
    if apart > AHEAD_S_MAX:
        return warn("clock", f"it is {rough(apart)} apart from a provider's", advice)
    return ok("clock", f"{now:%Y-%m-%d %H:%M:%S}Z, as a provider has it")


def sandbox() -> list[Finding]:
    """Whether the code of tools can be shut in. Nothing where this Runstead runs no such code."""
    if not any(_is_there(name) for name in SANDBOXES):
        return []
    program = shutil.which("bwrap")
    if program is None:
        return [
            warn(
                "sandbox",
                "bubblewrap is not installed",
                "install it (apt install bubblewrap) to run tools' code",
            )
        ]
    tried = [program, "--ro-bind", "/", "/", "--unshare-all", "--die-with-parent", "true"]
    try:
        done = subprocess.run(tried, capture_output=True, text=True, timeout=SANDBOX_S_MAX, check=False)  # noqa: S603 - fixed words
    except (OSError, subprocess.TimeoutExpired) as error:
        return [fail("sandbox", f"{program} does not work: {error}", "install bubblewrap again")]
    if done.returncode:
        advice = "allow unprivileged user namespaces (sysctl kernel.unprivileged_userns_clone=1)"
        return [fail("sandbox", f"{program} does not work: {done.stderr.strip()[:200]}", advice)]
    return [ok("sandbox", f"{program} works")]


def _sqlite(have: tuple[int, int, int]) -> Finding:
    told = "SQLite " + ".".join(map(str, have))
    if have < SQLITE_MIN:
        wanted = ".".join(map(str, SQLITE_MIN))
        return fail("sqlite", told, f"use a Python that was built with SQLite {wanted} or newer")
    return ok("sqlite", told)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False
