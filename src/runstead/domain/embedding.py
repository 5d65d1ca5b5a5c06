"""Embeddings: text as a direction in a space of many dimensions, in which texts of like meaning lie near. Pure data."""

from __future__ import annotations

from dataclasses import dataclass

# Always of length 1, so that the distance of two says how unlike they are: 0 the same, 1.41 unrelated, 2 opposite.
Vector = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class EmbeddingInfo:
    """A model that turns text into a vector. `demo`: it ships, asks nobody, and knows spellings only, no meaning."""

    handle: str
    provider: str
    name: str
    base_url: str | None = None
    dimensions: int = 1536
    demo: bool = False


def embedding_named(handle: str | None) -> str | None:
    """The model that a client names; None where it leaves the choice to the server, as the reference's own names do."""
    return None if not handle or handle.startswith("letta/") else handle
