"""Turns for user code: so many at once, and never all of them for one."""

from __future__ import annotations

import asyncio

import pytest

from runstead.tools.turns import Turns


class Bench:
    """Calls that run until they are let go, and who runs now."""

    def __init__(self, most: int) -> None:
        self.turns = Turns(most)
        self.running: list[str] = []
        self.let_go = asyncio.Event()

    async def call(self, owner: str) -> None:
        async with self.turns.turn(owner):
            self.running.append(owner)
            await self.let_go.wait()
            self.running.remove(owner)


async def settled() -> None:
    """Let everybody come as far as they can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_one_owner_never_has_all_of_them() -> None:
    """Another one's call runs at once, however many of the first wait; all come to their turn in the end."""
    bench = Bench(8)
    async with asyncio.TaskGroup() as group:
        for _ in range(20):
            group.create_task(bench.call("busy"))
        await settled()
        assert bench.running == ["busy"] * 6
        for _ in range(3):
            group.create_task(bench.call("other"))
        await settled()
        assert sorted(bench.running) == ["busy"] * 6 + ["other"] * 2
        bench.let_go.set()
    assert bench.running == []


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_few_turns_are_all_used(most: int) -> None:
    bench = Bench(most)
    async with asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(bench.call("one"))
        await settled()
        assert len(bench.running) == most
        bench.let_go.set()


async def test_who_gives_up_takes_no_turn() -> None:
    bench = Bench(1)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.call("one"))
        waiting = group.create_task(bench.call("two"))
        await settled()
        waiting.cancel()
        await settled()
        group.create_task(bench.call("three"))
        bench.let_go.set()
    assert bench.running == []
