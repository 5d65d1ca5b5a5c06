"""The packages that a tool's code imports: installed once a set of requirements, and shown to the sandbox read-only.

Only wheels are installed, which are unpacked: nothing of a package is run outside of the sandbox. Installing is off the
event loop, one at a time a set, in whatever process; where it fails, the call learns why.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import math
import os
import re
import shutil
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from runstead.domain.stored_tool import Requirement
from runstead.errors import Invalid
from runstead.settings import Settings, child_environment
from runstead.tools.litter import more_than

REQUIREMENTS_MAX = 50
SETS_MAX = 50
SET_BYTES_MAX = 1024 * 1024 * 1024
SET_FILES_MAX = 100_000
ALL_BYTES_MAX = 8 * SET_BYTES_MAX
INSTALLS_MAX = 2  # at once; others wait
INSTALL_S = 300.0
LOOK_S = 0.5
DRAFT, ROOM = ".draft", ".tmp"
SAID_CHARS_MAX = 2_000
_NAME = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:\[[A-Za-z0-9._,-]+\])?$")
_VERSION = re.compile(r"^[A-Za-z0-9][A-Za-z0-9.!+_*-]*$")


class CannotInstall(Exception):
    """The packages cannot be had; the text says why."""


def check_requirements(requirements: Sequence[Requirement]) -> None:
    """Raises `Invalid` where one is no plain name with a plain version."""
    if len(requirements) > REQUIREMENTS_MAX:
        raise Invalid(f"A tool may require {REQUIREMENTS_MAX} packages, not {len(requirements)}.")
    for each in requirements:
        if not _NAME.match(each.name):
            raise Invalid(
                f"{each.name[:100]!r} is no name of a package; give a name, and its version beside it."
            )
        if each.version is not None and not _VERSION.match(each.version):
            raise Invalid(f"{each.version[:100]!r} is no version of {each.name}; give one such as 1.2.3.")


class Packages:
    """Sets of packages in the data folder."""

    def __init__(self, settings: Settings) -> None:
        self._folder = settings.data_dir / "packages"
        self._turns = asyncio.Semaphore(INSTALLS_MAX)

    async def folder(self, requirements: Sequence[Requirement]) -> Path | None:
        """Where the packages are; installed first where they are not there yet. Raises `CannotInstall`."""
        if not requirements:
            return None
        wanted = sorted(f"{r.name}=={r.version}" if r.version else r.name for r in requirements)
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        digest = hashlib.sha256("\n".join([version, *wanted]).encode()).hexdigest()[:32]
        place = self._folder / digest
        while True:
            if not place.is_dir():
                await self._install(place, wanted)
            try:
                await asyncio.to_thread(os.utime, place)
            except FileNotFoundError:
                continue  # another process made room just now
            return place

    async def _install(self, place: Path, wanted: list[str]) -> None:
        if find_spec("pip") is None:
            raise CannotInstall("the server has no installer (pip) for the packages that the tool requires.")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
            with await asyncio.to_thread(_open_lock, place.with_suffix(".lock")) as handle:
                async with asyncio.timeout(INSTALL_S):
                    await _locked(handle)
                    async with self._turns:
                        if not await asyncio.to_thread(place.is_dir):
                            await self._fill(place, wanted)
        except TimeoutError:
            raise CannotInstall(f"installing its packages took longer than {INSTALL_S:g} s.") from None
        except OSError as error:
            raise CannotInstall(f"its packages cannot be kept here ({error.strerror}).") from error

    async def _fill(self, place: Path, wanted: list[str]) -> None:
        draft, room = place.with_suffix(DRAFT), place.with_suffix(ROOM)
        await asyncio.to_thread(_begin, draft, room)
        try:
            await self._filled(draft, room, wanted)
            await asyncio.to_thread(_settle, draft, place)
        finally:
            for folder in (draft, room):
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _filled(self, draft: Path, room: Path, wanted: list[str]) -> None:
        """Install into a folder, with room for downloads in another. Raises `CannotInstall`."""
        command = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-input",
            "--disable-pip-version-check",
            "--no-cache-dir",
        ]
        command += ["--only-binary", ":all:", "--no-compile", "--target", str(draft), "--", *wanted]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env=child_environment(TMPDIR=str(room)),
        )
        talking = asyncio.get_running_loop().create_task(process.communicate())
        try:
            while not talking.done():
                await asyncio.wait({talking}, timeout=LOOK_S)
                if await asyncio.to_thread(_too_large, draft, room):
                    raise CannotInstall(
                        f"its packages take too much room: at most {SET_BYTES_MAX} bytes and {SET_FILES_MAX} files are kept."
                    )
        finally:
            if process.returncode is None:
                process.kill()
            said, _ = await talking
        if process.returncode != 0:
            words = _without_places(said.decode("utf-8", "replace"))
            raise CannotInstall(f"its packages could not be installed ({', '.join(wanted)}): {words}")


def _open_lock(path: Path) -> _Handle:
    return _Handle(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


class _Handle:
    """An open file that is closed at the end of a `with`."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


async def _locked(handle: _Handle) -> None:
    """Wait until no other process installs the same set."""
    while True:
        try:
            fcntl.flock(handle.number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.sleep(0.1)
        else:
            return


def _begin(draft: Path, room: Path) -> None:
    """Empty folders for an installation; what one left that was killed long ago goes."""
    for folder in (draft, room):
        shutil.rmtree(folder, ignore_errors=True)
    room.mkdir(mode=0o700)
    now_s = _used_s(room)
    for each in room.parent.iterdir():
        if each.suffix in {DRAFT, ROOM} and now_s - _used_s(each) > 2 * INSTALL_S:
            shutil.rmtree(each, ignore_errors=True)


def _used_s(folder: Path) -> float:
    """When it was used last. What another installation took away meanwhile counts as used just now."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _too_large(draft: Path, room: Path) -> bool:
    """Whether an installation takes more of the disk than it may. Downloads stand beside what comes of them."""
    return any(more_than(str(each), SET_BYTES_MAX, SET_FILES_MAX) for each in (draft, room))


def _size(folder: Path) -> int:
    """How many bytes its files have. What goes away meanwhile has none."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                found = Path(where, name).lstat()
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


def _settle(draft: Path, place: Path) -> None:
    """Put a set in its place, and take away those that were unused the longest. Raises `CannotInstall` for a huge one."""
    size = _size(draft)
    if size > SET_BYTES_MAX:
        raise CannotInstall(f"its packages take {size} bytes; at most {SET_BYTES_MAX} are kept.")
    for folder in (draft, *(each for each in draft.rglob("*") if each.is_dir())):
        folder.chmod(0o755)
    draft.rename(place)
    sets = sorted(
        (each for each in place.parent.iterdir() if each.is_dir() and not each.suffix),
        key=_used_s,
    )
    left = ALL_BYTES_MAX
    for rank, each in enumerate(reversed(sets)):
        left -= _size(each)
        if rank and (rank >= SETS_MAX or left < 0):
            shutil.rmtree(each, ignore_errors=True)


def _without_places(text: str) -> str:
    """What the installer said, without the addresses of registries, which may hold credentials."""
    return re.sub(r"\S+://\S+", "[address]", text).strip()[-SAID_CHARS_MAX:]
