"""`runstead runs approve` and `deny`: answer the tool calls that a run waits for. The answer makes a new run.

The API wants all waiting calls answered at once. What is not named is never let through: `approve --call` denies the
others, `deny --call` must name all.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING

from runstead.cli.client import ApiClient, connect
from runstead.cli.measures import waits
from runstead.cli.pending import pending
from runstead.cli.screen import json_line, note, printable
from runstead.errors import Conflict, Invalid
from runstead.ids import RandomIds

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState


def run(given: Namespace) -> int:
    """Answer; prints the id of the new run."""
    with connect(given) as client:
        found = client.run(given.run)
        if not waits(found):
            why = found["stop_reason"] or found["status"]
            raise Conflict(f"{found['id']} waits for no approval ({why}).")
        waiting = pending(client, found["id"])
        if not waiting:
            raise Conflict(f"{found['id']} was answered before; `runstead runs list` shows what came of it.")
        verdicts = decide([call.id for call in waiting], given.action == "approve", given.call)
        new = answer(client, found, verdicts, given.reason)
        if given.json:
            json_line(client.run(new))
            return 0
    for call in waiting:
        note(f"{'approved' if verdicts[call.id] else 'denied'} {printable(call.name)} ({call.id})")
    print(new)
    if sys.stdout.isatty():
        note(f"follow it with `runstead runs watch {new}`")
    return 0


def decide(waiting: Sequence[str], approve: bool, named: Sequence[str] | None) -> dict[str, bool]:
    """A verdict for each waiting call. Raises `Invalid` for a call that does not wait, and where one is left undecided."""
    chosen = set(named or waiting)
    if unknown := sorted(chosen - set(waiting)):
        raise Invalid(f"{unknown[0]} is no call that waits here; those are {', '.join(waiting)}.")
    if not approve and chosen != set(waiting):
        others = " ".join(f"--call {call}" for call in waiting if call not in chosen)
        raise Invalid(
            f"All calls are answered at once: deny all of them, or let the others through with `approve {others}`,"
            " which denies the rest."
        )
    return {call: approve and call in chosen for call in waiting}


def answer(client: ApiClient, asking: RunState, verdicts: dict[str, bool], reason: str | None) -> str:
    """Send the answer to what a run asks; gives the id of the run that it makes."""
    approvals = [
        {"type": "approval", "tool_call_id": call, "approve": approve, "reason": reason}
        for call, approve in verdicts.items()
    ]
    message = {"type": "approval", "approvals": approvals}
    return client.send(asking["agent_id"], message, RandomIds().uuid(), asking["conversation_id"])
