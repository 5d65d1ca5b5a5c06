"""What the gateway asks of one provider: the seam between routing and the protocols. It never retries and never waits.

A provider is asked under the model's bare name; handles (`provider/model`) are the gateway's. The one thing a reader
would get wrong: a provider raises `ModelError` for everything that happens on the network, and lets cancellation through.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Protocol

from runstead.ids import Ids
from runstead.llm.types import Delta, EmbeddingInfo, ModelInfo, ModelRequest
from runstead.outward.addresses import Reach
from runstead.settings import ProviderSettings

CONNECT_S_MAX = 10.0
# The gateway's limits come first; this one is for a connection that nobody reads any more.
READ_S_MAX = 900.0
# Other names under which clients of the API know a provider.
SAME_PROVIDERS = {
    "openai": "openai-proxy",
    "openai-proxy": "openai",
    "google_ai": "google",
    "lmstudio_openai": "lmstudio",
}


@dataclass(frozen=True, slots=True)
class Offer:
    """What a provider has: models that answer, and models that make vectors."""

    models: tuple[ModelInfo, ...] = ()
    embeddings: tuple[EmbeddingInfo, ...] = ()


class Provider(Protocol):
    """One place where models are asked."""

    def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        """Ask the model `name` once and yield what comes, a `Finish` last. Raises `ModelError`.

        Closing the generator, or cancelling who reads it, closes the connection at once.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...


class ProviderModule(Protocol):
    """A module that speaks one or more protocols; loaded when the first model of such a provider is asked."""

    def connect(self, provider: ProviderSettings, *, ids: Ids, reach: Reach | None = None) -> Provider:
        """A provider that has not opened a connection yet. `reach` says where it may connect to; None: anywhere."""
        ...


def found_in(providers: Mapping[str, ProviderSettings], handle: str) -> tuple[ProviderSettings | None, str]:
    """The provider that a handle means, also by its other name, and the model's own name; None where there is none."""
    prefix, _, name = handle.partition("/")
    provider = providers.get(prefix) or providers.get(SAME_PROVIDERS.get(prefix, ""))
    return (provider if name else None), name
