"""`runstead serve --processes N`: N servers on one port, each a process of its own, and one more that watches them.

The kernel gives every new connection to one of them (SO_REUSEPORT). Who dies is replaced, after a pause that grows while it
keeps dying. A stop is passed on, and waited for. The watcher serves nothing, stores nothing and knows no run; when it is
killed itself, its servers stop in order, so that none is left that nobody watches.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager

from runstead.clock import Clock, SystemClock
from runstead.errors import CannotStart
from runstead.settings import Settings, child_environment

# A server that could not start says so with this code (see `runstead.cli`); at the first start that is the answer.
CANNOT = 2
PAUSE_S = 0.2
PAUSE_S_MAX = 10.0
# Who lived this long had started well: its next death is a new story.
SOUND_S = 10.0
# A server may drain twice (its runs, then its readers) and close; after that it hangs.
CLOSE_S = 15.0


def supervise(settings: Settings) -> int:
    """Serve by `settings.processes` processes until SIGTERM or SIGINT; gives the worst of their exit codes."""
    with _port(settings) as port, tempfile.TemporaryDirectory(prefix="runstead-") as shared:
        return asyncio.run(_Family(settings, port, shared, SystemClock()).live())


class _Family:
    """The servers, and what is known of them."""

    def __init__(self, settings: Settings, port: int, shared: str, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._stop = asyncio.Event()
        self._environment = child_environment(
            RUNSTEAD_HOST=settings.host,
            RUNSTEAD_PORT=str(port),
            RUNSTEAD_REUSE_PORT="true" if port else "false",
            RUNSTEAD_ROLE=settings.role,
            RUNSTEAD_LOG_LEVEL=settings.log_level,
            RUNSTEAD_PROCESSES="1",
            RUNSTEAD_SUPERVISOR_PID=str(os.getpid()),
            # Who has a port of its own is asked there.
            RUNSTEAD_FAMILY_DIR=shared if port else "",
        )

    async def live(self) -> int:
        """Keep every place taken until the stop; gives the worst exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        async with asyncio.TaskGroup() as group:
            kept = [group.create_task(self._keep(place)) for place in range(self._settings.processes)]
        return max(task.result() for task in kept)

    async def _keep(self, place: int) -> int:
        """One server after the other in one place; gives the exit code of the last."""
        pause_s, first = PAUSE_S, True
        while True:
            began_ns = self._clock.monotonic_ns()
            code = await self._one_life(place)
            if self._stop.is_set():
                return code
            lived_s = (self._clock.monotonic_ns() - began_ns) / 1e9
            if first and code == CANNOT:
                # It said why, however long that took it. What keeps one from starting keeps all.
                self._stop.set()
                return code
            first = False
            pause_s = PAUSE_S if lived_s >= SOUND_S else pause_s
            print(f"runstead: a process ended with {code}; another one starts", file=sys.stderr, flush=True)
            if await self._stopped_within(pause_s):
                return 0
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _one_life(self, place: int) -> int:
        """Start a server and wait for its end, which is asked for at the stop; gives its exit code."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "runstead", "serve",
            env={**self._environment, "RUNSTEAD_FAMILY_PLACE": str(place)},
            stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            ended = group.create_task(child.wait())
            stopped = group.create_task(self._stop.wait())
            await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()
            if not ended.done():
                await self._end(child, ended)
        return _exit_code(ended.result(), told=self._stop.is_set())

    async def _end(self, child: asyncio.subprocess.Process, ended: asyncio.Task[int]) -> None:
        child.terminate()
        done, _ = await asyncio.wait({ended}, timeout=2 * self._settings.drain_s + CLOSE_S)
        if not done:
            child.kill()

    async def _stopped_within(self, wait_s: float) -> bool:
        try:
            async with asyncio.timeout(wait_s):
                return await self._stop.wait()
        except TimeoutError:
            return False


@contextmanager
def _port(settings: Settings) -> Generator[int]:
    """The port that all share, held without listening while the block lasts. Raises `CannotStart` where it is taken.

    Who only works serves nothing that is shared: each takes a free port of its own, if none is named.
    """
    if settings.port == 0 and not settings.serves:
        yield 0
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Without SO_REUSEPORT first: with it, two families would share a port and nobody would be told.
    with socket.socket(family, socket.SOCK_STREAM) as alone:
        alone.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _bind(alone, settings.host, settings.port)
        port = int(alone.getsockname()[1])
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        _bind(held, settings.host, port)
        yield port


def _bind(to: socket.socket, host: str, port: int) -> None:
    try:
        to.bind((host, port))
    except OSError as error:
        raise CannotStart(
            f"Cannot listen on {host}:{port} ({error.strerror}); choose another with --host and --port."
        ) from error


def _exit_code(code: int, *, told: bool) -> int:
    """As a shell tells it. Who was told to stop before it could hear stopped in order: it had begun nothing."""
    if told and -code in {signal.SIGTERM, signal.SIGINT}:
        return 0
    return code if code >= 0 else 128 - code
