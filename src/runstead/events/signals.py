"""Word from one process to all others that a run is wanted to end. Only a hint: the wish itself is in the store.

A hint that is lost costs time, nothing else: an owner reads of the wish when it renews its lease.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Protocol

from runstead.errors import Unavailable
from runstead.ids import RunId

if TYPE_CHECKING:
    from runstead.events.hot import HotStreams

CHANNEL = "runstead:ending"


class Signals(Protocol):
    """How processes hear of each other's wishes."""

    async def tell(self, run_id: RunId) -> None:
        """Let the run's owner know, wherever it is."""
        ...

    def heard(self) -> AsyncGenerator[RunId]:
        """What others tell, for ever."""
        ...


class NoSignals:
    """There is no other process."""

    async def tell(self, run_id: RunId) -> None:
        """Nobody is there to hear it."""

    async def heard(self) -> AsyncGenerator[RunId]:
        """Nothing, for ever."""
        await asyncio.Event().wait()
        yield RunId("")


class RedisSignals:
    """By Redis, to whoever listens at that moment."""

    def __init__(self, hot: HotStreams) -> None:
        self._hot = hot

    async def tell(self, run_id: RunId) -> None:
        """Let everybody know. Where Redis is away, nobody learns it so."""
        if self._hot.up:
            try:
                await self._hot.tell(CHANNEL, run_id)
            except Unavailable:
                return

    async def heard(self) -> AsyncGenerator[RunId]:
        """What others tell."""
        async for text in self._hot.listen(CHANNEL):
            yield RunId(text)
