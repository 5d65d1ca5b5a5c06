"""`runstead runs list`: runs, newest first, as a table, as lines or as JSON."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from runstead.cli.client import ApiClient, connect
from runstead.cli.measures import age, duration_of, expires, tokens_of
from runstead.cli.screen import json_line, table
from runstead.clock import SystemClock
from runstead.errors import Invalid

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

HEAD = ("ID", "STATUS", "WHY", "AGENT", "AGE", "TOOK", "TOKENS", "EXPIRES", "INPUT")
RIGHT = ("AGE", "TOOK", "TOKENS", "EXPIRES")


def run(given: Namespace) -> int:
    """List them."""
    if given.limit < 1:
        raise Invalid("--limit must be at least 1.")
    with connect(given) as client:
        show(client, given)
    return 0


def show(client: ApiClient, given: Namespace) -> None:
    """List them over this connection."""
    agent_id = client.agent_named(given.agent)["id"] if given.agent else None
    runs = client.runs(
        given.limit,
        agent_id=agent_id,
        statuses=given.status,
        active=given.active or None,
        conversation_id=given.conversation,
        stop_reason=given.stop_reason,
        asking=given.asking or None,
        include=None if given.json else "runstead.summary",
    )
    if given.json:
        for each in runs:
            json_line(each)
        return
    found = list(runs)
    names = client.names({each["agent_id"] for each in found})
    table(HEAD, rows(found, names, SystemClock().now()), right=RIGHT)


def rows(runs: list[RunState], names: Mapping[str, str], now: datetime) -> list[tuple[str, ...]]:
    """Runs as rows of `HEAD`."""
    return [
        (
            each["id"],
            each["status"],
            each["stop_reason"] or "-",
            names.get(each["agent_id"], each["agent_id"]),
            age(each["created_at"], now),
            duration_of(each, now),
            tokens_of(each),
            expires(each, now),
            _input(each),
        )
        for each in runs
    ]


def _input(found: RunState) -> str:
    """The first words of what was said to it."""
    summary = found.get("summary")
    return (summary["input"] if summary else None) or "-"
