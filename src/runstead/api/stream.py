"""The only file that writes SSE: a reader of the log becomes the body of an HTTP response, frame by frame.

Each event's frame is made once and shared by all its readers. All that is ready goes out in one write. Silence is filled
with pings that move no cursor. When the server stops, the response ends in order and says to come back: a client that
re-attaches with its last number loses nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson
from starlette.responses import StreamingResponse

from runstead.api.wire.events import ping_json
from runstead.clock import Clock
from runstead.domain.event import Ping
from runstead.errors import Gone
from runstead.events.log import Entry, Kind, Reader
from runstead.ids import Ids, RunId
from runstead.telemetry import Meter

DONE = b"data: [DONE]\n\n"
COME_BACK = b"retry: 1000\n\n"
FRAMES_PER_WRITE_MAX = 512

_HEADERS = {
    "cache-control": "no-cache, no-transform",
    "x-accel-buffering": "no",
    "connection": "keep-alive",
}


@dataclass(frozen=True, slots=True)
class Feed:
    """How one client wants to be told: with pings or without, and how long silence may last."""

    clock: Clock
    ids: Ids
    keepalive_s: float
    include_pings: bool = True
    batch_max: int = FRAMES_PER_WRITE_MAX
    meter: Meter = field(default_factory=Meter)


def response(reader: Reader, run_id: RunId, after: int, feed: Feed) -> StreamingResponse:
    """A streaming answer that follows a run from number `after` on to its end."""
    return StreamingResponse(
        _followed(reader, frames(reader, run_id, after, feed), feed.meter),
        media_type="text/event-stream",
        headers={**_HEADERS, "x-run-id": run_id},
    )


async def _followed(reader: Reader, told: AsyncIterator[bytes], meter: Meter) -> AsyncIterator[bytes]:
    """The same frames, while one more response is open; at its end, whatever that is, the reader leaves."""
    meter.move("runstead_streams_open", 1)
    try:
        async for joined in told:
            yield joined
    finally:
        meter.move("runstead_streams_open", -1)
        reader.leave()


async def frames(reader: Reader, run_id: RunId, after: int, feed: Feed) -> AsyncIterator[bytes]:
    """The frames of a run's events after number `after`; `[DONE]` is last wherever the run has ended."""
    seen = after
    while not reader.ended:
        try:
            entries = await reader.next(timeout_s=feed.keepalive_s)
        except Gone:
            return  # swept under a very slow reader: an end without [DONE] says that events are missing
        if entries:
            seen = entries[-1].seq
            for joined in _writes(entries, feed):
                yield joined
        elif reader.released and not reader.ended:
            yield COME_BACK
            return
        elif feed.include_pings and not reader.ended:
            yield _keepalive(run_id, seen, feed)
    yield DONE


def messages(source: AsyncIterator[bytes | None]) -> StreamingResponse:
    """A streaming answer of JSON texts without numbers, each a frame; None ends it and tells the reader to come back."""
    return StreamingResponse(_messages(source), media_type="text/event-stream", headers=_HEADERS)


async def _messages(source: AsyncIterator[bytes | None]) -> AsyncIterator[bytes]:
    async for text in source:
        if text is None:
            yield COME_BACK
            return
        yield b"data: %b\n\n" % text


def _writes(entries: Sequence[Entry], feed: Feed) -> Iterator[bytes]:
    """What is ready, in writes of a bounded number of frames."""
    for start in range(0, len(entries), feed.batch_max):
        if joined := _joined(entries[start : start + feed.batch_max], feed.include_pings):
            yield joined


def _joined(entries: Sequence[Entry], include_pings: bool) -> bytes:
    return b"".join(
        [entry.frame or _framed(entry) for entry in entries if include_pings or entry.kind is not Kind.PING]
    )


def _framed(entry: Entry) -> bytes:
    name = b"event: error\n" if entry.kind is Kind.ERROR else b""
    entry.frame = b"id: %d\n%bdata: %b\n\n" % (entry.seq, name, entry.data)
    return entry.frame


def _keepalive(run_id: RunId, seen: int, feed: Feed) -> bytes:
    """A ping that is no event of the log: it has no `id`, and its `seq_id` is the last number the client saw."""
    ping = Ping("ping-" + feed.ids.uuid(), feed.clock.now())
    return b"data: " + orjson.dumps(ping_json(ping, run_id, seen)) + b"\n\n"


def retold(
    reader: Reader, run_id: RunId, feed: Feed, tell: Callable[[Entry], list[bytes]]
) -> StreamingResponse:
    """A streaming answer in another dialect: `tell` gives the JSON texts of each event. There is no re-attaching to it."""
    return StreamingResponse(
        _followed(reader, _retold(reader, feed, tell), feed.meter),
        media_type="text/event-stream",
        headers={**_HEADERS, "x-run-id": run_id},
    )


async def _retold(reader: Reader, feed: Feed, tell: Callable[[Entry], list[bytes]]) -> AsyncIterator[bytes]:
    while not reader.ended:
        try:
            entries = await reader.next(timeout_s=feed.keepalive_s)
        except Gone:
            return
        if entries:
            if texts := [text for entry in entries for text in tell(entry)]:
                yield b"".join(b"data: %b\n\n" % text for text in texts)
        elif reader.released and not reader.ended:
            return
        elif feed.include_pings and not reader.ended:
            yield b": still there\n\n"
    yield DONE
