"""Tool calls that run side by side: all are begun at once, and none outlives the step that asked for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from runstead.domain.message import ToolCall
from runstead.domain.tool import ToolOutcome

# What comes of calls that are under way, by the call's id.
Begun = Mapping[str, "asyncio.Task[ToolOutcome]"]


@dataclass(frozen=True, slots=True)
class Spent:
    """When a call ran, by the monotonic clock in nanoseconds, and how it ended."""

    began_ns: int
    ended_ns: int
    status: str


@asynccontextmanager
async def side_by_side(
    run: Callable[[ToolCall], Coroutine[Any, Any, ToolOutcome]], calls: Sequence[ToolCall]
) -> AsyncGenerator[Begun]:
    """Begin every call; at the end, those that are still under way are cancelled and waited for."""
    ended_by: BaseException | None = None
    async with asyncio.TaskGroup() as group:
        begun = {call.id: group.create_task(run(call)) for call in calls}
        try:
            yield begun
        except BaseException as error:  # noqa: BLE001 - raised again below, as it is: the group would wrap it
            ended_by = error
        finally:
            for task in begun.values():
                task.cancel()
    if ended_by is not None:
        raise ended_by
