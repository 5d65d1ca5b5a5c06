"""A response that follows a run: what is left of it when its client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from starlette.responses import StreamingResponse
from tests.events.bench import LogBench, LogPlace

from runstead.api.stream import Feed, response, retold
from runstead.clock import ManualClock
from runstead.events.log import Reader
from runstead.ids import CountingIds, RunId

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LogBench]:
    """A log over a store of its own."""
    made = await LogBench.open(LogPlace.in_folder(tmp_path))
    yield made
    await made.close()


def plain(reader: Reader, run_id: RunId, feed: Feed) -> StreamingResponse:
    """The answer of a run's stream."""
    return response(reader, run_id, 0, feed)


def pieces(reader: Reader, run_id: RunId, feed: Feed) -> StreamingResponse:
    """The answer of a chat completion."""
    return retold(reader, run_id, feed, lambda entry: [entry.data])


@pytest.mark.parametrize("answer", [plain, pieces])
async def test_a_client_that_leaves_leaves_nothing_behind(
    bench: LogBench, answer: Callable[[Reader, RunId, Feed], StreamingResponse]
) -> None:
    """The cancel of its response is kept, as its traceback would be until the collector comes; its events are not."""
    run_id = await bench.new_run()
    _run, journal = await bench.claim(run_id)
    told = answer(
        await bench.log.reader(run_id, 0, lingers=True), run_id, Feed(ManualClock(), CountingIds(), 60.0)
    )
    first = asyncio.Event()
    kept: list[BaseException] = []

    async def follow() -> None:
        try:
            async for _ in told.body_iterator:
                first.set()
        except asyncio.CancelledError as error:
            kept.append(error)

    following = asyncio.create_task(follow())
    await first.wait()
    following.cancel()
    await following
    assert kept[0].__traceback__ is not None
    del journal

    assert (await bench.log.sizes())["tapes"] == 0
