"""The neutral tongue between the loop and every provider: what is asked, and what comes back piece by piece.

Provider facts stay in the provider's file. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from runstead.domain.agent import ModelSettings
from runstead.domain.embedding import EmbeddingInfo as EmbeddingInfo
from runstead.domain.message import Message
from runstead.domain.step import Usage
from runstead.domain.tool import ToolSpec
from runstead.ids import UserId


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One question to a model.

    `model` is a handle, `provider/model`. `messages` are in the order of the conversation; the agent's prompt is `system`,
    and those of the role SYSTEM are what clients sent in between. Messages with a mark CANCELLED are plain history;
    ABANDONED ones are never given. `tools` may be empty. `user_id` is the actor whose own providers may be asked; None:
    those of the server alone.
    """

    model: str
    system: str
    messages: Sequence[Message]
    tools: tuple[ToolSpec, ...] = ()
    settings: ModelSettings = field(default_factory=ModelSettings)
    user_id: UserId | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """The next piece of the model's thoughts. `signature`, `redacted` and `provider` come with the piece that ends them."""

    text: str
    signature: str | None = None
    redacted: str | None = None
    provider: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class CallDelta:
    """A piece of a tool call. `index` tells calls of one answer apart; the first piece of each has `id` and `name`."""

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str | None = None
    provider: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Finish:
    """The last thing of every answer. `reason` is one of `stop`, `tool_calls`, `length`, `content_filter`, `error`.

    `retries`: how often the gateway had to ask again before this answer.
    """

    reason: str
    usage: Usage = field(default_factory=Usage)
    response_id: str | None = None
    retries: int = 0


Delta = TextDelta | ReasoningDelta | CallDelta | Finish


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that can be asked. `demo`: it is the demonstration that ships, no real model.

    `own_type` is the type of the actor's own provider that has it; None: the server's.
    """

    handle: str
    provider: str
    protocol: str
    name: str
    base_url: str | None = None
    context_window_tokens: int = 128_000
    output_tokens_max: int | None = None
    images: bool = False
    demo: bool = False
    own_type: str | None = None


class Gateway(Protocol):
    """Where models are asked.

    `stream` is an async generator: it yields deltas and, last, one `Finish`. It raises `ModelError` (see `errors`) for
    everything that the provider does wrong; before the first delta it retries what may help, with backoff. Cancelling the
    task that reads it, or `aclose()`, closes the connection to the provider at once.
    """

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """Ask, and yield what comes."""
        ...

    async def models(self) -> Sequence[ModelInfo]:
        """What the configured providers offer now, and the demonstration. A provider that does not answer is left out."""
        ...

    async def embeddings(self) -> Sequence[EmbeddingInfo]:
        """The embedding models among them."""
        ...

    def model(self, handle: str) -> ModelInfo | None:
        """What is known of one handle without asking anybody; None where its provider is not configured."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
