"""`runstead version`: the versions that a report of a fault should name."""

from __future__ import annotations

import platform
import sqlite3
from argparse import Namespace

from runstead import __version__


def run(given: Namespace) -> int:
    """Print them."""
    del given
    print(f"runstead {__version__} (Python {platform.python_version()}, SQLite {sqlite3.sqlite_version})")
    return 0
