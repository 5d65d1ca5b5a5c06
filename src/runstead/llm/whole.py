"""An answer read to its end, for questions whose pieces nobody follows. What it is used for is its asker's business."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from runstead.llm.types import Delta, Finish, Gateway, ModelRequest, TextDelta


@dataclass(frozen=True, slots=True)
class SpokenAnswer:
    """What a model said, thoughts and calls left out, and how that ended."""

    text: str
    finish: Finish


async def whole_answer(gateway: Gateway, question: ModelRequest) -> SpokenAnswer:
    """Ask, and wait for the whole answer. Raises `ModelError`; being cancelled closes the connection."""
    text: list[str] = []
    finish = Finish("stop")
    stream = cast("AsyncGenerator[Delta, None]", gateway.stream(question))
    async with aclosing(stream) as deltas:
        async for delta in deltas:
            if isinstance(delta, TextDelta):
                text.append(delta.text)
            elif isinstance(delta, Finish):
                finish = delta
    return SpokenAnswer("".join(text).strip(), finish)
