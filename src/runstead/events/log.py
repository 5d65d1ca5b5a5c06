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
from typing import Protocol, runtime_checkable

from runstead.domain.event import RunEvent
from runstead.domain.run import Run
from runstead.domain.run_machine import Change
from runstead.ids import RunId


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


# None: this event is not for this run's readers (its request asks for other message types); it gets no number.
Encoder = Callable[[RunEvent, Run, int], "tuple[Kind, bytes] | None"]


class Journal(Protocol):
    """The pen of a run's owner. Numbers are given here, under the owner's epoch."""

    @property
    def last_seq(self) -> int:
        """The number of the newest event given to this journal."""
        ...

    def emit(self, event: RunEvent) -> None:
        """Add an event; it reaches readers once it is durable. Raises `StaleEpoch` where the run has another owner."""
        ...

    async def room(self) -> None:
        """Wait while too much is on its way to the disk."""
        ...

    async def commit(self, change: Change) -> None:
        """Write a change and its events, after all emitted before, in one commit. Raises `StaleEpoch`, nothing written."""
        ...


class Reader(Protocol):
    """One reader's place in a run's log."""

    @property
    def ended(self) -> bool:
        """Whether there is nothing more: the run is over (or deleted) and its last event was given."""
        ...

    async def next(self, timeout_s: float | None) -> Sequence[Entry]:
        """The events after the last given, as many as are ready.

        None when `timeout_s` passed, the log has ended, or all readers were released.
        """
        ...


@runtime_checkable
class Sized(Protocol):
    """A log that can say what it holds in memory."""

    def sizes(self) -> Mapping[str, float]:
        """Numbers by name, cheap to get."""
        ...


class EventLog(Protocol):
    """All runs' events."""

    def journal(self, run: Run) -> Journal:
        """The pen for a run that was just claimed; `run.last_seq` is its newest event."""
        ...

    def announce(self, run_id: RunId, first: Entry) -> None:
        """A run was admitted with this first event, which is durable: readers need not ask the store for it."""
        ...

    async def reader(self, run_id: RunId, after: int) -> Reader:
        """A reader that has everything up to number `after`. Raises `NotFound`, or `Gone` where the events were swept."""
        ...

    async def fold(self, run_ids: Sequence[RunId]) -> None:
        """Pack finished runs' events: the same events and numbers in less room."""
        ...

    @property
    def released(self) -> bool:
        """Whether readers are told to go: this process stops."""
        ...

    def release(self) -> None:
        """Let every reader go, where it stands: it can come back with its number, here or elsewhere."""
        ...

    def forget(self, run_id: RunId) -> None:
        """The run was deleted: end its readers."""
        ...

    async def close(self) -> None:
        """Write what was emitted."""
        ...
