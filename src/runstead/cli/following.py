"""Following a run to its end, whatever becomes of the connection or the server: every event once, in order.

A background run's stream is joined again after the last number that was seen. A run that keeps no stream for others (it was
not started in the background, or its events are no longer kept) is followed by its messages. Draws nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from runstead.cli.client import ApiClient
from runstead.cli.measures import FINAL
from runstead.cli.received import Event
from runstead.clock import Clock, SystemClock
from runstead.errors import Gone, Unavailable

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 5.0
LOOK_S = 0.3
_NS = 1_000_000_000


class Following:
    """One run, followed from event number `after` on. `tell` is told when the server goes away and when it is back."""

    def __init__(
        self,
        client: ApiClient,
        run: RunState,
        after: int,
        tell: Callable[[str], None],
        patience_s: float,
        clock: Clock | None = None,
    ) -> None:
        self.last = after
        self._client = client
        self._run = run
        self._tell = tell
        self._clock = clock or SystemClock()
        self._away = Away(tell, self._clock, patience_s)

    def events(self) -> Iterator[Event]:
        """The events until the run is over. Raises `Unavailable` when patience ends, `NotFound` where it was deleted."""
        if not self._run["background"]:
            self._tell(
                "this run was not started in the background: its messages are shown as each is complete"
            )
            yield from self._messages()
            return
        try:
            yield from self._stream()
        except Gone:
            self._tell("the events of this run are no longer kept: these are its messages")
            yield from self._messages()

    def _stream(self) -> Iterator[Event]:
        while True:
            try:
                with closing(self._client.events(self._run["id"], self.last)) as events:
                    for event in events:
                        self._away.back(f"going on after event {self.last}")
                        if event is None:
                            return
                        self.last = event.seq
                        yield event
                lost = "the server is stopping"
            except Unavailable as error:
                lost = error.detail
            self._away.wait(lost)

    def _messages(self) -> Iterator[Event]:
        """A run's messages as events without a number."""
        shown = 0
        run = self._run
        while True:
            try:
                run = self._client.run(run["id"])
                found = self._client.messages(run["id"])
            except Unavailable as error:
                self._away.wait(error.detail)
                continue
            self._away.back("going on")
            for message in found[shown:]:
                yield Event(0, cast("dict[str, Any]", message))
            shown = max(shown, len(found))
            if run["status"] in FINAL:
                return
            _pause(LOOK_S)


class Away:
    """How long a server has been away, and how long to wait until it is asked again: what may be asked twice is."""

    def __init__(self, tell: Callable[[str], None], clock: Clock, patience_s: float) -> None:
        self._tell = tell
        self._clock = clock
        self._patience_ns = int(patience_s * _NS)
        self._since_ns: int | None = None
        self._pause_s = PAUSE_S_MIN

    def wait(self, why: str) -> None:
        """It is away: wait a moment. Raises `Unavailable` where it has been away for too long."""
        now_ns = self._clock.monotonic_ns()
        if self._since_ns is None:
            self._since_ns = now_ns
            self._tell(f"{why.rstrip('.')}. The run is not lost; trying to come back")
        if now_ns - self._since_ns >= self._patience_ns:
            raise Unavailable(f"The server did not come back within {self._patience_ns / _NS:g} s. {why}")
        _pause(self._pause_s)
        self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)

    def back(self, where: str) -> None:
        """It answers."""
        if self._since_ns is not None:
            self._tell(f"the server is back; {where}")
            self._since_ns, self._pause_s = None, PAUSE_S_MIN


def _pause(seconds: float) -> None:
    threading.Event().wait(seconds)
