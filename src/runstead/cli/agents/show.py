"""`runstead agents show`: what an agent is made of."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, cast

from runstead.cli.client import connect
from runstead.cli.measures import moment
from runstead.cli.received import calls_of
from runstead.cli.screen import cell, json_line, printable

Json = dict[str, Any]


def run(given: Namespace) -> int:
    """Say it."""
    with connect(given) as client:
        agent = client.agent_named(given.agent)
    if given.json:
        json_line(agent)
        return 0
    facts = [
        ("agent", f"{agent['name']} ({agent['id']})"),
        ("model", agent["model"] or "-"),
        ("tools", ", ".join(tool["name"] or "" for tool in agent["tools"]) or "none"),
        ("messages", str(len(agent["message_ids"] or []))),
        ("last run", agent["last_stop_reason"] or "none yet"),
    ]
    for name, value in facts:
        print(f"{name:<10} {cell(value)}")
    if agent["pending_approval"] is not None:
        asked = cast("Json", agent["pending_approval"])
        for call in calls_of(asked):
            print(f"{'waits for':<10} {cell(call.name)}({cell(call.arguments)})")
        if asked.get("expires_at"):
            print(f"{'until':<10} {moment(asked['expires_at']):%Y-%m-%d %H:%M}Z")
        print(f"{'next':<10} runstead runs approve {asked.get('run_id')} (or deny)")
    for block in agent["blocks"]:
        print(f"\n[{cell(block['label'])}]\n{printable(block['value'])}")
    return 0
