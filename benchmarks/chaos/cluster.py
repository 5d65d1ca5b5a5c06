"""The servers under test and what is done to them: `runstead serve` processes, and PostgreSQL and Redis where there are any.

Each process and each service has a lock: what is broken is mended before it is broken again. A fault that comes too late
because of that may be left out, so that a machine on which a start takes long is not one on which nothing ever runs. All
waiting is in threads.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services import PostgresServer, RedisServer
from tests.serving import Server
from tests.story_model import StoryModel

from benchmarks.chaos.plan import Fault, FaultKind

# Told before a fault, so that who watches knows whose runs are hit: the kind, and the process or None.
Told = Callable[[Fault], Awaitable[None]]
LINES_OF_INTEREST = 12
STARTS_MAX = 20
AROUND = timedelta(seconds=3)
# The sum of a stop's limits while PostgreSQL is silent: to drain, to hand over, the queue, readers, requests, the store.
STOP_S_MAX = 40.0


class Cluster:
    """So many processes on PostgreSQL and Redis, or one on SQLite. A context manager; starting takes a few seconds."""

    def __init__(self, folder: Path, *, processes: int, lease_s: float, alone: bool) -> None:
        self.folder = folder
        self.alone = alone
        self.model = StoryModel()
        self.postgres = None if alone else PostgresServer()
        self.redis = None if alone else RedisServer()
        self.servers: list[Server] = []
        self.done: Counter[FaultKind] = Counter()
        self.left_out = 0
        self.troubles: list[str] = []
        self.broken: list[tuple[datetime, datetime]] = []
        self.files_at_start: dict[int, int] = {}
        self._count = 1 if alone else processes
        self._lease_s = lease_s
        self._stack = ExitStack()
        self._locks = [asyncio.Lock() for _ in range(self._count)]
        self._redis_lock = asyncio.Lock()
        self._postgres_lock = asyncio.Lock()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.model)
            settings = {
                "RUNSTEAD_LEASE_S": str(self._lease_s),
                "RUNSTEAD_KEEPALIVE_S": "1",
                "RUNSTEAD_DRAIN_S": "1",
                "RUNSTEAD_RECONCILE_S": "0.5",
            }
            if self.postgres is not None and self.redis is not None:
                stack.enter_context(self.postgres)
                stack.enter_context(self.redis)
                settings["RUNSTEAD_DATABASE_URL"] = self.database_url
                settings["RUNSTEAD_REDIS_URL"] = self.redis.url
            for number in range(self._count):
                server = Server(self.folder / f"process-{number}", self.model.url, **settings)
                self.servers.append(server)
                stack.callback(_end, server)
                self._start(number)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def database_url(self) -> str:
        """Where the runs are kept."""
        if self.postgres is None:
            return f"sqlite:///{self.folder / 'process-0' / 'data' / 'runstead.db'}"
        return self.postgres.url

    @property
    def ports(self) -> list[int]:
        """Where the processes listen."""
        return [server.port for server in self.servers]

    async def suffer(self, faults: Sequence[Fault], told: Told, late_s_max: float) -> None:
        """Do what is planned, each fault at its time or at most so much later; returns when all is mended."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                await asyncio.sleep(max(0.0, began + fault.at_s - time.monotonic()))
                group.create_task(self._do(fault, began + fault.at_s + late_s_max, told))

    async def _do(self, fault: Fault, until: float, told: Told) -> None:
        if fault.kind is FaultKind.REDIS_AND_OWNER:
            async with self._locks[fault.process], self._redis_lock:
                await self._break(fault, until, told)
        elif fault.on_process:
            async with self._locks[fault.process]:
                await self._break(fault, until, told)
        else:
            redis = fault.kind in {FaultKind.REDIS_KILL, FaultKind.REDIS_STALL}
            async with self._redis_lock if redis else self._postgres_lock:
                await self._break(fault, until, told)

    async def _break(self, fault: Fault, until: float, told: Told) -> None:
        """Tell of it, do it, note when it was; not where it comes after `until` (monotonic)."""
        if time.monotonic() > until:
            self.left_out += 1
            return
        await told(fault)
        self.done[fault.kind] += 1
        began = datetime.now(UTC)
        self._note(fault, "begins", began)
        try:
            await self._break_and_mend(fault)
        finally:
            self._note(fault, "is mended", datetime.now(UTC))
            if fault.kind not in {FaultKind.POSTGRES_KILL, FaultKind.POSTGRES_STALL}:
                self.broken.append((began, datetime.now(UTC)))

    def _note(self, fault: Fault, what: str, at: datetime) -> None:
        """A line in the file that is read beside the logs: times are written as in those."""
        who = f" {fault.process}" if fault.on_process else ""
        with (self.folder / "faults.log").open("a") as told:
            told.write(f"{at:%Y-%m-%dT%H:%M:%S.%f}Z {fault.kind}{who} {what}\n")

    def was_broken(self, at: datetime) -> bool:
        """Whether Redis or a process was broken at that time, or was about to be."""
        return any(began - AROUND <= at <= mended + AROUND for began, mended in self.broken)

    async def _break_and_mend(self, fault: Fault) -> None:
        server = self.servers[fault.process]
        match fault.kind:
            case FaultKind.STALL:
                server.pause()
                await asyncio.sleep(fault.lasts_s)
                server.resume()
            case FaultKind.KILL | FaultKind.TERM:
                if fault.kind is FaultKind.KILL:
                    await asyncio.to_thread(server.kill)
                else:
                    await asyncio.to_thread(self._stop, fault.process)
                await asyncio.sleep(fault.lasts_s)
                await asyncio.to_thread(self._start, fault.process)
            case FaultKind.REDIS_AND_OWNER:
                await asyncio.gather(asyncio.to_thread(server.kill), asyncio.to_thread(self._redis.kill))
                await asyncio.sleep(fault.lasts_s)
                await asyncio.to_thread(self._redis.start)
                await asyncio.to_thread(self._start, fault.process)
            case _:
                await self._break_service(fault)

    async def _break_service(self, fault: Fault) -> None:
        redis = fault.kind in {FaultKind.REDIS_KILL, FaultKind.REDIS_STALL}
        service = self._redis if redis else self.postgres
        assert service is not None, "the plan fits the cluster"
        kills = fault.kind in {FaultKind.REDIS_KILL, FaultKind.POSTGRES_KILL}
        await asyncio.to_thread(service.kill if kills else service.stall)
        await asyncio.sleep(fault.lasts_s)
        await asyncio.to_thread(service.start if kills else service.resume)

    @property
    def _redis(self) -> RedisServer:
        assert self.redis is not None, "the plan fits the cluster"
        return self.redis

    def _stop(self, number: int) -> None:
        """Tell a process to stop. One that does not do so within its time is killed, and that is a broken promise."""
        try:
            self.servers[number].stop(STOP_S_MAX)
        except AssertionError as error:
            self.troubles.append(f"process {number}: {str(error)[:200]}")

    def _start(self, number: int) -> None:
        """Start a process, again where it ended at once: it does so without its database, and says why."""
        server = self.servers[number]
        for left in range(STARTS_MAX, 0, -1):
            try:
                server.start()
                break
            except AssertionError:
                if left == 1 or server.running:
                    raise
        self.files_at_start[number] = open_files(server)

    def lines_about(self, word: str) -> str:
        """What the processes wrote about something, the last lines."""
        found = [
            f"  [process {number}] {line}"
            for number, server in enumerate(self.servers)
            for line in server.log.splitlines()
            if word in line
        ]
        return "\n".join(found[-LINES_OF_INTEREST:])


def open_files(server: Server) -> int:
    """How many files and sockets a process has open."""
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def _end(server: Server) -> None:
    if server.running:
        server.resume()
        server.kill()
