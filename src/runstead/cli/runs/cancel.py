"""`runstead runs cancel`: end runs that are not over."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.client import connect
from runstead.cli.screen import json_line

FAILED = 1


def run(given: Namespace) -> int:
    """End them, one after the other; 1 where one had ended before. Raises `NotFound` at the first unknown one."""
    code = 0
    with connect(given) as client:
        # All are looked up first: a typing error in the last id ends nothing.
        for found in [client.run(run_id) for run_id in given.run]:
            became = client.cancel(found)
            status = client.run(found["id"])["status"]
            if became != "cancelled":
                code = FAILED
            if given.json:
                json_line({"id": found["id"], "cancelled": became == "cancelled", "status": status})
            elif became == "cancelled":
                print(f"{found['id']} is cancelled.")
            else:
                print(f"{found['id']} had ended before: {status}.")
    return code
