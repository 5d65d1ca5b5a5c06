"""The newest events of one run in memory, and a reader's place on it. Every log of events is read through these.

A tape holds what is durable, never more: whoever publishes on it has written it down before. It knows of no store; a reader
that is further behind than the tape reaches asks its log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from runstead.errors import Gone, Unavailable
from runstead.events.log import Entry, Kind
from runstead.ids import RunId

TAPE_ENTRIES_MAX = 4096
TAPE_BYTES_MAX = 4 * 1024 * 1024
RETRY_S = 0.25


class Tape:
    """The newest events of one run, in memory, and who waits for the next.

    `end` is the number of the run's last event once it is known. `known` is the highest number that is known to be kept
    somewhere, also where the tape does not have it.
    """

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.end: int | None = None
        self.known = 0
        self._bytes = 0
        self._waiting: list[asyncio.Future[bool]] = []

    @property
    def last_seq(self) -> int:
        """The number of the newest event in memory; 0 where there is none."""
        return self.entries[-1].seq if self.entries else 0

    def publish(self, entries: Sequence[Entry]) -> None:
        """Add durable entries and wake every reader. What is there already is left out."""
        if self.entries and entries[0].seq <= self.last_seq:
            entries = entries[self.last_seq - entries[0].seq + 1 :]
            if not entries:
                return
        if self.entries and entries[0].seq != self.last_seq + 1:
            self._clear()
        self.entries.extend(entries)
        self._bytes += sum(len(entry.data) for entry in entries)
        if len(self.entries) > 2 * TAPE_ENTRIES_MAX or self._bytes > 2 * TAPE_BYTES_MAX:
            self._shorten()
        self.known = max(self.known, self.last_seq)
        if entries[-1].kind is Kind.USAGE:
            self.end = entries[-1].seq
        self.wake()

    def learn(self, known: int, *, end: int | None = None) -> None:
        """Events up to number `known` are kept, and the run's last is number `end` where it is over."""
        if known <= self.known and (end is None or self.end is not None):
            return
        self.known = max(self.known, known)
        if end is not None:
            self.end = end
        self.wake()

    def after(self, seq: int) -> Sequence[Entry] | None:
        """The entries after number `seq`; None where memory does not have them all."""
        if not self.entries or self.entries[0].seq > seq + 1:
            return None
        found = self.entries[seq + 1 - self.entries[0].seq :]
        return None if not found and self.known > seq else found

    @property
    def size_bytes(self) -> int:
        """How much text it holds."""
        return self._bytes

    def waiter(self) -> asyncio.Future[bool]:
        """What the next `wake` completes."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        return future

    def wake(self) -> None:
        """Wake every reader."""
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(True)

    def leave(self, future: asyncio.Future[bool]) -> None:
        """A reader waits no more."""
        if future in self._waiting:
            self._waiting.remove(future)

    def _clear(self) -> None:
        self.entries, self._bytes = [], 0

    def _shorten(self) -> None:
        keep = self.entries[-TAPE_ENTRIES_MAX:]
        while sum(len(entry.data) for entry in keep) > TAPE_BYTES_MAX and len(keep) > 1:
            keep = keep[len(keep) // 2 :]
        self.entries, self._bytes = keep, sum(len(entry.data) for entry in keep)


class Shelf(Protocol):
    """What a reader asks its log for."""

    @property
    def released(self) -> bool:
        """Whether readers are told to go."""
        ...

    @property
    def closing(self) -> bool:
        """Whether those are told so too that would rather stay."""
        ...

    async def stored(self, run_id: RunId, after: int) -> Sequence[Entry]:
        """Durable events after number `after`, in order and without a gap; some, where there are many."""
        ...

    def attend(self, run_id: RunId, tape: Tape, seq: int) -> None:
        """Somebody who has all events up to `seq` begins to wait: see to it that what comes reaches the tape."""
        ...


class TapeReader:
    """One reader's place. One that `lingers` cannot come back: it is told to go as late as possible."""

    def __init__(self, shelf: Shelf, run_id: RunId, tape: Tape, after: int, *, lingers: bool = False) -> None:
        self._shelf = shelf
        self._lingers = lingers
        self._run_id = run_id
        self._tape = tape
        self._seq = after

    @property
    def ended(self) -> bool:
        """Whether the run's last event was given, or the reader has left."""
        return self._tape.end is not None and self._seq >= self._tape.end

    @property
    def released(self) -> bool:
        """Whether it is told to go, because this process stops."""
        return self._shelf.closing if self._lingers else self._shelf.released

    async def next(self, timeout_s: float | None) -> Sequence[Entry]:
        """The next events, all that are ready. Raises `Gone` where they were swept while they were read."""
        while not self.ended:
            waiter = self._tape.waiter()  # before the look, so that nothing can slip between
            try:
                entries = await self._look()
                if entries:
                    self._seq = entries[-1].seq
                    return entries
                if self.released:
                    break
                self._shelf.attend(self._run_id, self._tape, self._seq)
                if not await self._woken(waiter, timeout_s):
                    break
            except Unavailable:  # the store cannot be asked now; what is durable is still there when it can
                if self.released or not await self._woken(waiter, min(timeout_s or RETRY_S, RETRY_S)):
                    break
            finally:
                self._tape.leave(waiter)
        return ()

    def leave(self) -> None:
        """Let go of the tape now: who was cancelled is kept by a traceback until its garbage is collected."""
        self._tape = Tape()
        self._tape.end = 0

    async def _look(self) -> Sequence[Entry]:
        """What there is after the reader's place, from memory or else from the store."""
        entries = self._tape.after(self._seq)
        if entries is not None:
            return entries
        ended = self._tape.end is not None
        entries = await self._shelf.stored(self._run_id, self._seq)
        if not entries and ended and not self.ended:
            raise Gone("The events of this run were swept while they were read.")
        return entries

    async def _woken(self, waiter: asyncio.Future[bool], timeout_s: float | None) -> bool:
        """Wait for the tape; False when the time is over first."""
        if timeout_s is None:
            return await waiter
        timer = asyncio.get_running_loop().call_later(timeout_s, _expire, waiter)
        try:
            return await waiter
        finally:
            timer.cancel()


def _expire(waiter: asyncio.Future[bool]) -> None:
    if not waiter.done():
        waiter.set_result(False)
