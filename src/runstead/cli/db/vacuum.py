"""`runstead db vacuum`: give unused space back to the disk."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.folder import settings_of
from runstead.cli.measures import size
from runstead.cli.screen import json_line, progress
from runstead.store import upkeep


def run(given: Namespace) -> int:
    """Do it. Raises `Invalid` for Postgres, `CannotStart` where it cannot be done now."""
    url = settings_of(given).database
    with progress("rewriting (bytes)", None) as move:
        before, after = upkeep.vacuum(url, move)
    if given.json:
        json_line({"before_bytes": before, "after_bytes": after})
    else:
        print(f"{size(before)} -> {size(after)}.")
    return 0
