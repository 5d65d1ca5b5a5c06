"""`runstead version`: the versions that a report of a fault should name."""

from __future__ import annotations

import platform
import sqlite3
from argparse import Namespace

from runstead import __version__
from runstead.cli.screen import json_line


def run(given: Namespace) -> int:
    """Print them."""
    python, sqlite = platform.python_version(), sqlite3.sqlite_version
    if given.json:
        json_line({"runstead": __version__, "python": python, "sqlite": sqlite})
    else:
        print(f"runstead {__version__} (Python {python}, SQLite {sqlite})")
    return 0
