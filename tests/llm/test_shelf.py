"""Kept connections: one for a key, the newest kept, and nothing closed under who asks."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from runstead.llm.shelf import ProviderShelf
from runstead.llm.types import Delta, ModelRequest, TextDelta


class Connected:
    """A provider that knows whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    async def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        yield TextDelta(request.model + name)

    async def close(self) -> None:
        self.closed = True


class Bench:
    """A shelf, and what was connected for it."""

    def __init__(self, kept_max: int = 2) -> None:
        self.shelf = ProviderShelf(kept_max)
        self.made: list[Connected] = []

    async def connect(self) -> Connected:
        self.made.append(Connected())
        return self.made[-1]

    async def ask(self, owner: str, key: str) -> object:
        async with self.shelf.use(owner, key, self.connect) as provider:
            return provider


async def test_a_connection_is_used_again() -> None:
    bench = Bench()
    assert await bench.ask("p", "k") is await bench.ask("p", "k")
    assert len(bench.made) == 1


async def test_another_key_takes_the_place_of_the_old_one() -> None:
    """What was connected with the old one is closed once nobody asks it any more."""
    bench = Bench()
    async with bench.shelf.use("p", "old", bench.connect) as old:
        async with bench.shelf.use("p", "new", bench.connect) as new:
            assert new is not old
        assert not bench.made[0].closed
    assert [each.closed for each in bench.made] == [True, False]
    await bench.ask("p", "newer")
    assert [each.closed for each in bench.made] == [True, True, False]


async def test_the_longest_unused_goes_first_and_who_is_asked_stays() -> None:
    bench = Bench(kept_max=2)
    async with bench.shelf.use("asked", "asked", bench.connect):
        for owner in ("a", "b", "a", "c"):
            await bench.ask(owner, owner)
        assert [each.closed for each in bench.made] == [False, False, True, False]
    assert [each.closed for each in bench.made] == [False, True, True, False]


async def test_forgetting_waits_for_who_asks() -> None:
    bench = Bench()
    await bench.ask("other", "other")
    async with bench.shelf.use("p", "k", bench.connect):
        await bench.shelf.forget("p")
        assert not bench.made[1].closed
    assert [each.closed for each in bench.made] == [False, True]
    await bench.shelf.close()
    assert all(each.closed for each in bench.made)
