"""`runstead agents delete`: agents and their history, for good."""

from __future__ import annotations

from argparse import Namespace

from runstead.cli.client import connect
from runstead.cli.screen import cell, confirmed, json_line

REFUSED = 1


def run(given: Namespace) -> int:
    """Ask, then delete. Raises `NotFound` at the first unknown one, before anything is deleted."""
    with connect(given) as client:
        found = [client.agent_named(name) for name in given.agent]
        several = f"{len(found)} agents" if len(found) > 1 else f"{found[0]['name']!r} ({found[0]['id']})"
        if not confirmed(f"Delete {several} and all that was said, for good?", yes=given.yes):
            return REFUSED
        for agent in found:
            client.delete_agent(agent["id"])
            if given.json:
                json_line(agent)
            else:
                print(f"{cell(agent['name'])} ({agent['id']}) is deleted.")
    return 0
