"""Two stores over one database, as two processes have them, and what may be put there. On SQLite both are one: it has one
writer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.events.bench import encode
from tests.store.rows import NOW, agent
from tests.template import put_database

from runstead.clock import ManualClock
from runstead.domain.actor import User
from runstead.domain.message import Role, TextPart
from runstead.domain.run import Run, RunType
from runstead.domain.run_machine import Claimed
from runstead.events.embedded import EmbeddedLog
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, AgentId, CountingIds, RunId
from runstead.runs.admit import Admission, NewRun, Said
from runstead.runs.answers import Answered
from runstead.store import actors, agents
from runstead.store import commit as commits
from runstead.store.commit import Claim
from runstead.store.database import Database
from runstead.store.postgres import PostgresDatabase
from runstead.store.sqlite import SqliteDatabase

LEASE_S = 15.0
PATIENT_S = 60.0
USER = User(DEFAULT_USER, DEFAULT_ORGANIZATION, "u", NOW, NOW)


@dataclass
class Stores:
    """`a` and `b` are stores of two processes over the same tables; the default user and one agent are there."""

    a: Database
    b: Database
    admissions: Sequence[Admission]
    clock: ManualClock

    @property
    def both(self) -> tuple[Database, Database]:
        """The two."""
        return self.a, self.b

    async def admit(
        self, at: int = 0, *, agent_id: str | None = None, key: str | None = None, body: bytes = b""
    ) -> Run:
        """Admit a run with one message, in the first process or (1) in the second."""
        inputs: tuple[Said | Answered, ...] = (Said(Role.USER, (TextPart("hello"),)),)
        new = NewRun(
            user=USER,
            agent_id=agent_id or agent().id,
            type=RunType.ASYNC,
            inputs=inputs,
            background=True,
            idempotency_key=key,
            body=body,
        )
        return await self.admissions[at % 2].admit(new)

    async def claim(
        self, run_id: RunId, at: int = 0, *, owner: str = "me", force: bool = False
    ) -> Claim | None:
        """Try to own a run."""
        db, now = self.both[at % 2], self.clock.now()
        return await db.write(commits.claim, run_id, Claimed(owner, LEASE_S), now, force=force)


@asynccontextmanager
async def stores(url: str) -> AsyncGenerator[Stores]:
    """Two stores over a database, whose tables are made where they are not there."""
    databases: list[Database]
    if url.startswith("sqlite"):
        databases = [SqliteDatabase(put_database(Path(url.removeprefix("sqlite:///"))))] * 2
    else:
        databases = [PostgresDatabase(url, pool_size=8, timeout_s=PATIENT_S) for _ in range(2)]
    clock, ids = ManualClock(), CountingIds()
    logs = [EmbeddedLog(db, encode) for db in databases]
    admissions = [
        Admission(db, clock, ids, log, encode, _nobody, lambda: False, end_soon=_nothing)
        for db, log in zip(databases, logs, strict=True)
    ]
    await databases[0].write(actors.ensure_defaults, NOW)
    await databases[0].write(agents.insert_agent, agent(1))
    try:
        yield Stores(databases[0], databases[1], admissions, clock)
    finally:
        for closing in (*logs, *databases):
            await closing.close()


async def _nobody(_run: RunId) -> None:
    """Offer a run to nobody: these tests claim by hand."""
    await asyncio.sleep(0)


def _nothing(_runs: Sequence[RunId]) -> None:
    """Interrupt nothing: these tests end runs by hand."""


def other_agent(number: int) -> AgentId:
    """The id of another agent."""
    return agent(number).id
