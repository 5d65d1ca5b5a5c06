"""What a client asks for: a story with tools for the scripted model, and what a right transcript of it is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.serving import story

BLOCK = "notes"
TOOLS = ("memory_insert", "core_memory_append", "conversation_search")
BLOCK_CHARS_MAX = 100_000

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """One call that an answer asks for. `note` is the line that it leaves in the agent's memory, if any."""

    id: str
    name: str
    arguments: Json
    note: str | None


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer of the model, token by token."""

    reasoning: Sequence[str]
    text: Sequence[str]
    calls: Sequence[Call]
    pause_ms: float

    @property
    def act(self) -> Json:
        """What the story model is told."""
        calls = [{"id": c.id, "name": c.name, "arguments": c.arguments} for c in self.calls]
        return {"reasoning": self._paced(self.reasoning), "text": self._paced(self.text), "calls": calls}

    def _paced(self, tokens: Sequence[str]) -> list[str | Json]:
        acts: list[str | Json] = []
        for token in tokens:
            acts += [token, {"pause_ms": self.pause_ms}]
        return acts


@dataclass(frozen=True, slots=True)
class Tale:
    """A whole run: `key` is its idempotency key and stands in each of its tokens."""

    key: str
    turns: Sequence[Turn]

    @property
    def message(self) -> str:
        """What the user says."""
        return story(*(turn.act for turn in self.turns), mark=self.key)

    @property
    def notes(self) -> list[str]:
        """The lines that its calls leave in the agent's memory, each once."""
        return [call.note for turn in self.turns for call in turn.calls if call.note is not None]


def tale(random: Random, key: str) -> Tale:
    """Some answers with calls, and a last one without."""
    count = random.randint(1, 3)
    turns = [_turn(random, f"{key}-{n}", calls=random.randint(1, 2)) for n in range(count)]
    return Tale(key, (*turns, _turn(random, f"{key}-{count}", calls=0)))


def _turn(random: Random, name: str, calls: int) -> Turn:
    reasoning = [f"{name}r{n} " for n in range(random.choice((0, 0, 3, 8)))]
    text = [f"{name}t{n} " for n in range(random.choice((3, 10, 30, 60)))]
    return Turn(
        reasoning, text, [_call(random, f"{name}c{n}") for n in range(calls)], random.choice((0, 5, 30))
    )


def _call(random: Random, name: str) -> Call:
    tool = random.choice(TOOLS)
    if tool == "memory_insert":
        return Call(name, tool, {"label": BLOCK, "new_str": name}, name)
    if tool == "core_memory_append":
        return Call(name, tool, {"label": BLOCK, "content": name}, name)
    return Call(name, tool, {"query": "nobody said this"}, None)


def arguments_of(call: Call) -> str:
    """A call's arguments as the model writes them."""
    return json.dumps(call.arguments)
