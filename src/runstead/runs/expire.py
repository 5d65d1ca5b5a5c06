"""The timer of questions: what nobody answered in time is answered by the server, so that no agent waits for ever.

Durable, because it is a column that every process may look at: a restart loses nothing, and of several processes, or of a
process and a late answer, the first commit is the one that counts.
"""

from __future__ import annotations

import asyncio
from functools import partial

from runstead.clock import Clock
from runstead.domain.approval import ApprovalTerms
from runstead.domain.run import Run
from runstead.errors import Unavailable
from runstead.runs.admit import Admission
from runstead.store import approvals
from runstead.store.database import Database
from runstead.telemetry import log
from runstead.telemetry.chore import for_ever

EXPIRED_AT_ONCE_MAX = 100

_log = log("approvals")


class Expiry:
    """Looks, for ever, for questions whose time is over."""

    def __init__(
        self, db: Database, clock: Clock, admission: Admission, terms: ApprovalTerms, every_s: float
    ) -> None:
        self._db = db
        self._clock = clock
        self._admission = admission
        self._terms = terms
        self._every_s = every_s

    async def run(self) -> None:
        """Look now and then, for ever."""
        await for_ever(_log, "approvals", self._look, partial(asyncio.sleep, self._every_s))

    async def _look(self) -> bool:
        """Where there were as many as are answered at once, there may be more."""
        return len(await self.expire()) == EXPIRED_AT_ONCE_MAX

    async def expire(self) -> list[Run]:
        """Answer what is overdue now, a bounded number of questions. Gives the runs that go on with it."""
        found = await self._db.read(approvals.overdue, self._clock.now(), EXPIRED_AT_ONCE_MAX)
        made: list[Run] = []
        for asking in found:
            if (run := await self._answer(asking)) is not None:
                _log.info("approval expired", run_id=asking.id, goes_on_as=run.id)
                made.append(run)
        return made

    async def _answer(self, asking: Run) -> Run | None:
        try:
            return await self._admission.expire(asking, self._terms)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - becomes a line in the log; the other questions must not wait for it
            _log.error("approval could not expire", run_id=asking.id, exc_info=error)
            return None
