"""All runs of an actor at once, live: how many there are, and a stream of what becomes of them. Extensions of this server.

A page that shows runs needs one connection for it, whatever it shows. The feed has no numbers: who comes back lists anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Literal, NotRequired

import orjson
from fastapi import Response
from typing_extensions import TypedDict

from runstead.api import stream
from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.runs import summed
from runstead.api.services import Services
from runstead.api.wire.paging import asked
from runstead.api.wire.runs import CountsState, RunQuery, RunState, counts_state
from runstead.errors import Gone
from runstead.ids import UserId
from runstead.runs.feed import RunChange
from runstead.store import runs

router = v1_router("runs")

# How long a stopping server may be kept waiting by a reader whom nothing happens to.
LOOK_UP_S = 1.0


class FeedEvent(TypedDict):
    """What a feed says: it begins, a run is new or changed, a run is gone, changes were missed, or nothing happened."""

    message_type: Literal["feed_opened", "run_changed", "run_deleted", "feed_reset", "ping"]
    run_id: NotRequired[str]
    run: NotRequired[RunState]


@router.get("/runs/counts")
@answers(CountsState)
async def count_runs(query: Annotated[RunQuery, asked(RunQuery)], caller: Caller, parts: Parts) -> Response:
    """Count the runs that a list with these filters would hold, by status."""
    return Json(counts_state(await parts.db.read(runs.count_runs, caller.user.id, query.filter())))


@router.get("/runs/feed")
@answers(FeedEvent)
async def follow_runs(caller: Caller, parts: Parts) -> Response:
    """Follow all runs of the caller as server-sent events: each is told of as it is made, changes, ends or is deleted.

    It begins with `feed_opened`; runs listed after that, and the changes told of since, are the whole truth. At
    `feed_reset` list again. What a run says is not told here but by its own stream.
    """
    return stream.messages(_told(parts, caller.user.id))


async def _told(parts: Services, user_id: UserId) -> AsyncIterator[bytes | None]:
    feed = parts.feeds.enter(user_id)
    try:
        after = await feed.begin()
        yield _OPENED
        silent_s = 0.0
        while not parts.feeds.released:
            try:
                after, changes = await feed.next(after, LOOK_UP_S)
            except Gone:
                after = await feed.begin()
                yield _RESET
                continue
            for text in await _changes(parts, changes):
                yield text
            silent_s = 0.0 if changes else silent_s + LOOK_UP_S
            if silent_s >= parts.settings.keepalive_s:
                silent_s = 0.0
                yield _PING
        yield None
    finally:
        parts.feeds.leave(user_id)


async def _changes(parts: Services, changes: Sequence[RunChange]) -> list[bytes]:
    there = [(change.run, change.summary) for change in changes if change.run is not None]
    told = [
        {"message_type": "run_changed", "run_id": state["id"], "run": state}
        for state in await summed(parts, there)
    ]
    gone = [
        {"message_type": "run_deleted", "run_id": change.run_id} for change in changes if change.run is None
    ]
    return [orjson.dumps(each) for each in (*told, *gone)]


_OPENED = orjson.dumps({"message_type": "feed_opened"})
_RESET = orjson.dumps({"message_type": "feed_reset"})
_PING = orjson.dumps({"message_type": "ping"})
