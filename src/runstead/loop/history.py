"""What the model sees of each conversation, kept in memory between runs so that a long one is not read anew every time.

The store is the truth: every load asks it for what is newer, counts what is there and asks what was edited last; where that
does not agree (another process compacted, somebody reset the agent or edited a message) all is read again. Bounded in
messages; the longest unused go first.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from runstead.domain.message import Message
from runstead.domain.tokens import tokens_of
from runstead.store.turns import LoadedTurn

HISTORY_MESSAGES_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Seen:
    """What the model sees of a conversation, oldest first, and about how many tokens it takes."""

    messages: tuple[Message, ...] = ()
    tokens: int = 0


_NOTHING = Seen()


class History:
    """In-context messages by lane. Not safe across threads: queries get what they need and give back what they found."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[str, Seen] = OrderedDict()
        self._total = 0

    def known(self, lane: str) -> Seen:
        """What is in memory of a lane."""
        if lane not in self._lanes:
            return _NOTHING
        self._lanes.move_to_end(lane)
        return self._lanes[lane]

    def take_in(self, lane: str, loaded: LoadedTurn) -> Seen:
        """What the model sees of a lane now that something was read; remembered."""
        known = self.known(lane) if loaded.known_holds else _NOTHING
        tokens = known.tokens + sum(map(tokens_of, loaded.messages))
        seen = Seen((*known.messages, *loaded.messages), tokens)
        self.keep(lane, seen)
        return seen

    def keep(self, lane: str, found: Seen) -> None:
        """Remember a lane's messages, as the store has them now."""
        before = self._lanes.pop(lane, _NOTHING)
        self._total += len(found.messages) - len(before.messages)
        self._lanes[lane] = found
        while self._total > HISTORY_MESSAGES_MAX and len(self._lanes) > 1:
            _, dropped = self._lanes.popitem(last=False)
            self._total -= len(dropped.messages)
