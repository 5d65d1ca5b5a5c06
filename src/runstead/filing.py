"""Reading the files that came: each is made text, cut into passages, and then there to be searched.

What is not read yet stands in the store, so it survives a restart. Several processes share the work: a file is leased for
an attempt, whose writes are refused once another attempt has begun. A file is completed with its last passages, and is not
found before; where it cannot be read, its row says why.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from functools import partial

from runstead.clock import Clock
from runstead.domain.archive import Passage, PieceOf
from runstead.domain.file_text import Chunk, chunks_of, count_lines
from runstead.domain.folder import StoredFile
from runstead.ids import PassageId, stable_id
from runstead.memory.archival import ArchivalMemory
from runstead.store import files
from runstead.store.database import Database
from runstead.store.files import DueFile
from runstead.store.folders import archive_in
from runstead.telemetry import log
from runstead.telemetry.chore import came, for_ever
from runstead.tools.reader import READ_S, DocumentReader, Unreadable

POLL_S = 1.0
FILES_AT_ONCE = 2
ATTEMPTS_MAX = 5
CHUNKS_PER_COMMIT = 200
LEASE = timedelta(seconds=2 * READ_S)
# Passages of one file have times that differ, so that lists keep the order of the text.
APART = timedelta(microseconds=1)

_log = log("files")


class Filing:
    """Reads what is due."""

    def __init__(self, db: Database, reader: DocumentReader, memory: ArchivalMemory, clock: Clock) -> None:
        self._db = db
        self._reader = reader
        self._memory = memory
        self._clock = clock
        self._came = asyncio.Event()

    def wake(self) -> None:
        """A file came: look at once."""
        self._came.set()

    async def run(self) -> None:
        """Read for ever."""
        await for_ever(_log, "files", self.read_due, partial(came, self._came, POLL_S))

    async def read_due(self) -> bool:
        """Try some of what is due once. Whether there was something."""
        self._came.clear()
        due = await self._db.read(files.due, self._clock.now(), FILES_AT_ONCE)
        await asyncio.gather(*(self._take(each) for each in due))
        return bool(due)

    async def _take(self, due: DueFile) -> None:
        now = self._clock.now()
        file = await self._db.write(files.lease, due, now + LEASE, now)
        if file is None:
            return
        attempt = due.attempts + 1
        try:
            if attempt > ATTEMPTS_MAX:
                raise Unreadable(f"It was given up: {ATTEMPTS_MAX} times the server ended while it was read.")
            await self._read(file, attempt)
        except Unreadable as why:
            await self._db.write(files.give_up, file, attempt, str(why), self._clock.now())

    async def _read(self, file: StoredFile, attempt: int) -> None:
        text = await self._db.read(files.read_text, file.id)
        chunks: list[Chunk]
        if text is None:
            body = await self._db.read(files.body_of, file.id)
            if body is None:
                return  # another attempt is further already, or the file was deleted
            text = await self._reader.text_of(file.original_name, file.kind, body)
            chunks = await asyncio.to_thread(chunks_of, text)
            file = replace(
                file, chars=len(text), lines=count_lines(text), total_chunks=len(chunks), chunks_done=0
            )
            now = self._clock.now()
            if not await self._db.write(files.put_text, file, attempt, text, now + LEASE, now):
                return
        else:
            chunks = await asyncio.to_thread(chunks_of, text)
            file = replace(file, total_chunks=len(chunks))
        await self._put_chunks(file, attempt, chunks)

    async def _put_chunks(self, file: StoredFile, attempt: int, chunks: list[Chunk]) -> None:
        """Store what is not stored yet, some in a commit, so that nobody waits for a large file."""
        for start in range(file.chunks_done, len(chunks), CHUNKS_PER_COMMIT):
            some = [
                _passage(file, number, chunk)
                for number, chunk in enumerate(chunks[start : start + CHUNKS_PER_COMMIT], start)
            ]
            now, done = self._clock.now(), start + len(some)
            if not await self._db.write(files.put_chunks, file, attempt, some, done, now + LEASE, now):
                return
            self._memory.written()


def _passage(file: StoredFile, number: int, chunk: Chunk) -> Passage:
    """A piece of a file as a passage; an attempt that makes it again makes the same."""
    at = file.created_at + number * APART
    return Passage(
        id=PassageId(stable_id("passage", f"{file.id}:{number}")),
        user_id=file.user_id,
        archive_id=archive_in(file.folder_id),
        text=chunk.text,
        created_at=at,
        updated_at=at,
        piece_of=PieceOf(file.id, file.name, file.folder_id, chunk.first_line, chunk.last_line),
    )
