"""Connections to actors' own providers, kept for the next question. Who is being asked is never put away.

At most KEPT_MAX that nobody asks are kept, the newest ones. What was put away while somebody asked it is closed afterwards.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from runstead.llm.provider import Provider

KEPT_MAX = 64


@dataclass(slots=True)
class _Held:
    """A connected provider, whose it is, and how many ask it."""

    owner: str
    provider: Provider
    asking: int = 0
    away: bool = False


class ProviderShelf:
    """Connected providers by what they were connected with. `owner` groups those of one provider."""

    def __init__(self, kept_max: int = KEPT_MAX) -> None:
        self._kept_max = kept_max
        self._held: dict[object, _Held] = {}
        self._connecting = asyncio.Lock()

    @asynccontextmanager
    async def use(
        self, owner: str, key: object, connect: Callable[[], Awaitable[Provider]]
    ) -> AsyncGenerator[Provider]:
        """The provider that was connected with this key, connected now if there is none."""
        async with self._connecting:
            held = self._held.pop(key, None)
            if held is None:
                # It was changed: what was connected with its old key is of no more use.
                await self.forget(owner)
                held = _Held(owner, await connect())
            self._held[key] = held
        held.asking += 1
        try:
            yield held.provider
        finally:
            held.asking -= 1
            if not held.away:
                # The newest stands last.
                self._held[key] = self._held.pop(key, held)
            await self._close_what_is_over(held)

    async def forget(self, owner: str) -> None:
        """Let go of one provider's connections: it was changed or deleted."""
        for held in self._put_away(owner):
            await self._close_what_is_over(held)

    async def close(self) -> None:
        """Let go of all of them."""
        held, self._held = list(self._held.values()), {}
        for each in held:
            each.away = True
            await each.provider.close()

    def _put_away(self, owner: str) -> list[_Held]:
        gone = [key for key, held in self._held.items() if held.owner == owner]
        away = [self._held.pop(key) for key in gone]
        for held in away:
            held.away = True
        return away

    async def _close_what_is_over(self, used: _Held) -> None:
        over = [used] if used.away and not used.asking else []
        idle = [key for key, held in self._held.items() if not held.asking]
        over += [self._held.pop(key) for key in idle[: max(0, len(idle) - self._kept_max)]]
        for held in over:
            await held.provider.close()
