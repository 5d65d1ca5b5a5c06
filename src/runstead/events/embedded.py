"""The log of a server that is one process: rows in the store's own database, readers woken in memory.

Every event goes through the database's one writer, so an event and the change it tells of can share a commit. Readers are
woken after that commit, never before. The newest events of a live run stay in memory, in a `Tape`; who is further behind
reads the store. There is one flush at a time for all runs: the busier the server, the more events a commit carries.
"""

from __future__ import annotations

import asyncio

from runstead.domain.run_machine import Change
from runstead.errors import Unavailable
from runstead.events.journal import COMMIT_RETRY_S, Pen
from runstead.events.log import Encoder, Entry, Journal
from runstead.events.stored import StoredLog
from runstead.events.tape import Tape
from runstead.store import events as rows
from runstead.store.commit import Claim
from runstead.store.database import Database
from runstead.telemetry import Meter


class EmbeddedJournal(Pen):
    """A pen whose events go to the store alone, in the order in which they are handed to it."""

    def __init__(self, log: EmbeddedLog, claim: Claim, tape: Tape) -> None:
        super().__init__(log.db, log.encode, claim.run, tape, log.flush_soon, log.meter)
        self._log = log

    async def commit(self, change: Change) -> None:
        """See `Pen.commit`."""
        await super().commit(change)
        self.trim(self.stored_seq)

    def owed(self) -> list[Entry]:
        """What no flush has taken yet: those before are on their way."""
        return self.unsent()

    async def write(self, change: Change, written: tuple[rows.EventRow, ...], last_seq: int) -> None:
        """See `Pen.write`."""
        await self._log.mended()
        await super().write(change, written, last_seq)


class EmbeddedLog(StoredLog):
    """Every run's events in the store's database."""

    def __init__(self, db: Database, encode: Encoder, meter: Meter | None = None) -> None:
        super().__init__(db, encode, meter)
        self._dirty: dict[Pen, None] = {}
        self._flush: asyncio.Task[None] | None = None
        self._broken: asyncio.Event | None = None

    async def run(self) -> None:
        """Nothing: this process hears of every event as it writes it."""

    async def journal(self, claim: Claim) -> EmbeddedJournal:
        """The pen for a run that was just claimed."""
        run = claim.run
        journal = EmbeddedJournal(self, claim, self.announced(run.id))
        if run.epoch > 1:
            journal.inherited = await self.range(run.id, claim.committed_seq, run.last_seq)
        return journal

    @property
    def lingering(self) -> int:
        """Nobody else goes on with a run, so nobody waits for that."""
        return 0

    def lay_down(self, journal: Journal) -> None:
        """Nothing: what was emitted is on its way to the store, which refuses an old owner."""

    async def flushed(self) -> None:
        """Wait until everything that was emitted is kept."""
        while self._flush is not None:
            await self._flush

    async def close(self) -> None:
        """Write what was emitted."""
        self._closing = True
        await self.flushed()

    async def mended(self) -> None:
        """Wait while events that were emitted before cannot be written: nothing may overtake them."""
        if self._broken is not None:
            await self._broken.wait()

    def flush_soon(self, pen: Pen) -> None:
        """See to it that what is pending with a pen gets written."""
        self._dirty[pen] = None
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._flush_all())

    async def _flush_all(self) -> None:
        """Write pending events of all runs, one commit after the other, until none is pending."""
        try:
            while self._dirty:
                pens, self._dirty = self._dirty, {}
                taken = [(pen, entries) for pen in pens if (entries := pen.unsent())]
                for pen, entries in taken:
                    pen.sent_seq = entries[-1].seq
                if taken:
                    await self._flush_some(taken)
        finally:
            self._flush = None

    async def _flush_some(self, taken: list[tuple[Pen, list[Entry]]]) -> None:
        batch = [row for pen, entries in taken for row in pen.rows(entries)]
        try:
            refused = {(row.run_id, row.first_seq) for row in await self._append(batch)}
        except Exception:  # noqa: BLE001 - becomes the loss of these runs, which are claimed anew
            for pen, _ in taken:
                pen.lose()
            return
        for pen, entries in taken:
            if (pen.run_id, entries[0].seq) in refused:
                pen.lose()
            else:
                pen.keep(stored_seq=entries[-1].seq)
                pen.trim(entries[-1].seq)

    async def _append(self, batch: list[rows.EventRow]) -> list[rows.EventRow]:
        """Write rows; while the disk takes nothing, again and again. Gives those that were refused."""
        try:
            while True:
                try:
                    return await self.db.write(rows.append, batch)
                except Unavailable:
                    if self._closing:
                        raise
                    self._broken = self._broken or asyncio.Event()
                await asyncio.sleep(COMMIT_RETRY_S)
        finally:
            if self._broken is not None:
                self._broken.set()
                self._broken = None
