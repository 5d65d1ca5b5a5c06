"""Waiting for a run's end by reading its log: the answer of a request that does not stream is the log, folded.

A waiter is a reader like any other: its going away changes nothing for the run.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import orjson

from runstead.errors import Unavailable
from runstead.events.log import EventLog, Kind, Reader
from runstead.ids import RunId


@dataclass(slots=True)
class Outcome:
    """A run's whole log as JSON texts: its messages in order, why it ended, what it used, and its error if it had one."""

    messages: list[bytes] = field(default_factory=list)
    stop: bytes = b"null"
    usage: bytes = b"null"
    error: bytes | None = None


async def outcome(log: EventLog, run_id: RunId) -> Outcome:
    """Read a run's log to its end. Messages of attempts that were given up are left out."""
    reader = await log.reader(run_id, 0, lingers=True)
    try:
        return await _folded(reader, run_id)
    finally:
        reader.leave()


async def _folded(reader: Reader, run_id: RunId) -> Outcome:
    found = Outcome()
    superseded: set[str] = set()
    while not reader.ended:
        entries = await reader.next(timeout_s=None)
        if not entries and reader.released:
            raise Unavailable(
                f"The server is stopping; the run goes on when it is back. Read it at /v1/runs/{run_id}.",
                run_id=run_id,
            )
        for entry in entries:
            match entry.kind:
                case Kind.MESSAGE:
                    found.messages.append(entry.data)
                case Kind.PING:
                    superseded |= _superseded(entry.data)
                case Kind.ERROR:
                    found.error = entry.data
                case Kind.STOP:
                    found.stop = entry.data
                case Kind.USAGE:
                    found.usage = entry.data
    if superseded:
        found.messages = [m for m in found.messages if orjson.loads(m)["id"] not in superseded]
    return found


def _superseded(ping: bytes) -> set[str]:
    if b"superseded_message_ids" not in ping:
        return set()
    return set(orjson.loads(ping)["superseded_message_ids"])
