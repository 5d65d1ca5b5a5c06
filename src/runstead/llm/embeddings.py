"""Where an embedding model's handle (`provider/model`) finds its provider, and how long it may take. Never asks twice.

Whoever wants vectors knows better whether to ask again: a search goes on without, the rest is made later. Loads no
library of a provider's: two small shapes of JSON are all that is needed (`embedding_wires`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from runstead.domain.embedding import EmbeddingInfo, Vector
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm import catalog, embedding_wires, failures, ngrams
from runstead.llm.http_stream import HttpOrigin
from runstead.llm.model_lists import origin_of, shown_url
from runstead.llm.provider import found_in
from runstead.settings import ProviderSettings, Settings

ANSWER_BYTES_MAX = 64 * 1024 * 1024
ASKED_AT_ONCE_MAX = 8


class ProviderEmbedder:
    """See `memory.embedder.Embedder`: every configured provider that makes vectors, and the one that ships."""

    def __init__(self, settings: Settings) -> None:
        self._settings = {each.name: each for each in settings.providers}
        self._origins: dict[str, HttpOrigin] = {}
        self._slots = asyncio.Semaphore(ASKED_AT_ONCE_MAX)

    def info(self, handle: str) -> EmbeddingInfo | None:
        """See `Embedder.info`."""
        if handle == ngrams.HANDLE:
            return ngrams.INFO
        provider, name = found_in(self._settings, handle)
        if provider is None or provider.kind not in embedding_wires.KINDS:
            return None
        return EmbeddingInfo(
            handle, provider.name, name, shown_url(provider.base_url), catalog.dimensions(name)
        )

    async def embed(
        self, handle: str, texts: Sequence[str], *, timeout_s: float, question: bool = False
    ) -> list[Vector]:
        """See `Embedder.embed`."""
        if handle == ngrams.HANDLE:
            return await asyncio.to_thread(lambda: [ngrams.embed(text) for text in texts])
        provider, name = found_in(self._settings, handle)
        if provider is None or provider.kind not in embedding_wires.KINDS:
            raise ModelError(
                ModelErrorKind.BAD_REQUEST,
                f"No configured provider makes vectors for {failures.redacted(handle)!r}. A handle is 'provider/model';"
                f" set a provider's key or base URL, or use {ngrams.HANDLE}.",
            )
        path, body = embedding_wires.question(provider.kind, name, texts, looked_for=question)
        try:
            async with asyncio.timeout(timeout_s), self._slots:
                answer = await self._send(provider, path, body)
        except TimeoutError:
            text = f"{provider.name} made no vectors within {timeout_s:g} s"
            raise ModelError(ModelErrorKind.TIMEOUT, text, cause="timeout") from None
        # In a thread: thousands of numbers are read one by one.
        return await asyncio.to_thread(embedding_wires.vectors, provider, answer, len(texts))

    def close(self) -> None:
        """Let go of every connection."""
        for origin in self._origins.values():
            origin.close()

    async def _send(self, provider: ProviderSettings, path: str, body: bytes) -> bytes:
        origin = self._origin(provider)
        answer = await origin.ask("POST", path, body, bytes_max=ANSWER_BYTES_MAX)
        if answer.status != 200:
            raise failures.from_status(
                provider.name,
                answer.status,
                answer.body,
                retry_after=answer.headers.get("retry-after"),
                key=origin.key,
            )
        return answer.body

    def _origin(self, provider: ProviderSettings) -> HttpOrigin:
        if provider.name not in self._origins:
            self._origins[provider.name] = origin_of(provider)
        return self._origins[provider.name]
