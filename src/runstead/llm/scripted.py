"""A gateway that says what it is told to: the fake that ships, for tests and for trying out what is built on models.

It asks nobody. A script is a list of turns, one for each question, or a function of the question. An `asyncio.Event` in a
turn stops the answer until it is set, an exception ends it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

from runstead.domain.step import Usage
from runstead.llm.types import (
    CallDelta,
    Delta,
    EmbeddingInfo,
    Finish,
    ModelInfo,
    ModelRequest,
    ReasoningDelta,
    TextDelta,
)

Cue = Delta | asyncio.Event | Exception
Turn = Iterable[Cue]
Script = Sequence[Turn] | Callable[[ModelRequest], Turn]

INFO = ModelInfo("scripted/model", "scripted", "scripted", "model")


class ScriptedGateway:
    """See `types.Gateway`. `requests` are the questions so far, `hung_up` how many answers nobody heard to the end."""

    def __init__(self, script: Script = (), *, models: Sequence[ModelInfo] = (INFO,)) -> None:
        self._script = script
        self._models = tuple(models)
        self._next = 0
        self.requests: list[ModelRequest] = []
        self.hung_up = 0
        self.closed = False

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta]:
        """The next turn. A turn without a `Finish` is given one; a question after the last turn is an `AssertionError`."""
        turn = self._turn(request)
        reason = "stop"
        over = False
        try:
            for cue in turn:
                if isinstance(cue, asyncio.Event):
                    await cue.wait()
                    continue
                if isinstance(cue, Exception):
                    over = True
                    raise cue
                over = isinstance(cue, Finish)
                yield cue
                if over:
                    return
                if isinstance(cue, CallDelta):
                    reason = "tool_calls"
            over = True
            yield Finish(reason, Usage(1, 1))
        finally:
            self.hung_up += not over

    async def models(self) -> Sequence[ModelInfo]:
        """The models it was made with."""
        return self._models

    async def embeddings(self) -> Sequence[EmbeddingInfo]:
        """None."""
        return ()

    def model(self, handle: str) -> ModelInfo | None:
        """One of its models, or one made up for any other handle with a provider."""
        for info in self._models:
            if info.handle == handle:
                return info
        provider, _, name = handle.partition("/")
        return ModelInfo(handle, provider, "scripted", name) if name else None

    async def close(self) -> None:
        """Say that it was closed, in `closed`."""
        self.closed = True

    def _turn(self, request: ModelRequest) -> Turn:
        self.requests.append(request)
        if callable(self._script):
            return self._script(request)
        assert self._next < len(self._script), f"the script has only {len(self._script)} turns"
        self._next += 1
        return self._script[self._next - 1]


def says(text: str, *, thought: str = "", usage: Usage | None = None) -> list[Cue]:
    """A turn that says `text` word by word, after a thought if there is one."""
    cues: list[Cue] = [ReasoningDelta(thought)] if thought else []
    cues += [TextDelta(word) for word in _words(text)]
    return [*cues, Finish("stop", usage or Usage(10, len(cues)))]


def calls(*asked: tuple[str, str], text: str = "", usage: Usage | None = None) -> list[Cue]:
    """A turn that calls tools, each given by name and JSON arguments; ids are `call-1`, `call-2`, ….

    A turn after the first in one conversation needs ids of its own: write its `CallDelta`s out.
    """
    cues: list[Cue] = [TextDelta(text)] if text else []
    for index, (name, arguments) in enumerate(asked):
        cues += [CallDelta(index, f"call-{index + 1}", name), CallDelta(index, arguments=arguments)]
    return [*cues, Finish("tool_calls", usage or Usage(10, len(cues)))]


def _words(text: str) -> list[str]:
    pieces = text.split(" ")
    return [piece + " " for piece in pieces[:-1]] + ([pieces[-1]] if pieces[-1] else [])
