"""`runstead db status`: which database, its schema's version, its size, its rows."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

from runstead.cli.folder import settings_of
from runstead.cli.measures import size
from runstead.cli.screen import json_line, table
from runstead.store.upkeep import Stand, stand_of

NOT_CURRENT = 1


def run(given: Namespace) -> int:
    """Say it; 1 where it is not current."""
    stand = stand_of(settings_of(given).database)
    if given.json:
        json_line({**asdict(stand), "current": stand.current})
    else:
        print(f"{stand.kind} at {stand.place}\nschema   {told(stand)}")
        print(f"size     {size(stand.bytes)}, of which {size(stand.unused_bytes)} unused")
        if stand.rows:
            print()
            table(
                ("TABLE", "ROWS"), [(name, str(count)) for name, count in stand.rows.items()], right=("ROWS",)
            )
    return 0 if stand.current else NOT_CURRENT


def told(stand: Stand) -> str:
    """The schema's version, and what to do where it is another one than this version's."""
    if stand.version is None:
        return "not made yet; `runstead serve` or `runstead db migrate` makes it"
    if stand.current:
        return f"{stand.version}, current"
    if stand.version > stand.head:
        return f"{stand.version}, newer than this Runstead knows ({stand.head}): use the newer one"
    return f"{stand.version}, behind {stand.head}; `runstead db migrate` makes it current"
