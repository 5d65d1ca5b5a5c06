"""Changes that no run may be in the way of: what is not over is ended first, and again where a new run came meanwhile.

It decides nothing about the change itself, which says by `Busy` that a run is in its way.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from runstead.domain.actor import User
from runstead.domain.run import Run
from runstead.errors import Busy
from runstead.runs.cancel import Cancellation

ATTEMPTS_MAX = 10

Made = TypeVar("Made")


async def when_quiet(
    cancellation: Cancellation,
    user: User,
    active: Callable[[], Awaitable[Sequence[Run]]],
    change: Callable[[], Awaitable[Made]],
) -> Made:
    """End what is `active`, then make the change. Raises `Busy` where new runs come again and again."""
    for attempts_left in reversed(range(ATTEMPTS_MAX)):
        if found := await active():
            await cancellation.cancel_runs(user, [run.id for run in found])
        try:
            return await change()
        except Busy:  # a run was admitted meanwhile
            if not attempts_left:
                raise
    raise AssertionError("the last attempt returns or raises")
