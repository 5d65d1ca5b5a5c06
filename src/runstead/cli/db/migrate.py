"""`runstead db migrate`: bring the database to this version's schema."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.folder import make_folder, settings_of
from runstead.cli.screen import json_line, progress
from runstead.store.migrate import HEAD, migrate
from runstead.store.upkeep import shown, stand_of


def run(given: Namespace) -> int:
    """Do it. Raises `CannotStart` where it cannot be done; then nothing has changed."""
    settings = settings_of(given)
    make_folder(settings)
    before = stand_of(settings.database).version
    with progress("making the database current", None):
        migrate(settings.database)
    if given.json:
        json_line({"before": before, "after": HEAD, "changed": before != HEAD})
    elif before == HEAD:
        print(f"{shown(settings.database)} is current ({HEAD}).")
    else:
        print(f"{shown(settings.database)}: {before or 'nothing'} -> {HEAD}.")
    return 0
