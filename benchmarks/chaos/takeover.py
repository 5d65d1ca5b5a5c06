"""How long runs have no owner: from the moment at which theirs is killed or stalled to the claim of the next.

Owners, their numbers (epochs) and the ends of their leases are read from the database itself, right before the fault and
again and again after it. A process that was stalled and renews the same lease never lost its run: that is no takeover.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, text

from benchmarks.chaos.cluster import Cluster
from benchmarks.chaos.plan import Fault, FaultKind
from runstead.errors import Unavailable
from runstead.store.database import Database
from runstead.store.postgres import PostgresDatabase
from runstead.store.sqlite import SqliteDatabase

LOOK_EVERY_S = 0.02
# A process that has just started, on a busy machine, has nothing to lose yet; at the end nobody starts anything any more.
AIM_S = 5.0
_OWNED = text(
    "SELECT id, epoch, lease_until FROM runs WHERE status IN ('created', 'running') AND owner LIKE :pid"
)
_NOW = text("SELECT id, epoch, status, lease_until FROM runs WHERE completed_at IS NULL OR epoch > 1")


@dataclass(frozen=True, slots=True)
class Takeover:
    """One run that got another owner. `disturbed`: meanwhile something else was broken too."""

    kind: FaultKind
    took_s: float
    disturbed: bool


@dataclass(slots=True)
class _Orphan:
    kind: FaultKind
    epoch: int
    lease_until: int
    since: float
    disturbed: bool = False


def database_of(cluster: Cluster) -> Database:
    """The cluster's database, for who watches and checks."""
    if cluster.alone:
        return SqliteDatabase(Path(cluster.database_url.removeprefix("sqlite:///")))
    return PostgresDatabase(cluster.database_url, pool_size=2, timeout_s=3.0)


class Watch:
    """Notes who loses which run, and when somebody else has it."""

    def __init__(self, cluster: Cluster, db: Database) -> None:
        self.found: list[Takeover] = []
        self._cluster = cluster
        self._db = db
        self._orphans: dict[str, _Orphan] = {}

    async def before(self, fault: Fault) -> None:
        """A fault comes now: note whose runs it hits. One at a process that has none waits for some, but not for long."""
        for orphan in self._orphans.values():
            orphan.disturbed = True
        if not fault.on_process or fault.kind is FaultKind.TERM:
            return
        pid = self._cluster.servers[fault.process].pid
        until = time.monotonic() + AIM_S
        try:
            owned = await self._db.read(_owned_by, pid)
            while not owned and time.monotonic() < until:
                await asyncio.sleep(LOOK_EVERY_S)
                owned = await self._db.read(_owned_by, pid)
        except Unavailable:
            return
        now = time.monotonic()
        for run_id, epoch, lease_until in owned:
            self._orphans.setdefault(run_id, _Orphan(fault.kind, epoch, lease_until, now))

    async def run(self) -> None:
        """Look for new owners, for ever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if not self._orphans:
                continue
            try:
                self._look(await self._db.read(_epochs))
            except Unavailable:
                for orphan in self._orphans.values():
                    orphan.disturbed = True

    def _look(self, rows: Sequence[tuple[str, int, str, int]]) -> None:
        now = time.monotonic()
        known = {run_id: (epoch, status, until) for run_id, epoch, status, until in rows}
        for run_id, orphan in list(self._orphans.items()):
            epoch, status, lease_until = known.get(run_id, (orphan.epoch, "completed", 0))
            if epoch > orphan.epoch:
                self.found.append(Takeover(orphan.kind, now - orphan.since, orphan.disturbed))
            renewed = lease_until > orphan.lease_until
            if epoch > orphan.epoch or renewed or status not in {"created", "running"}:
                del self._orphans[run_id]


def _owned_by(conn: Connection, pid: int) -> list[tuple[str, int, int]]:
    found = conn.execute(_OWNED, {"pid": f"process:%:{pid}:%"})
    return [(row.id, row.epoch, row.lease_until or 0) for row in found]


def _epochs(conn: Connection) -> list[tuple[str, int, str, int]]:
    return [(row.id, row.epoch, row.status, row.lease_until or 0) for row in conn.execute(_NOW)]
