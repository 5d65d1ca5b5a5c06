"""The tool calls that a run waits to be answered for, as the API shows them. Answers nothing."""

from __future__ import annotations

from runstead.cli.client import ApiClient
from runstead.cli.received import ShownCall, calls_of
from runstead.errors import NotFound


def pending(client: ApiClient, run_id: str) -> list[ShownCall]:
    """The calls of this run that wait for a person, whichever history it is in."""
    try:
        asked = client.asked(run_id)
    except NotFound:  # the run was deleted, and its question with it
        return []
    return [] if asked is None else calls_of(asked)
