"""Chores go on, whatever happens to them, and pause where there is nothing to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
import structlog
from structlog.testing import capture_logs

from runstead.errors import Unavailable
from runstead.telemetry.chore import came, every, for_ever


class Over(BaseException):
    """Ends what is for ever."""


async def test_a_chore_pauses_only_where_there_was_nothing_to_do() -> None:
    """What waits is a warning, what broke an error; both are tried again after a pause."""
    said: list[str] = []
    answers: list[Callable[[], bool]] = [lambda: True, lambda: False, _away, _broken, lambda: True]

    async def once() -> bool:
        if not answers:
            raise Over
        said.append("once")
        return answers.pop(0)()

    async def pause() -> None:
        said.append("pause")

    with capture_logs() as logs:
        try:
            await for_ever(structlog.get_logger(), "callbacks", once, pause)
        except Over:
            said.append("over")

    assert said == ["once", "once", "pause", "once", "pause", "once", "pause", "once", "over"]
    assert [(line["log_level"], line["event"], line["chore"]) for line in logs] == [
        ("warning", "chore waits", "callbacks"),
        ("error", "chore failed", "callbacks"),
    ]


async def test_a_chore_can_be_cancelled() -> None:
    """In its pause, and at once."""

    async def once() -> bool:
        return False

    task = asyncio.create_task(for_ever(structlog.get_logger(), "files", once, asyncio.Event().wait))
    await asyncio.sleep(0)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=10)
    assert done == {task}
    assert task.cancelled()


async def test_what_is_done_every_so_often_pauses_whatever_comes_of_it() -> None:
    """A true answer too is followed by the pause; so is a failure, which is told by the chore's name."""
    done: list[str] = []

    async def once() -> bool:
        done.append("once")
        if len(done) == 2:
            raise Unavailable("PostgreSQL is away.")
        if len(done) == 3:
            raise Over
        return True

    with capture_logs() as logs, pytest.raises(Over):
        await every(0, structlog.get_logger(), "renew", once)
    assert [(line["event"], line["chore"]) for line in logs] == [("chore waits", "renew")]

    done.clear()
    task = asyncio.create_task(every(3600, structlog.get_logger(), "renew", once))
    for _ in range(20):
        await asyncio.sleep(0)
    assert done == ["once"]
    task.cancel()
    await asyncio.wait([task], timeout=10)


async def test_an_event_is_waited_for_so_long_and_no_longer() -> None:
    event = asyncio.Event()
    assert not await came(event, 0.001)
    event.set()
    assert await came(event, 60)


def _away() -> bool:
    raise Unavailable("PostgreSQL is away.")


def _broken() -> bool:
    raise ValueError("a bug")
