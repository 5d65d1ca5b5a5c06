"""What tests of the log share: a store in a folder, runs that can be claimed, and an encoder whose texts can be told."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.template import put_database

from runstead.clock import ManualClock
from runstead.domain.event import AssistantSaid, Head, RunEvent, Stopped, Used
from runstead.domain.run import Run, RunStatus, RunType, StopReason
from runstead.domain.run_machine import Advanced, Change, Claimed, Finished, transition
from runstead.domain.step import Usage
from runstead.events.embedded import EmbeddedLog
from runstead.events.hot import HotStreams
from runstead.events.journal import Pen
from runstead.events.log import Journal, Kind, Reader
from runstead.events.shared import SharedLog
from runstead.ids import (
    DEFAULT_ORGANIZATION,
    DEFAULT_USER,
    AgentId,
    CountingIds,
    MessageId,
    RunId,
)
from runstead.store import actors
from runstead.store import commit as commits
from runstead.store import events as rows
from runstead.store.database import Database
from runstead.store.migrate import migrate
from runstead.store.postgres import PostgresDatabase
from runstead.store.sqlite import SqliteDatabase


def encode(event: RunEvent, _run: Run, seq: int) -> tuple[Kind, bytes] | None:
    """The event's own text, so that a test can tell what it reads. Text `filtered` gets no number."""
    if isinstance(event, AssistantSaid):
        return None if event.text == "filtered" else (Kind.MESSAGE, event.text.encode())
    kind = Kind.STOP if isinstance(event, Stopped) else Kind.USAGE if isinstance(event, Used) else Kind.PING
    return kind, f"{type(event).__name__} {seq}".encode()


def said(text: str) -> AssistantSaid:
    """An event that says this."""
    return AssistantSaid(Head(MessageId("message-1"), ManualClock().now()), text)


@dataclass(frozen=True)
class LogPlace:
    """Where a log's events are: a database, and a Redis where there is one."""

    url: str
    redis_url: str = ""
    # Long: nobody who is only slow is taken for lost, where a test does not ask for that.
    redis_timeout_s: float = 30.0

    @classmethod
    def in_folder(cls, folder: Path) -> LogPlace:
        """A place on SQLite."""
        return cls(f"sqlite:///{folder / 'runstead.db'}")


@dataclass
class LogBench:
    """A log over a store, as one process has it. Several may be open over one place."""

    db: Database
    log: EmbeddedLog | SharedLog
    clock: ManualClock
    ids: CountingIds
    hot: HotStreams | None = None
    running: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, place: LogPlace) -> LogBench:
        """A bench whose data is at `place`."""
        clock, ids = ManualClock(), CountingIds()
        if place.url.startswith("sqlite"):
            path = put_database(Path(place.url.removeprefix("sqlite:///")))
            db: Database = SqliteDatabase(path)
            made = cls(db, EmbeddedLog(db, encode), clock, ids)
        else:
            await asyncio.to_thread(migrate, place.url)
            db = PostgresDatabase(place.url, pool_size=4, timeout_s=60.0)
            hot = HotStreams(place.redis_url, timeout_s=place.redis_timeout_s) if place.redis_url else None
            made = cls(db, SharedLog(db, encode, hot), clock, ids, hot)
        await made.log.open()
        made.running = asyncio.create_task(made.log.run())
        await db.write(actors.ensure_defaults, clock.now())
        return made

    async def close(self) -> None:
        """Close log and store."""
        await self.log.close()
        if self.running is not None:
            self.running.cancel()
            await asyncio.wait({self.running})
        await self.db.close()

    async def forget(self) -> None:
        """Everything is written down, and nothing but the store has it."""
        await self.log.flushed()
        if self.hot is not None:
            async with self.hot.following() as client:
                await client.flushall()

    async def new_run(self) -> RunId:
        """A run as admission leaves it: created, with its first event in the log."""
        run = Run(
            id=RunId("run-" + self.ids.uuid()),
            user_id=DEFAULT_USER,
            organization_id=DEFAULT_ORGANIZATION,
            agent_id=AgentId("agent-" + self.ids.uuid()),
            type=RunType.SEND,
            status=RunStatus.CREATED,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
            background=True,
            last_seq=1,
        )
        await self.db.write(commits.insert, run, (), rows.EventRow(run.id, 1, 1, 0, b"pfirst"))
        return run.id

    async def claim(self, run_id: RunId) -> tuple[Run, Pen]:
        """Own the run, taking it from whoever has it."""
        given = Claimed("tester", 15)
        claim = await self.db.write(
            commits.claim, run_id, given, self.clock.now(), force=True, hot_id=self.log.hot_id
        )
        assert claim is not None
        journal = await self.log.journal(claim)
        return claim.run, journal

    async def advance(self, run: Run, journal: Journal, *texts: str) -> Run:
        """Commit that the run goes on, saying these."""
        after = transition(run, Advanced(), self.clock.now())
        await journal.commit(Change(after, events=tuple(said(text) for text in texts)))
        return after

    async def finish(self, run: Run, journal: Journal, *texts: str) -> Run:
        """Commit the run's end, saying these first."""
        after = transition(run, Finished(StopReason.END_TURN), self.clock.now())
        used = Used(Usage(), 0, run.id)
        events = (*(said(text) for text in texts), Stopped(StopReason.END_TURN), used)
        await journal.commit(Change(after, events=events))
        return after

    async def read_all(self, run_id: RunId, after: int = 0) -> list[tuple[int, bytes]]:
        """Everything of a finished run after a number."""
        return await drained(await self.log.reader(run_id, after))


async def drained(reader: Reader) -> list[tuple[int, bytes]]:
    """What a reader still gives, to its end."""
    found: list[tuple[int, bytes]] = []
    while not reader.ended:
        found += [(entry.seq, entry.data) for entry in await reader.next(timeout_s=30)]
    return found
