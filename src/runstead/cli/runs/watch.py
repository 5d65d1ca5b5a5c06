"""`runstead runs watch`: follow a run to its end; the exit code is how it ended. Leaving does not end the run."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Collection
from typing import TYPE_CHECKING

from runstead.cli.client import ApiClient, connect
from runstead.cli.following import Following
from runstead.cli.measures import WAITING, outcome_code
from runstead.cli.pending import pending
from runstead.cli.runs.show import error_of
from runstead.cli.screen import note
from runstead.cli.telling import View, ending, view_for
from runstead.errors import Invalid, RunsteadError

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

LEFT = 130


def run(given: Namespace) -> int:
    """Follow it."""
    if given.after < 0:
        raise Invalid("--after wants the number of an event, or 0 for all of them.")
    with connect(given) as client:
        found = client.run(given.run)
        after = last_known(found) if given.tail else given.after
        return watch(client, found, after, given.patience, view_for(as_json=given.json))


def last_known(found: RunState) -> int:
    """The number of the newest event of what a run has finished. Raises `Invalid` for a server that does not say."""
    if "last_seq_id" not in found:
        raise Invalid("This server does not say where its runs are; watch it without --tail.")
    return found["last_seq_id"]


def watch(
    client: ApiClient,
    found: RunState,
    after: int,
    patience_s: float,
    view: View,
    *,
    silent: Collection[int] = (),
) -> int:
    """Show a run from an event on to its end; gives its outcome as an exit code, or 130 where the person left.

    Of the outcomes in `silent` nothing is said.
    """

    def tell(text: str) -> None:
        view.close()
        note(text)

    following = Following(client, found, after, tell, patience_s)
    errors = False
    try:
        for event in following.events():
            errors = errors or event.kind == "error_message"
            view.event(event)
        view.close()
        ended = client.run(found["id"])
    except KeyboardInterrupt:
        view.close()
        back = f"runstead runs watch {found['id']} --after {following.last}"
        note(f"you left; the run goes on. `{back}` comes back, `runstead runs cancel {found['id']}` ends it")
        return LEFT
    except RunsteadError:
        view.close()
        raise
    if not errors and (error := error_of(ended)) is not None:
        note(error)
    code = outcome_code(ended)
    if code not in silent:
        note(ending(ended, asks=code == WAITING and bool(pending(client, ended["id"]))))
    return code
