"""Chores: what a server does for ever beside its runs. What goes wrong with one is logged, and ends nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

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
