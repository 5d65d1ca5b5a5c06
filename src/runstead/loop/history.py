"""What the model sees of each conversation, kept in memory between runs so that a long one is not read anew every time.

The store is the truth: every load asks it for what is newer and counts what is there; where the count does not agree
(another process compacted, somebody reset the agent) all is read again. Bounded in messages; the longest unused go first.
"""

from __future__ import annotations

from collections import OrderedDict

from sqlalchemy import Connection

from runstead.domain.message import Message
from runstead.store import messages

HISTORY_MESSAGES_MAX = 20_000


class History:
    """In-context messages by lane. Not safe across threads: queries get what they need and give back what they found."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, tuple[Message, ...]] = OrderedDict()
        self._total = 0

    def known(self, lane: str) -> tuple[Message, ...]:
        """What is in memory of a lane."""
        if lane not in self._lanes:
            return ()
        self._lanes.move_to_end(lane)
        return self._lanes[lane]

    def keep(self, lane: str, found: tuple[Message, ...]) -> None:
        """Remember a lane's messages, as the store has them now."""
        self._total += len(found) - len(self._lanes.pop(lane, ()))
        self._lanes[lane] = found
        while self._total > HISTORY_MESSAGES_MAX and len(self._lanes) > 1:
            _, dropped = self._lanes.popitem(last=False)
            self._total -= len(dropped)


def load(conn: Connection, lane: str, known: tuple[Message, ...]) -> tuple[Message, ...]:
    """A lane's in-context messages, oldest first, reading only what `known` does not have where that can be."""
    if known:
        newer = messages.in_context(conn, lane, known[-1].position)
        if messages.count_in_context(conn, lane) == len(known) + len(newer):
            return (*known, *newer)
    return tuple(messages.in_context(conn, lane))
