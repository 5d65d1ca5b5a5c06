"""Who may run user code now: so many at once, and of one actor never all of them.

So an actor whose calls hang does not keep everybody else's from running. Waiting is in the order of coming.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class _Share:
    """What one actor may have at once, and how many of its calls run or wait."""

    turns: asyncio.Semaphore
    asking: int = 0


class Turns:
    """At most `most` at once, three quarters of them (rounded up) for one owner."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all = asyncio.Semaphore(most)
        self._shares: dict[str, _Share] = {}

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncGenerator[None]:
        """Wait for a turn, and have it."""
        share = self._shares.get(owner)
        if share is None:
            share = self._shares[owner] = _Share(asyncio.Semaphore(self._most - self._most // 4))
        share.asking += 1
        try:
            async with share.turns, self._all:
                yield
        finally:
            share.asking -= 1
            if not share.asking:
                del self._shares[owner]
