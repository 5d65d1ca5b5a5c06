"""How long the gateway waits for a model: for its first delta, between two deltas, in all. Only waiting counts.

One timer a stream, moved on only when it rings, so that a token costs a note of the time and nothing more. What a reader
would get wrong: the time that the consumer of the deltas takes is not the model's, so it never makes a timeout.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.types import Delta
from runstead.settings import Settings


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds: `total` over all attempts, `first` to an attempt's first delta, `idle` between two. `retries`: a count."""

    total_s: float = 600.0
    first_s: float = 120.0
    idle_s: float = 120.0
    retries: int = 2

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """What the settings say."""
        return cls(
            settings.model_timeout_s,
            settings.model_first_token_timeout_s,
            settings.model_idle_timeout_s,
            settings.model_retries,
        )


class Patience:
    """The wait for one answer. `name` is what a timeout's text calls the provider. Use from one task at a time."""

    def __init__(self, limits: Limits, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        self.name = name
        self._end = self._loop.time() + limits.total_s
        self._allowed = limits.first_s
        self._since = 0.0
        self._task: asyncio.Task[object] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = False

    @property
    def left_s(self) -> float:
        """Seconds until the whole answer must be there."""
        return self._end - self._loop.time()

    def begin(self) -> None:
        """A new attempt: its first delta is waited for."""
        self._allowed = self._limits.first_s

    async def next(self, source: AsyncGenerator[Delta]) -> Delta | None:
        """The next delta, None at the end. Raises `ModelError` TIMEOUT where it took too long; the source is then over."""
        task = asyncio.current_task()
        assert task is not None
        cancels = task.cancelling()
        self._task = task
        self._since = self._loop.time()
        self._watch()
        try:
            delta = await anext(source, None)
        except BaseException:
            # The timer cancels the task; what came of that is a timeout, unless somebody else cancelled it too.
            if self._expired and task.uncancel() <= cancels:
                self._expired = False
                raise self._timeout() from None
            raise
        finally:
            self._task = None
        if self._allowed != self._limits.idle_s:
            self._allowed = self._limits.idle_s
            self.close()
        return delta

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> float:
        return min(self._since + self._allowed, self._end)

    def _watch(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_at(self._due(), self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._task is None:
            return
        if self._due() > self._loop.time():
            self._watch()
            return
        self._expired = True
        self._task.cancel()

    def _timeout(self) -> ModelError:
        if self.left_s <= 0:
            text = f"{self.name} did not finish its answer within {self._limits.total_s:g} s"
        elif self._allowed == self._limits.first_s and self._limits.first_s != self._limits.idle_s:
            text = f"{self.name} did not begin its answer within {self._allowed:g} s"
        else:
            text = f"{self.name} said nothing for {self._allowed:g} s"
        return ModelError(ModelErrorKind.TIMEOUT, text, cause="timeout")
