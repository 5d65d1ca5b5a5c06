"""An empty database of SQLite, made once a process and copied: making all tables takes ten times as long as copying them.

It is made by the migrations, as a server makes its own. Tests that are about making or migrating a database do without it.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import tempfile
from contextlib import closing
from functools import cache
from pathlib import Path

from runstead.store.migrate import migrate


def put_database(path: Path) -> Path:
    """Put an empty database there, unless there is one; gives the path."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(_template(), path)
    return path


def load_database(into: sqlite3.Connection) -> None:
    """Make a database that is open and has nothing in it, such as one in memory, an empty database of ours."""
    with closing(sqlite3.connect(_template())) as source:
        source.backup(into)


@cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="runstead-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = folder / "empty.db"
    migrate(f"sqlite:///{made}")
    return made
