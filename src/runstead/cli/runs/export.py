"""`runstead runs export`: all that is known of a run, as one JSON document."""

from __future__ import annotations

import sys
from argparse import Namespace
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from runstead import __version__
from runstead.cli.client import ApiClient, connect
from runstead.cli.measures import FINAL
from runstead.cli.screen import note, progress
from runstead.clock import SystemClock
from runstead.errors import CannotStart, Gone, Unavailable

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

Json = dict[str, Any]
NOT_BACKGROUND = (
    "the run was not started in the background, so its events can be read by nobody but who sent it"
)
NOT_KEPT = "the events of this run are no longer kept"


def run(given: Namespace) -> int:
    """Write the document."""
    with connect(given) as client:
        found = client.run(given.run)
        events, why = _events(client, found)
        messages = client.messages(found["id"])
        document = {
            "exported_at": SystemClock().now().isoformat(timespec="seconds"),
            "exported_by": f"runstead {__version__}",
            "run": found,
            "messages": messages,
            "steps": client.steps(found["id"]),
            "events": events,
            "events_missing_because": why,
        }
    body = orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    if given.out is None:
        sys.stdout.buffer.write(body)
        return 0
    _write(given.out, body)
    note(f"{given.out} has {len(messages)} messages and {len(events or ())} events")
    return 0


def _events(client: ApiClient, found: RunState) -> tuple[list[Json] | None, str | None]:
    """The run's events as far as they are durable, or why there are none."""
    if not found["background"]:
        return None, NOT_BACKGROUND
    ended = found["status"] in FINAL
    last = found.get("last_seq_id")
    events: list[Json] = []
    try:
        with closing(client.events(found["id"], 0)) as stream, progress("events", last) as move:
            for event in stream:
                if event is None:
                    return events, None
                events.append(event.body)
                move(event.seq)
                if not ended and event.seq >= (last or 0):
                    return events, None
    except Gone:
        return None, NOT_KEPT
    raise Unavailable("The server stopped in the middle of the events; export the run again when it is back.")


def _write(path: Path, body: bytes) -> None:
    """Raises `CannotStart` where the file cannot be written."""
    try:
        path.write_bytes(body)
    except OSError as error:
        raise CannotStart(
            f"{path} cannot be written ({error.strerror}); choose another file with --out."
        ) from error
