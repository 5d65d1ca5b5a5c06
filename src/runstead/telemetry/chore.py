"""Chores: what a server does for ever beside its runs. What goes wrong with one is logged, and ends nothing.

A chore ends when it is cancelled. Who cancels one that speaks to Redis does so until it has ended: a library that is just
connecting takes a cancel for a timeout, which is a failure as any other here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from structlog.typing import FilteringBoundLogger

from runstead.errors import Unavailable


async def for_ever(
    telling: FilteringBoundLogger,
    chore: str,
    once: Callable[[], Awaitable[object]],
    pause: Callable[[], Awaitable[object]],
) -> None:
    """Do something again and again, with a pause wherever there was nothing to do (a false answer) or it went wrong.

    What cannot be reached is a warning: it waits, and is done later. Anything else is an error with its traceback.
    """
    while True:
        busy: object = False
        try:
            busy = await once()
        except Unavailable as error:
            telling.warning("chore waits", chore=chore, error=error.detail)
        except Exception as error:  # noqa: BLE001 - the next time finds the same work, which the store keeps
            telling.error("chore failed", chore=chore, exc_info=error)
        if not busy:
            await pause()


async def every(
    seconds: float, telling: FilteringBoundLogger, chore: str, once: Callable[[], Awaitable[object]]
) -> None:
    """Do something now and every so many seconds, whatever comes of it."""

    async def idly() -> None:
        await once()

    await for_ever(telling, chore, idly, partial(asyncio.sleep, seconds))


async def came(event: asyncio.Event, within_s: float) -> bool:
    """Wait for an event, so long at the most. Whether it came."""
    try:
        async with asyncio.timeout(within_s):
            return await event.wait()
    except TimeoutError:
        return False
