"""A run in this process's hands: what was claimed, the pen for its log, and the one way to interrupt it.

The engine makes a hold and may interrupt it; the loop works under it. An interrupt is told once, and only wakes the work:
what becomes of the run is the loop's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any, TypeVar

from runstead.domain.run import Run
from runstead.events.log import Journal

T = TypeVar("T")


class Interrupt(StrEnum):
    """Why work on a run must stop."""

    CANCEL = "cancel"  # somebody wants the run to end
    HAND_OVER = "hand over"  # this process stops; another goes on
    LOST = "lost"  # the run has another owner


class Interrupted(Exception):
    """Work was interrupted; `why` says what for."""

    def __init__(self, why: Interrupt) -> None:
        self.why = why
        super().__init__(why.value)


class Hold:
    """One claimed run. `run` is replaced as commits change it."""

    def __init__(self, run: Run, journal: Journal) -> None:
        self.run = run
        self.journal = journal
        self._why: asyncio.Future[Interrupt] = asyncio.get_running_loop().create_future()

    def interrupt(self, why: Interrupt) -> None:
        """Wake the work and tell it why to stop; a second call changes nothing."""
        if not self._why.done():
            self._why.set_result(why)

    @property
    def interrupted(self) -> Interrupt | None:
        """Why it must stop, or None."""
        return self._why.result() if self._why.done() else None

    def check(self) -> None:
        """Raise `Interrupted` where work must stop."""
        if (why := self.interrupted) is not None:
            raise Interrupted(why)

    async def work(self, what: Coroutine[Any, Any, T]) -> T:
        """Do `what` until it is done or interrupted; then it is cancelled, waited for, and `Interrupted` is raised."""
        task = asyncio.get_running_loop().create_task(what)
        try:
            await asyncio.wait({task, self._why}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
        if task.cancelled() or isinstance(task.exception(), asyncio.CancelledError):
            raise Interrupted(self.interrupted or Interrupt.HAND_OVER)
        return task.result()
