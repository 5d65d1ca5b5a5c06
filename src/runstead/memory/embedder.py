"""What archival memory asks of whoever makes vectors. Who that is, is wired elsewhere; nothing here asks anybody."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from runstead.domain.embedding import EmbeddingInfo, Vector
from runstead.errors import ModelError, ModelErrorKind

# A batch has at most so many texts; a model is given the beginning of each, and most read no more than some 8,000 tokens.
BATCH_MAX = 32
TEXT_CHARS_MAX = 6_000


class Embedder(Protocol):
    """Makes vectors of length 1, one for each text, in their order."""

    def info(self, handle: str) -> EmbeddingInfo | None:
        """What is known of a model without asking anybody; None where nobody here can ask it."""
        ...

    async def embed(
        self, handle: str, texts: Sequence[str], *, timeout_s: float, question: bool = False
    ) -> list[Vector]:
        """The vectors of at most BATCH_MAX texts. `question`: they are what is looked for, not what is looked through.

        Raises `ModelError` for everything that goes wrong, also where it takes longer than `timeout_s` seconds.
        """
        ...


class NoEmbedder:
    """Knows no model: archival memory is found by its words."""

    def info(self, handle: str) -> EmbeddingInfo | None:
        """None."""
        del handle
        return None

    async def embed(
        self, handle: str, texts: Sequence[str], *, timeout_s: float, question: bool = False
    ) -> list[Vector]:
        """Raises `ModelError`: nobody can be asked."""
        del texts, timeout_s, question
        raise ModelError(ModelErrorKind.BAD_REQUEST, f"No provider is configured for {handle!r}.")
