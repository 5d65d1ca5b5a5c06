"""`runstead db backup`: a copy of the database, made while it is used."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.folder import settings_of
from runstead.cli.measures import size
from runstead.cli.screen import json_line, progress
from runstead.store import upkeep


def run(given: Namespace) -> int:
    """Make it. Raises `Invalid` for Postgres, `CannotStart` where it cannot be made."""
    url = settings_of(given).database
    with progress("copying (bytes)", upkeep.files_bytes(upkeep.sqlite_path(url))) as move:
        made = upkeep.backup(url, given.file, move)
    if given.json:
        json_line({"file": str(given.file), "bytes": made, "check": "ok"})
    else:
        print(f"{given.file} is a whole copy ({size(made)}), checked.")
    return 0
