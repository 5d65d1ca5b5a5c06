"""An agent whose model waits until it is let: what tests of a lane's line begin with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx
from tests.world import World, wait_until

from runstead.llm.scripted import Cue, ScriptedGateway, says
from runstead.llm.types import ModelRequest, TextDelta


@dataclass(slots=True)
class Held:
    """A model that says "so far " and waits, to every message that begins with "hold"; it echoes all others."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    gateway: ScriptedGateway = field(init=False)

    def __post_init__(self) -> None:
        self.gateway = ScriptedGateway(self._turn)

    @property
    def asked(self) -> list[str]:
        """The newest message of every question, in order."""
        return [request.messages[-1].text for request in self.gateway.requests]

    def _turn(self, request: ModelRequest) -> Iterable[Cue]:
        text = request.messages[-1].text
        if text.startswith("hold"):
            return [TextDelta("so far "), self.go, *says("and on.")]
        return says(f"You said {text}.")


async def held(w: World, model: Held, agent: str, text: str = "hold") -> str:
    """A run of this agent whose model has been asked and waits."""
    run_id = await w.begin(agent, text)
    await wait_until(lambda: text in model.asked, "the model being asked")
    return run_id


async def sent(w: World, agent: str, body: dict[str, Any], mode: str = "", **headers: str) -> httpx.Response:
    """Send a whole body to one of the three addresses: "", "/stream" or "/async"."""
    return await w.client.post(f"/v1/agents/{agent}/messages{mode}", json=body, headers=headers)


def saying(text: str, **more: object) -> dict[str, Any]:
    """A body with one message."""
    return {"messages": [{"role": "user", "content": text}], **more}
