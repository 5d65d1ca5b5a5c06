"""Delivers callbacks: what the commit of a run's end put into the outbox is posted until somebody takes it.

Any HTTP answer below 500 counts as taken; a transport failure or a 5xx is tried again, later each time. What came of it
stands on the run. It is posted where this server may go only, follows no redirect, and is signed where there is a secret. A
delivery may arrive twice (its process died before it could note the success), never zero times.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection

from runstead.clock import Clock
from runstead.domain.run import Run
from runstead.outward.inward import Inward
from runstead.settings import Settings
from runstead.store import outbox, runs
from runstead.store.database import Database
from runstead.telemetry import log
from runstead.telemetry.chore import for_ever
from runstead.webhooks.signature import headers, key_of

if TYPE_CHECKING:
    from httpx2 import AsyncClient

BATCH_MAX = 20
BACKOFF_S = 2.0
BACKOFF_MAX_S = 3600.0
POLL_S = 1.0
TAKEN_BELOW = 500

# Makes the body of a run's callback: the wire's business, handed in.
Render = Callable[[Run], Awaitable[bytes]]

_log = log("webhooks")


class Callbacks:
    """Delivers what is due."""

    def __init__(
        self, settings: Settings, db: Database, clock: Clock, render: Render, inward: Inward
    ) -> None:
        self._settings = settings
        self._db = db
        self._clock = clock
        self._render = render
        self._inward = inward
        self._key = None if settings.webhook_secret is None else key_of(settings.webhook_secret)
        self._client: AsyncClient | None = None

    async def run(self) -> None:
        """Deliver for ever."""
        try:
            await for_ever(_log, "callbacks", self.deliver_due, partial(asyncio.sleep, POLL_S))
        finally:
            await self.close()

    async def close(self) -> None:
        """Let go of every connection."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def deliver_due(self) -> bool:
        """Try everything that is due once. Whether there was something."""
        due = await self._db.read(outbox.due, self._clock.now(), BATCH_MAX)
        await asyncio.gather(*(self._deliver(each) for each in due))
        return bool(due)

    async def _deliver(self, delivery: outbox.Delivery) -> None:
        until = self._clock.now() + timedelta(seconds=2 * self._settings.callback_timeout_s)
        taken = await self._db.write(outbox.lease, delivery.position, delivery.attempts, until)
        run = await self._db.read(runs.get_run, delivery.run_id) if taken else None
        if run is None:
            if taken:  # the run was deleted: there is nothing to tell
                await self._db.write(outbox.finish, delivery.position, self._clock.now())
            return
        status, error = await self._post(run, delivery.url)
        last = delivery.attempts + 1 >= self._settings.callback_attempts_max
        done = last or (status is not None and status < TAKEN_BELOW)
        await self._db.write(self._note, delivery, run, status, error, done)

    async def _post(self, run: Run, url: str) -> tuple[int | None, str | None]:
        client = await self._connected()
        try:
            body = await self._render(run)
            sent = headers(run.id, self._clock.now(), body, self._key)
            answer = await client.post(url, content=body, headers=sent)
        except Exception as error:  # noqa: BLE001 - noted on the run, and tried again
            text = f"{type(error).__name__}: {error}"
            return None, f"Failed to dispatch callback for run {run.id} to {url}: {text}"
        return answer.status_code, None

    def _note(
        self,
        conn: Connection,
        delivery: outbox.Delivery,
        run: Run,
        status: int | None,
        error: str | None,
        done: bool,
    ) -> None:
        now = self._clock.now()
        runs.record_callback(conn, run.id, now, status, error)
        if done:
            outbox.finish(conn, delivery.position, now)
            return
        wait_s = min(BACKOFF_MAX_S, BACKOFF_S * 2**delivery.attempts)
        # Spread out, so that an outage's end is not a stampede. No secret hangs on these numbers.
        wait_s *= random.uniform(0.8, 1.2)  # noqa: S311
        outbox.retry_at(conn, delivery.position, now + timedelta(seconds=wait_s))

    async def _connected(self) -> AsyncClient:
        if self._client is None:
            transport: Any = await asyncio.to_thread(import_module, "runstead.outward.transport")
            timeout_s = self._settings.callback_timeout_s
            self._client = transport.outward_client(self._inward.reach, timeout_s)
        assert self._client is not None, "just made"
        return self._client
