"""`runstead/demo`, the model that ships: no key, no network, no intelligence. It shows what a server does, honestly.

What it answers is decided by `demo_answers`; here it is said, word by word. The same question always has the same answer.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator

from runstead.domain.agent_type import SEND_MESSAGE
from runstead.domain.message import Message
from runstead.domain.step import Usage
from runstead.ids import Ids
from runstead.llm.demo_answers import Call, answer_to
from runstead.llm.types import CallDelta, Delta, Finish, ModelInfo, ModelRequest, ReasoningDelta, TextDelta

PROVIDER = "runstead"
HANDLE = "runstead/demo"
INFO = ModelInfo(HANDLE, PROVIDER, "demo", "demo", context_window_tokens=128_000, demo=True)
TOKEN_S = 0.015

_PIECES = re.compile(r"\S+\s*|\s+")


class DemoModel:
    """The demonstration. `token_s` seconds pass before each word; `pause` is how they pass."""

    def __init__(
        self,
        ids: Ids,
        *,
        token_s: float = TOKEN_S,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ids = ids
        self._token_s = token_s
        self._pause = pause

    async def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        """See `Provider.stream`. `name` is not looked at: there is one demonstration."""
        del name
        answer = answer_to(request)
        said = 0
        if request.settings.thinking:
            for word in _PIECES.findall(answer.thought):
                await self._pause(self._token_s)
                said += 1
                yield ReasoningDelta(word)
        thought = said
        spoken = answer.text
        made = list(answer.calls)
        if spoken and any(tool.name == SEND_MESSAGE for tool in request.tools):
            made.append(Call(SEND_MESSAGE, {"message": spoken}))
            spoken = ""
        for word in _PIECES.findall(spoken):
            await self._pause(self._token_s)
            said += 1
            yield TextDelta(word)
        for index, call in enumerate(made):
            for delta in self._pieces(index, call):
                await self._pause(self._token_s)
                said += 1
                yield delta
        reason = "tool_calls" if made else "stop"
        yield Finish(reason, Usage(_words(request), said, reasoning_tokens=thought))

    async def close(self) -> None:
        """Nothing to let go of."""

    def _pieces(self, index: int, call: Call) -> Iterator[Delta]:
        yield CallDelta(index, f"call_{self._ids.uuid()}", call.name)
        for piece in _PIECES.findall(json.dumps(call.arguments, ensure_ascii=False)):
            yield CallDelta(index, arguments=piece)


def _words(request: ModelRequest) -> int:
    return len(request.system.split()) + sum(_message_words(message) for message in request.messages)


def _message_words(message: Message) -> int:
    result = message.tool_return
    called = sum(1 + len(call.arguments.split()) for call in message.tool_calls)
    return len(message.text.split()) + called + (len(result.text.split()) if result else 0)
