"""Missing vectors are made: in batches, once, whoever dies and whatever a model refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW
from tests.template import put_database
from tests.world import wait_for

from runstead.clock import ManualClock
from runstead.domain.archive import Archive, Passage
from runstead.domain.embedding import EmbeddingInfo, Vector
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import DEFAULT_USER, ArchiveId, PassageId
from runstead.memory.archival import ArchivalMemory
from runstead.memory.embedder import BATCH_MAX, TEXT_CHARS_MAX
from runstead.memory.embedding import CLAIM, CUT_CHARS, PAUSE_MAX_S, REFUSED_FOR, Embedding
from runstead.store import actors, archives, passages, vectors
from runstead.store.sqlite import SqliteDatabase

ARCHIVE = ArchiveId("archive-1")
MODEL = "it/embed"


class ToldEmbedder:
    """Makes the same vector of every text, and fails as it is told. `asked` are the texts of each question."""

    def __init__(self) -> None:
        self.away = False
        self.refused: set[str] = set()
        self.chars_max = TEXT_CHARS_MAX
        self.asked: list[Sequence[str]] = []

    def info(self, handle: str) -> EmbeddingInfo | None:
        return EmbeddingInfo(handle, "it", "embed") if handle.startswith("it/") else None

    async def embed(
        self, handle: str, texts: Sequence[str], *, timeout_s: float, question: bool = False
    ) -> list[Vector]:
        del handle, timeout_s, question
        self.asked.append(texts)
        if self.away:
            raise ModelError(ModelErrorKind.UNREACHABLE, "it is away")
        if any(text in self.refused or len(text) > self.chars_max for text in texts):
            raise ModelError(ModelErrorKind.BAD_REQUEST, "no")
        return [(1.0, 0.0) for _ in texts]


@pytest.fixture
async def db(tmp_path: Path) -> AsyncGenerator[SqliteDatabase]:
    """A store with an empty archive."""
    made = SqliteDatabase(put_database(tmp_path / "memory.db"))

    def fill(conn: Connection) -> None:
        actors.ensure_defaults(conn, NOW)
        archives.insert_archive(conn, Archive(ARCHIVE, DEFAULT_USER, "notes", NOW, NOW, embedding=MODEL))

    await made.write(fill)
    yield made
    await made.close()


async def put(db: SqliteDatabase, *texts: str) -> None:
    """Write passages down."""
    rows = [
        Passage(PassageId(f"passage-{text[:40]}"), DEFAULT_USER, ARCHIVE, text, NOW, NOW) for text in texts
    ]
    await db.write(passages.put_passages, rows)


async def count(db: SqliteDatabase) -> int:
    """How many passages have a vector."""
    return await db.read(vectors.vector_count, DEFAULT_USER, ARCHIVE)


def process(db: SqliteDatabase, embedder: ToldEmbedder, clock: ManualClock) -> Embedding:
    """The work of a process that has just started."""
    return Embedding(db, ArchivalMemory(embedder), clock)


async def test_everything_is_made_in_batches(db: SqliteDatabase) -> None:
    """Once; a second pass finds nothing to do."""
    embedder, clock = ToldEmbedder(), ManualClock()
    await put(db, *(f"{number:03}" for number in range(BATCH_MAX + 3)))
    work = process(db, embedder, clock)

    assert await work.sweep() == BATCH_MAX + 3
    assert [len(texts) for texts in embedder.asked] == [BATCH_MAX, 3]
    assert await work.sweep() == 0
    await put(db, "new")
    assert await work.sweep(everything=False) == 1
    assert await count(db) == BATCH_MAX + 4


async def test_a_model_that_is_away_is_asked_again_later(db: SqliteDatabase) -> None:
    """Not at once, and not more and more; a new process asks at once."""
    embedder, clock = ToldEmbedder(), ManualClock()
    embedder.away = True
    await put(db, "a", "b")
    work = process(db, embedder, clock)

    for _ in range(12):
        assert await work.sweep() == 0
        assert await work.sweep() == 0, "asked again without a pause"
        clock.advance(PAUSE_MAX_S + 1)
    assert len(embedder.asked) == 12
    embedder.away = False
    assert await process(db, embedder, clock).sweep() == 2


async def test_what_a_dead_process_had_claimed_is_made_by_another(db: SqliteDatabase) -> None:
    """After the time of its claim, not before: two processes do not ask for the same."""
    embedder, clock = ToldEmbedder(), ManualClock()
    await put(db, "a")
    await db.write(vectors.claim, [PassageId("passage-a")], MODEL, clock.now(), clock.now() + CLAIM)

    assert await process(db, embedder, clock).sweep() == 0
    clock.advance((CLAIM + timedelta(seconds=1)).total_seconds())
    assert await process(db, embedder, clock).sweep() == 1


async def test_a_refused_text_stops_no_other(db: SqliteDatabase) -> None:
    """It is left for a day; one that is only too long is cut."""
    embedder, clock = ToldEmbedder(), ManualClock()
    embedder.refused, embedder.chars_max = {"bad"}, CUT_CHARS
    await put(db, "a", "bad", "b", "x" * TEXT_CHARS_MAX * 2)

    assert await process(db, embedder, clock).sweep() == 3
    assert max(len(text) for texts in embedder.asked for text in texts) == TEXT_CHARS_MAX
    embedder.refused = set()
    clock.advance(3600)
    assert await process(db, embedder, clock).sweep() == 0
    clock.advance(REFUSED_FOR.total_seconds())
    assert await process(db, embedder, clock).sweep() == 1


async def test_a_model_that_refuses_everything_is_left_alone(db: SqliteDatabase) -> None:
    """As one whose name is wrong: it is not asked once for each of many passages."""
    embedder, clock = ToldEmbedder(), ManualClock()
    texts = [f"{number:03}" for number in range(BATCH_MAX * 2)]
    embedder.refused = set(texts)
    await put(db, *texts)

    await process(db, embedder, clock).sweep()

    assert len(embedder.asked) == 4


async def test_a_model_that_nobody_offers_is_not_asked(db: SqliteDatabase) -> None:
    """Its passages wait, without a row that says so."""
    embedder, clock = ToldEmbedder(), ManualClock()
    await put(db, "a")
    await db.write(archives.update_archive, DEFAULT_USER, ARCHIVE, {"embedding": "gone/embed"}, NOW)

    assert await process(db, embedder, clock).sweep() == 0
    assert embedder.asked == []


async def test_what_is_written_is_made_soon(db: SqliteDatabase) -> None:
    """Who writes says so, and need not wait for the next look at everything."""
    embedder, clock = ToldEmbedder(), ManualClock()
    memory = ArchivalMemory(embedder)
    working = asyncio.create_task(Embedding(db, memory, clock).run())
    try:
        await put(db, "a")
        memory.written()

        async def made() -> bool:
            return await count(db) == 1

        await wait_for(made, "the vector")
    finally:
        working.cancel()
        await asyncio.wait({working})
