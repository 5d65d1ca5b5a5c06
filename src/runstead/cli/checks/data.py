"""The data folder, who holds it, the space left, and the database in it."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from runstead.cli.checks.finding import Finding, fail, ok, warn
from runstead.cli.db.status import told
from runstead.cli.measures import size
from runstead.errors import RunsteadError
from runstead.settings import Settings
from runstead.store.distance import COMPARED_MAX, COMPARED_SLOWLY_MAX, Counts
from runstead.store.upkeep import faults_of, shown, stand_of

LOCK = "runstead.lock"
FREE_BYTES_WANTED = 1024**3
FREE_BYTES_MIN = 100 * 1024**2


def folder(settings: Settings) -> Finding:
    """Whether the data folder can be written, or made."""
    path = settings.data_dir
    if path.exists() and not path.is_dir():
        return fail(
            "data folder", f"{path} is a file", "choose a folder with --data-dir or RUNSTEAD_DATA_DIR"
        )
    place = _nearest(path)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = (
            f"give yourself the right to write it (chown, chmod), or choose another with --data-dir: {place}"
        )
        return fail("data folder", f"{path} cannot be written ({error.strerror})", advice)
    return ok("data folder", f"{path} can be {'written' if path.exists() else 'made'}")


def space(settings: Settings) -> Finding:
    """How much room there is."""
    place = _nearest(settings.data_dir)
    return room(str(place), shutil.disk_usage(place).free)


def room(place: str, free: int) -> Finding:
    """What so much free space means."""
    text = f"{size(free)} free at {place}"
    advice = "make room: a server that cannot write refuses new runs. RUNSTEAD_EVENTS_KEEP_S says how long events stay"
    if free < FREE_BYTES_MIN:
        return fail("space", text, advice)
    return warn("space", text, advice) if free < FREE_BYTES_WANTED else ok("space", text)


def lock(settings: Settings) -> Finding:
    """Whether a server holds the data folder."""
    path = settings.data_dir / LOCK
    if not path.exists():
        return ok("lock", "no server has used this folder yet")
    try:
        held = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        return fail(
            "lock", f"{path} cannot be opened ({error.strerror})", "let the user that serves own the folder"
        )
    try:
        # Shared, so that two who look do not disturb one another.
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return ok("lock", "a running server holds this folder")
    finally:
        os.close(held)
    return ok("lock", "free")


def database(settings: Settings) -> list[Finding]:
    """Whether the database can be reached, is current, and is sound."""
    try:
        stand = stand_of(settings.database)
        schema = told(stand)
        if stand.version is not None and not stand.current:
            return [
                warn(
                    "database", f"{stand.kind}, schema {schema}", "make a backup first (`runstead db backup`)"
                )
            ]
        found = [ok("database", f"{stand.kind} at {stand.place}, schema {schema}"), vectors(stand.counts)]
        if stand.version is None or stand.kind != "SQLite":
            return found
        faults = faults_of(settings.database)
    except RunsteadError as error:
        advice = f"check that {shown(settings.database)} is right and may be read; restore a backup of a damaged file"
        return [fail("database", error.detail, advice)]
    if faults:
        return [*found, fail("integrity", "; ".join(faults), "stop the server and restore a backup")]
    return [*found, ok("integrity", f"sound ({size(stand.bytes)})")]


def vectors(counts: Counts) -> Finding:
    """What searches by meaning compare vectors with, and how many of them."""
    text = f"{counts} compares them, {{:,}} in a search"
    if counts is Counts.SQL:
        advice = "install pgvector on the database's server: without it only the newest are compared"
        return warn("vectors", text.format(COMPARED_SLOWLY_MAX), advice)
    if counts is Counts.PYTHON:
        advice = "use a Python whose SQLite loads extensions: with sqlite-vec a search by meaning is faster"
        return warn("vectors", text.format(COMPARED_MAX), advice)
    return ok("vectors", text.format(COMPARED_MAX))


def _nearest(path: Path) -> Path:
    """The folder, or the first one above that is there."""
    return next(each for each in (path, *path.absolute().parents) if each.is_dir())
