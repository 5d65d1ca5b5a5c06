"""The log's contract: what a run's owner may write, what a reader is promised, and nothing about how it is kept.

Promises, which one conformance suite holds for every implementation:

- A run's events are numbered 1, 2, 3, …: no number twice, none left out, never two contents for one number.
- What a reader was given is durable: it is delivered after its commit, and is there after the death of the process.
- Only the newest owner writes: an append or commit with an old epoch is refused.
- The last event of a run is its `Used`; who reads at or past it is told at once that there is nothing more.
- A reader never slows the owner or another reader: it holds a place, not a buffer. Who fell behind reads the store.

An event's text is made once, when it gets its number, by the `Encoder` that the composition root hands in; readers share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from runstead.domain.event import RunEvent
from runstead.domain.run import Run
from runstead.domain.run_machine import Change
from runstead.ids import RunId
from runstead.store.commit import Claim


class Kind(StrEnum):
    """What a reader must know of an event without reading its text. One letter, the first of its line in the store."""

    MESSAGE = "m"
    PING = "p"
    ERROR = "e"
    STOP = "s"
    USAGE = "u"  # the last event of every run


@dataclass(slots=True)
class Entry:
    """One event in the log. `data` is its JSON; `frame` is where the one writer of SSE keeps the text it made of it."""

    seq: int
    kind: Kind
    data: bytes
    frame: bytes | None = None

    @classmethod
    def of_line(cls, seq: int, line: bytes) -> Entry:
        """The event that a kept line stands for: its kind's letter, then its JSON."""
        return cls(seq, Kind(chr(line[0])), line[1:])


@dataclass(frozen=True, slots=True)
class Append:
    """Events of one run to add to a hot log, by its owner number `epoch`. `anew`: whatever it holds of the run is of no use.

    Entries up to `stored_seq` are in the store too and need not stay. `over`: these are the run's last.
    """

    run_id: RunId
    epoch: int
    entries: Sequence[Entry]
    stored_seq: int
    anew: bool = False
    over: bool = False


# None: this event is not for this run's readers (its request asks for other message types); it gets no number.
Encoder = Callable[[RunEvent, Run, int], "tuple[Kind, bytes] | None"]


class Journal(Protocol):
    """The pen of a run's owner. Numbers are given here, under the owner's epoch."""

    @property
    def inherited(self) -> Sequence[Entry]:
        """What owners before said after their last commit: it is part of none, and may have been read."""
        ...

    @property
    def void(self) -> int:
        """How many numbers from here on owners before may have given out for events that are lost."""
        ...

    def emit(self, event: RunEvent) -> None:
        """Add an event; it reaches readers once it is durable. Raises `StaleEpoch` where the run has another owner."""
        ...

    async def room(self) -> None:
        """Wait while too much is on its way to the disk."""
        ...

    async def commit(self, change: Change) -> None:
        """Write a change and its events, after all emitted before, in one commit. Raises `StaleEpoch`, nothing written.

        While the store is away it is tried again, until the journal is lost.
        """
        ...

    def lose(self) -> None:
        """Nothing more is taken: the run is no longer this owner's."""
        ...


class Reader(Protocol):
    """One reader's place in a run's log."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more: the run is over (or deleted) and its last event was given."""
        ...

    @property
    def released(self) -> bool:
        """Whether it is told to go, where it stands: this process stops."""
        ...

    async def next(self, timeout_s: float | None) -> Sequence[Entry]:
        """The events after the last given, as many as are ready.

        Empty when `timeout_s` passed, the log has ended, or all readers were released.
        """
        ...

    def leave(self) -> None:
        """Whom it read for is gone: it has ended, and holds nothing. To be said by everyone who stops before the end."""
        ...


class EventLog(Protocol):
    """All runs' events."""

    @property
    def hot_id(self) -> str | None:
        """Which hot log new events go to; None where there is none, or it cannot be reached."""
        ...

    @property
    def missing(self) -> str | None:
        """What this log was given and cannot reach, for a person to read; None where all is there."""
        ...

    async def journal(self, claim: Claim) -> Journal:
        """The pen for a run that was just claimed. Raises `StaleEpoch` where it has another owner by now."""
        ...

    def lay_down(self, journal: Journal) -> None:
        """The pen's owner writes no more with it: the run is over, or another goes on with it. Nothing more is taken."""
        ...

    def announce(self, run_id: RunId, first: Entry) -> None:
        """A run was admitted with this first event, which is durable: readers need not ask the store for it."""
        ...

    async def open(self) -> None:
        """Look whether what it needs is there; it works also where it is not."""
        ...

    async def reader(self, run_id: RunId, after: int, *, lingers: bool = False) -> Reader:
        """A reader that has everything up to number `after`. One that `lingers` is let go last: it cannot come back.

        Raises `NotFound`, or `Gone` where the events were swept.
        """
        ...

    async def fold(self, run_ids: Sequence[RunId]) -> None:
        """Pack finished runs' events: the same events and numbers in less room."""
        ...

    @property
    def lingering(self) -> int:
        """How many readers there are that cannot come back, and whose run another process may go on with."""
        ...

    def release(self, *, lingering: bool = True) -> None:
        """Let every reader go, where it stands: it can come back with its number, here or elsewhere.

        Those that linger are let go only where `lingering` says so.
        """
        ...

    def forget(self, run_id: RunId) -> None:
        """The run was deleted: end its readers."""
        ...

    async def sizes(self) -> Mapping[str, float]:
        """How much of the log is where, by name."""
        ...

    async def run(self) -> None:
        """What the log does beside reading and writing, for as long as the server runs."""
        ...

    async def flushed(self) -> None:
        """Wait until everything that was emitted is kept."""
        ...

    async def close(self) -> None:
        """Write what was emitted, then take no more."""
        ...
