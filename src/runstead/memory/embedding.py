"""Makes the vectors that are missing, behind everybody's back: writing a passage waits for no model, and fails by none.

What is missing is found by a query, so nothing is forgotten by a restart. Batches are claimed for a time, so that several
processes share the work; who dies with one lets it go. A model that is away is asked again after a pause that grows; a text
that a model refuses is given to it cut short, and then left for a day. It never touches a passage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from runstead.clock import Clock
from runstead.domain.embedding import Vector
from runstead.errors import ModelError, ModelErrorKind, Unavailable
from runstead.ids import PassageId
from runstead.memory.archival import ArchivalMemory
from runstead.memory.embedder import BATCH_MAX, TEXT_CHARS_MAX
from runstead.store import vectors
from runstead.store.database import Database
from runstead.store.vectors import Waiting
from runstead.telemetry import log

BATCH_S = 60.0
CLAIM = timedelta(seconds=180)
# How often all passages are looked at: for models that changed, and for what other processes wrote or left.
LOOK_S = 30.0
PAUSE_FIRST_S = 2.0
PAUSE_MAX_S = 300.0
CUT_CHARS = 1_000
REFUSED_FOR = timedelta(days=1)
# Long ago on every process's clock.
AT_ONCE = datetime(1970, 1, 1, tzinfo=UTC)
# So many texts refused in a row are the model's trouble rather than theirs.
REFUSED_MAX = 3
_REFUSALS = {ModelErrorKind.BAD_REQUEST, ModelErrorKind.CONTEXT_WINDOW}

_log = log("memory")


@dataclass(slots=True)
class _Pause:
    """A model that is away: when it is asked again, and how often it was asked in vain."""

    until_s: float = 0.0
    failures: int = 0


class Embedding:
    """The work of one process."""

    def __init__(self, db: Database, memory: ArchivalMemory, clock: Clock) -> None:
        self._db = db
        self._memory = memory
        self._embedder = memory.embedder
        self._clock = clock
        self._pauses: dict[str, _Pause] = {}
        self._seen = 0

    async def run(self) -> None:
        """Make what is missing, now and whenever something is written, for ever."""
        everything = True
        while True:
            self._memory.work.clear()
            self._memory.changed = False
            try:
                await self.sweep(everything=everything)
            except Unavailable as error:
                _log.warning("chore waits", chore="vectors", error=error.detail)
            except Exception as error:  # noqa: BLE001 - the next sweep finds the same passages
                _log.error("making vectors failed", exc_info=error)
            try:
                async with asyncio.timeout(self._wait_s()):
                    await self._memory.work.wait()
                everything = self._memory.changed
            except TimeoutError:
                everything = True

    async def sweep(self, *, everything: bool = True) -> int:
        """Make all vectors that are missing now, or those of passages behind the last one seen. Gives how many."""
        made = 0
        for model in await self._db.read(vectors.models_used, self._memory.default):
            if self._embedder.info(model) is None or self._paused(model):
                continue
            after = 0 if everything else self._seen
            while batch := await self._next(model, after):
                after = batch[-1].position
                self._seen = max(self._seen, after)
                made += await self._take(model, batch)
                if self._paused(model):
                    break
        return made

    async def _next(self, model: str, after: int) -> list[Waiting]:
        now = self._clock.now()
        return await self._db.read(vectors.missing, model, self._memory.default, now, after, BATCH_MAX)

    async def _take(self, model: str, batch: Sequence[Waiting]) -> int:
        """Claim a batch and make its vectors. Gives how many were made."""
        now = self._clock.now()
        ids = [each.id for each in batch]
        try:
            taken = await self._db.write(vectors.claim, ids, model, now, now + CLAIM)
            return await self._make(model, [each for each in batch if each.id in taken])
        except asyncio.CancelledError:
            # The server stops: who starts next need not wait for the claim's end.
            await self._db.write(vectors.put_off, ids, model, AT_ONCE)
            raise

    async def _make(self, model: str, batch: Sequence[Waiting]) -> int:
        """Make a batch's vectors. What could not be made is missing again, at once or later."""
        if not batch:
            return 0
        try:
            made = await self._ask(model, [each.text[:TEXT_CHARS_MAX] for each in batch])
        except ModelError as error:
            if error.kind in _REFUSALS:
                return await self._make_alone(model, batch)
            await self._give_up(model, batch, error)
            return 0
        await self._keep(model, {each.id: vector for each, vector in zip(batch, made)})
        return len(batch)

    async def _make_alone(self, model: str, batch: Sequence[Waiting]) -> int:
        """Find out which texts of a refused batch the model does not take."""
        kept = refused = 0
        for number, each in enumerate(batch):
            try:
                await self._keep(model, {each.id: await self._cut(model, each.text)})
            except ModelError as error:
                if error.kind not in _REFUSALS:
                    await self._give_up(model, batch[number:], error)
                    return kept
                refused += 1
                until = self._clock.now() + REFUSED_FOR
                await self._db.write(vectors.put_off, [each.id], model, until)
                _log.warning("passage refused", passage_id=each.id, model=model, reason=error.detail)
                if refused == REFUSED_MAX:
                    await self._give_up(model, batch[number + 1 :], error)
                    return kept
            else:
                kept, refused = kept + 1, 0
        return kept

    async def _cut(self, model: str, text: str) -> Vector:
        """The vector of a text, or of its beginning, where all of it is too much."""
        try:
            (vector,) = await self._ask(model, [text[:TEXT_CHARS_MAX]])
        except ModelError as error:
            if error.kind not in _REFUSALS or len(text) <= CUT_CHARS:
                raise
            (vector,) = await self._ask(model, [text[:CUT_CHARS]])
        return vector

    async def _ask(self, model: str, texts: Sequence[str]) -> list[Vector]:
        return await self._embedder.embed(model, texts, timeout_s=BATCH_S)

    async def _keep(self, model: str, made: dict[PassageId, Vector]) -> None:
        await self._db.write(vectors.keep, model, made)
        self._pauses.pop(model, None)

    async def _give_up(self, model: str, batch: Sequence[Waiting], error: ModelError) -> None:
        """Let go of a batch, and leave the model alone for a while."""
        pause = self._pauses.setdefault(model, _Pause())
        pause_s = min(PAUSE_FIRST_S * 2.0**pause.failures, PAUSE_MAX_S)
        pause.failures += 1
        pause.until_s = self._now_s() + pause_s
        _log.warning("embedding model away", model=model, reason=error.detail, again_in_s=pause_s)
        await self._db.write(vectors.put_off, [each.id for each in batch], model, AT_ONCE)

    def _paused(self, model: str) -> bool:
        return model in self._pauses and self._pauses[model].until_s > self._now_s()

    def _wait_s(self) -> float:
        """Seconds until something is to be done though nothing was written."""
        ends = [pause.until_s - self._now_s() for pause in self._pauses.values()]
        return max(0.1, min([LOOK_S, *ends]))

    def _now_s(self) -> float:
        return self._clock.monotonic_ns() / 1e9
