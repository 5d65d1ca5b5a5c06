"""`runstead agents list`: agents, newest first, as a table, as lines or as JSON."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from runstead.cli.client import connect
from runstead.cli.measures import age
from runstead.cli.screen import json_line, table
from runstead.clock import SystemClock
from runstead.errors import Invalid

HEAD = ("ID", "NAME", "MODEL", "LAST RUN", "ENDED", "AGE")


def run(given: Namespace) -> int:
    """List them."""
    if given.limit < 1:
        raise Invalid("--limit must be at least 1.")
    with connect(given) as client:
        found = list(client.agents(given.limit, name=given.name))
    if given.json:
        for agent in found:
            json_line(agent)
        return 0
    table(HEAD, [_row(agent) for agent in found], right=("LAST RUN", "AGE"))
    return 0


def _row(agent: Any) -> tuple[str, ...]:
    now = SystemClock().now()
    ended = agent["last_run_completion"]
    return (
        agent["id"],
        agent["name"],
        agent["model"] or "-",
        age(ended, now) if ended else "-",
        agent["last_stop_reason"] or "-",
        age(agent["created_at"], now),
    )
