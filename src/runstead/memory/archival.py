"""What a search of archival memory finds: by words, and by meaning where an embedding model is configured.

The one way for the agent's tool and for every route, so that they find the same. Two orders become one by the reciprocals of
the ranks: scores of different kinds cannot be compared, ranks can. A model that is away costs a search its meaning and at
most `QUESTION_S` seconds, never its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from runstead.domain.embedding import EmbeddingInfo, Vector, embedding_named
from runstead.errors import ModelError
from runstead.ids import UserId
from runstead.memory.embedder import TEXT_CHARS_MAX, Embedder, NoEmbedder
from runstead.store import passages, vectors
from runstead.store.database import Database
from runstead.store.passages import FoundPassage, PassageFilter
from runstead.telemetry import log

QUESTION_S = 5.0
# How many of each order are fused at least, and how much a first place counts more than those after it.
FUSED_MIN = 50
RANK_SOFTENER = 60
# A search over archives of more models than this finds the rest by words.
MODELS_ASKED_MAX = 4

_log = log("memory")


class ArchivalMemory:
    """Searches archival memory. `default` is the model of archives that have none of their own."""

    def __init__(self, embedder: Embedder | None = None, *, default: str | None = None) -> None:
        self.embedder = embedder or NoEmbedder()
        self.default = embedding_named(default)
        # What makes vectors waits for this, and then looks at all passages where a model was changed.
        self.work = asyncio.Event()
        self.changed = False

    def written(self) -> None:
        """Say that passages were written."""
        self.work.set()

    def model_changed(self) -> None:
        """Say that archives may have another model now, so that vectors that were there may be missing."""
        self.changed = True
        self.work.set()

    def model(self, handle: str | None) -> EmbeddingInfo | None:
        """The model that an archive or an agent with this handle has; None where it is found by words alone."""
        named = embedding_named(handle) or self.default
        return None if named is None else self.embedder.info(named)

    async def search(
        self, db: Database, user_id: UserId, words: str, where: PassageFilter, limit: int
    ) -> list[FoundPassage]:
        """The best matches, the best first; the newest passages, where nothing is asked for.

        How long an outage is waited out is for `db` to say.
        """
        if not words.strip():
            return await db.read(passages.search_passages, user_id, words, where, limit)
        found = await db.read(vectors.models_searched, user_id, where, self.default)
        models = [each for each in found if self.embedder.info(each) is not None][:MODELS_ASKED_MAX]
        if not models:
            return await db.read(passages.search_passages, user_id, words, where, limit)
        questions = await asyncio.gather(*(self._question(model, words) for model in models))
        asked = [each for each in questions if each is not None]
        orders = await db.read(vectors.orders, user_id, words, asked, where, max(limit, FUSED_MIN))
        return fused(orders, limit) if len(orders) > 1 else orders[0][:limit]

    async def _question(self, model: str, words: str) -> tuple[str, Vector] | None:
        """A model with the vector of what is asked; None where it does not say it."""
        try:
            (vector,) = await self.embedder.embed(
                model, [words[:TEXT_CHARS_MAX]], timeout_s=QUESTION_S, question=True
            )
        except ModelError as error:
            _log.warning("searching by words only", model=model, reason=error.detail)
            return None
        return model, vector


def fused(orders: Sequence[Sequence[FoundPassage]], limit: int) -> list[FoundPassage]:
    """One order of several: what stands high in more of them comes first. Scores are sums of reciprocal ranks."""
    scores: dict[str, float] = {}
    found: dict[str, FoundPassage] = {}
    for order in orders:
        for rank, each in enumerate(order, 1):
            scores[each.passage.id] = scores.get(each.passage.id, 0.0) + 1.0 / (RANK_SOFTENER + rank)
            found.setdefault(each.passage.id, each)
    best = sorted(found, key=lambda passage_id: -scores[passage_id])
    return [replace(found[each], score=scores[each]) for each in best[:limit]]
