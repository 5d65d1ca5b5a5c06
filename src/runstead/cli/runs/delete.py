"""`runstead runs delete`: runs and their events, for good."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.client import connect
from runstead.cli.screen import confirmed, json_line

REFUSED = 1


def run(given: Namespace) -> int:
    """Ask, then delete. Raises `NotFound` at the first unknown one, before anything is deleted."""
    with connect(given) as client:
        found = [client.run(run_id) for run_id in given.run]
        several = f"{len(found)} runs" if len(found) > 1 else f"{found[0]['id']} ({found[0]['status']})"
        if not confirmed(f"Delete {several} for good?", yes=given.yes):
            return REFUSED
        for each in found:
            deleted = client.delete_run(each["id"])
            if given.json:
                json_line(deleted)
            else:
                print(f"{deleted['id']} is deleted.")
    return 0
