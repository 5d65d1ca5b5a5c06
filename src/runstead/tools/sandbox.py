"""User code, run where it can do no harm: a fresh process a call, fenced in, killed with its run.

Never in the server's process, and nothing that comes back is ever unpickled: the answer is JSON with texts in it. What the
code prints is cut while it is read. A crash, a hang, a bomb or a flood end that process and become an error for the model.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from tempfile import mkdtemp
from typing import cast

import orjson

from runstead.settings import Settings
from runstead.telemetry import log
from runstead.tools import litter
from runstead.tools.enclosure import (
    ENVIRONMENT,
    HOME_INSIDE,
    OWN_FILES,
    Fence,
    interpreter,
    node,
)
from runstead.tools.ending import end, end_all_of
from runstead.tools.footprint import processes_of, resident_bytes
from runstead.tools.passing_users import PLACES, NobodyLeft, PassingUsers
from runstead.tools.turns import Turns

PROCESSES_MAX = 48
OPEN_FILES_MAX = 256
FILE_BYTES_MAX = 64 * 1024 * 1024
OUTPUT_KEPT_BYTES = 64 * 1024  # of each of standard output and error
OUTPUT_BYTES_MAX = 8 * 1024 * 1024  # then the code is stopped
ANSWER_BYTES_MAX = 16 * 1024 * 1024
CHUNK_BYTES = 64 * 1024
TOGETHER_FACTOR = 2  # how much more all processes of a call may take than each of them
WATCH_S = 0.25
PROBE_S = 10.0
GRACE_S = 2.0
_MEBIBYTE = 1024 * 1024

_log = log("sandbox")


class SandboxUnavailable(Exception):
    """User code cannot be run here; the text says why and what its operator can do."""


class FenceKind(StrEnum):
    """How user code is fenced in."""

    BUBBLEWRAP = "bubblewrap"
    PROCESS = "process"


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do, for an actor (`owner`). `environment` may hold secrets; it reaches nobody but the code."""

    kind: str
    source: str
    name: str = ""
    arguments: Mapping[str, object] = field(default_factory=dict[str, object])
    args_schema: Mapping[str, object] | None = None
    parameters: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    agent: Mapping[str, object] | None = None
    packages: Path | None = None
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a job. `traceback` shows the user's lines only; `schemas` only where a schema was asked for.

    `filtered`: the kernel refused it what reaches over the fence; `walled`: and every file but its own and the system's.
    """

    ok: bool
    text: str
    stdout: str = ""
    stderr: str = ""
    traceback: str = ""
    schemas: Mapping[str, object] | None = None
    filtered: bool = False
    walled: bool = False


def _failed(text: str, printed: tuple[str, str]) -> Ran:
    stdout, stderr = printed
    return Ran(ok=False, text=text, stdout=stdout, stderr=stderr)


class Sandbox:
    """Runs jobs, a few at a time. How they are fenced in is found out once, when it is first needed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._python = interpreter(settings.sandbox_python)
        self._kind: FenceKind | SandboxUnavailable | None = None
        self._filtered = False
        self._walled = False
        self._choosing = asyncio.Lock()
        self._turns = Turns(settings.sandbox_calls_max)
        self._memory_bytes = settings.sandbox_memory_mb * _MEBIBYTE
        # Where a machine can write to neither of the usual places, its servers agree no further than their data.
        self._users = PassingUsers(places=(*PLACES, str(settings.data_dir)))

    async def kind(self) -> FenceKind:
        """How user code is fenced in here. Raises `SandboxUnavailable`."""
        async with self._choosing:
            if self._kind is None:
                self._kind = await self._choose()
        if isinstance(self._kind, SandboxUnavailable):
            raise self._kind
        return self._kind

    async def announce(self) -> None:
        """Tell the operator at the start what user code can do here, unless it is fenced in well or wanted so.

        As root, what calls of killed servers left behind is ended and removed first.
        """
        if os.geteuid() == 0:
            await self._reclaim()
        try:
            kind = await self.kind()
        except SandboxUnavailable as why:
            if self.settings.sandbox != "off":
                _log.warning("user code is not run", why=str(why))
            return
        if kind is FenceKind.PROCESS and self.settings.sandbox == "auto":
            _log.warning(
                "user code is fenced in weakly", why="bubblewrap cannot be used here: " + self._weak()
            )

    async def _reclaim(self) -> None:
        try:
            found = await asyncio.to_thread(self._users.reclaim)
        except (NobodyLeft, OSError) as error:
            _log.warning("what calls of a killed server left behind cannot be looked for", error=str(error))
            return
        if found:
            _log.warning("what calls of a server that was killed left behind is gone now", users=len(found))

    def _weak(self) -> str:
        """What the weaker fence lets through on this machine."""
        reads = "tools share the system" if self._walled else "tools can read what every user may read"
        return reads if self._filtered else reads + " and reach the network"

    async def run(self, job: Job, *, timeout_s: float) -> Ran:
        """Do a job, whatever comes of it. Raises `SandboxUnavailable`; cancelled, it kills what it started."""
        kind = await self.kind()
        async with self._turns.turn(job.owner):
            return await self._run(kind, job, timeout_s)

    async def _run(self, kind: FenceKind, job: Job, timeout_s: float) -> Ran:
        """Do a job, as root in the name of a user that is nobody else's meanwhile."""
        try:
            with self._users.lend() if os.geteuid() == 0 else nullcontext() as uid:
                return await self._run_as(uid, kind, job, timeout_s)
        except NobodyLeft as why:
            raise SandboxUnavailable(str(why)) from why

    async def _run_as(self, uid: int | None, kind: FenceKind, job: Job, timeout_s: float) -> Ran:
        own = uid if kind is FenceKind.PROCESS else None
        if own is not None:  # a call of a server that was killed may still be going on
            await asyncio.to_thread(end_all_of, own)
        async with self._place(kind, uid) as home:
            process = await self._start(kind, job, home, uid)
            try:
                try:
                    body = self._told(kind, job, uid, timeout_s, home)
                except orjson.JSONEncodeError:
                    return _failed("its arguments are nested too deeply.", process.printed)
                async with asyncio.timeout(timeout_s):
                    return await process.finish(body)
            except TimeoutError:
                return _failed(f"it took longer than {timeout_s:g} s and was stopped.", process.printed)
            finally:
                await process.kill()
                if own is not None:
                    await asyncio.to_thread(end_all_of, own)

    async def _start(self, kind: FenceKind, job: Job, home: str, uid: int | None) -> _Process:
        fence = Fence(
            self._python, self.settings.sandbox_network, self.settings.data_dir.resolve(), job.packages
        )
        reading, writing = os.pipe()
        command = fence.bubblewrap(writing) if kind is FenceKind.BUBBLEWRAP else fence.process(writing)
        starting = asyncio.get_running_loop().create_task(
            asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                pass_fds=(writing,),
                env=ENVIRONMENT,
                cwd=home if kind is FenceKind.PROCESS else "/",
                start_new_session=True,
            )
        )
        try:
            return _Process(await asyncio.shield(starting), reading, *self._watched(kind, home, uid))
        except OSError as error:
            os.close(reading)
            raise SandboxUnavailable(f"The sandbox cannot be started ({error.strerror}).") from error
        except asyncio.CancelledError:
            # What is being started is there a moment later: it must not be left to itself.
            await asyncio.wait({starting})
            if starting.exception() is None:
                await _Process(starting.result(), reading).kill()
            else:
                os.close(reading)
            raise
        finally:
            os.close(writing)

    def _watched(self, kind: FenceKind, home: str, uid: int | None) -> tuple[int, str | None, int | None]:
        """What is looked at while a call runs: inside of name spaces its folders are bounded by themselves."""
        own = kind is FenceKind.PROCESS
        return self._memory_bytes, home if own else None, uid if own else None

    def _told(self, kind: FenceKind, job: Job, uid: int | None, timeout_s: float, home: str) -> bytes:
        # Node reserves far more addresses than it uses memory: only what it uses can be limited.
        bound = "RLIMIT_DATA" if job.kind == "javascript" else "RLIMIT_AS"
        fence = Fence(self._python, self.settings.sandbox_network, Path("/"), job.packages)
        inside = kind is FenceKind.BUBBLEWRAP
        place = HOME_INSIDE if inside else home
        return orjson.dumps(
            {
                "job": job.kind,
                "source": job.source,
                "name": job.name,
                "arguments": job.arguments,
                "args_schema": job.args_schema,
                "parameters": job.parameters,
                "agent": job.agent,
                "environment": {**ENVIRONMENT, "HOME": place, "TMPDIR": place, **job.environment},
                "paths": fence.paths(inside=inside),
                "shown": None if inside else fence.shown(),
                "own": [home, *OWN_FILES],
                "node": node(),
                "network": self.settings.sandbox_network,
                "memory_mb": self.settings.sandbox_memory_mb // 2,
                "uid": uid,
                "limits": {
                    bound: self._memory_bytes,
                    "RLIMIT_CPU": int(timeout_s) + 1,
                    "RLIMIT_NPROC": PROCESSES_MAX,
                    "RLIMIT_FSIZE": FILE_BYTES_MAX,
                    "RLIMIT_NOFILE": OPEN_FILES_MAX,
                    "RLIMIT_CORE": 0,
                },
            }
        )

    @asynccontextmanager
    async def _place(self, kind: FenceKind, uid: int | None) -> AsyncGenerator[str]:
        """The folder that the code may write to; bubblewrap makes one that lives in memory."""
        if kind is FenceKind.BUBBLEWRAP:
            yield HOME_INSIDE
            return
        folder = await asyncio.to_thread(mkdtemp, prefix="runstead-tool-")
        try:
            if uid is not None:
                os.chown(folder, uid, uid)
            yield folder
        finally:
            await asyncio.to_thread(litter.clear, folder, uid)

    async def _choose(self) -> FenceKind | SandboxUnavailable:
        wanted = self.settings.sandbox
        if wanted == "off":
            return SandboxUnavailable("This server runs no user code (RUNSTEAD_SANDBOX=off).")
        # Twice: a machine that is busy at the wrong moment shall not have the weaker fence for ever.
        for _ in range(2 if wanted in {"auto", "bubblewrap"} else 0):
            if await self._works(FenceKind.BUBBLEWRAP):
                return FenceKind.BUBBLEWRAP
        if wanted == "bubblewrap":
            return SandboxUnavailable(
                "This server runs user code under bubblewrap only, which does not work here: install `bwrap`, and let it"
                " make name spaces."
            )
        if wanted == "auto" and not self.settings.on_loopback:
            return SandboxUnavailable(
                "This server can be reached from other machines, and bubblewrap does not work here, so it runs no user"
                " code. Install `bwrap` and let it make name spaces, or set RUNSTEAD_SANDBOX=process to accept the weaker"
                " fence."
            )
        if os.geteuid() == 0 and not self._python.readable_by_all:
            return SandboxUnavailable(
                f"User code would run as another user, who may not read {self._python.binary}; set RUNSTEAD_SANDBOX_PYTHON"
                " to an interpreter that everybody may read, such as /usr/bin/python3."
            )
        if await self._works(FenceKind.PROCESS):
            return FenceKind.PROCESS
        return SandboxUnavailable(f"{self._python.binary} cannot be started for user code.")

    async def _works(self, kind: FenceKind) -> bool:
        """Whether a job comes through it."""
        if kind is FenceKind.BUBBLEWRAP and shutil.which("bwrap") is None:
            return False
        try:
            async with asyncio.timeout(PROBE_S + GRACE_S):
                ran = await self._run(kind, Job("code", "1 + 1"), PROBE_S)
        except (SandboxUnavailable, TimeoutError, OSError):
            return False
        if not ran.ok or ran.text != "2":
            _log.info("a sandbox does not work", kind=kind.value, said=(ran.text + ran.stderr)[:500])
        self._filtered, self._walled = ran.filtered, ran.walled
        return ran.ok and ran.text == "2"


class _Process:
    """A started process, the pipe its answer comes through, and what it printed so far."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        answers: int,
        memory_bytes: int = 0,
        home: str | None = None,
        uid: int | None = None,
    ) -> None:
        self._process = process
        self._answers = answers
        self._uid = uid
        self._memory_bytes = memory_bytes
        self._home = home
        self._too_large = False
        self._wrote_too_much = False
        self._stdout = bytearray()
        self._stderr = bytearray()
        self._printed = 0

    @property
    def printed(self) -> tuple[str, str]:
        """Standard output and error, as much as is kept."""
        return _text(self._stdout), _text(self._stderr)

    async def finish(self, body: bytes) -> Ran:
        """Give it its job and read its answer, or why there is none."""
        answer = bytearray()
        async with asyncio.TaskGroup() as group:
            said = [
                group.create_task(self._drain(self._process.stdout, self._stdout)),
                group.create_task(self._drain(self._process.stderr, self._stderr)),
            ]
            watching = group.create_task(self._watch())
            group.create_task(self._give(body))
            whole = await self._read_answer(answer)
            if whole:
                # It flushed before it answered; what its own children still print is not waited for.
                await asyncio.wait(said, timeout=0.05)
            else:
                await asyncio.wait(said, timeout=GRACE_S)
            self._signal()
            for task in (watching, *said):
                task.cancel()
        if self._printed > OUTPUT_BYTES_MAX:
            return _failed(
                f"it printed more than {OUTPUT_BYTES_MAX // _MEBIBYTE} MiB and was stopped.", self.printed
            )
        if self._too_large:
            mebibytes = TOGETHER_FACTOR * self._memory_bytes // _MEBIBYTE
            return _failed(f"its processes took more than {mebibytes} MiB of memory together.", self.printed)
        if self._wrote_too_much:
            most = f"{litter.WRITTEN_BYTES_MAX // _MEBIBYTE} MiB or {litter.WRITTEN_FILES_MAX} files"
            return _failed(f"it wrote more than {most} and was stopped.", self.printed)
        if not whole:
            await self._process.wait()
            return _failed(_no_answer(self._process.returncode, len(answer)), self.printed)
        return self._ran(bytes(answer))

    async def kill(self) -> None:
        """End it and all that it started; returns when it is gone and its pipes are closed."""
        self._signal()
        os.close(self._answers)
        await self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            assert pipe is not None, "both are pipes"
            try:
                async with asyncio.timeout(GRACE_S):
                    while await pipe.read(CHUNK_BYTES):
                        continue
            except TimeoutError:
                continue  # somebody who left the group holds it open

    def _signal(self) -> None:
        end(self._process.pid)

    async def _watch(self) -> None:
        """Stop it where its processes take too much memory together, or too much of the disk."""
        while not (self._too_large or self._wrote_too_much):
            await asyncio.sleep(WATCH_S)
            await asyncio.to_thread(self._look)
        self._signal()

    def _look(self) -> None:
        pids = processes_of(self._process.pid, self._uid)
        self._too_large = resident_bytes(pids) > TOGETHER_FACTOR * self._memory_bytes
        if self._home is None:
            self._wrote_too_much = litter.too_many_inside(pids)
        else:
            self._wrote_too_much = litter.too_much(self._home, self._uid, pids)

    async def _give(self, body: bytes) -> None:
        stdin = cast("asyncio.StreamWriter", self._process.stdin)
        if stdin.is_closing():  # it ended before it was given anything: what it lacks is told by who reads it
            return
        try:
            stdin.write(body)
            await stdin.drain()
            stdin.close()
        except (ConnectionError, RuntimeError):  # it ended before it read; uvloop says so by the latter
            return

    async def _drain(self, stream: asyncio.StreamReader | None, kept: bytearray) -> None:
        assert stream is not None, "both are pipes"
        while chunk := await stream.read(CHUNK_BYTES):
            self._printed += len(chunk)
            kept += chunk[: max(0, OUTPUT_KEPT_BYTES - len(kept))]
            if self._printed > OUTPUT_BYTES_MAX:
                self._signal()
                return

    async def _read_answer(self, answer: bytearray) -> bool:
        """Read until the line is whole. False: it ended without one, or never ended."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        os.set_blocking(self._answers, False)
        loop.add_reader(self._answers, ready.set)
        try:
            while len(answer) <= ANSWER_BYTES_MAX:
                await ready.wait()
                ready.clear()
                try:
                    chunk = os.read(self._answers, CHUNK_BYTES)
                except BlockingIOError:
                    continue
                answer += chunk
                if not chunk or chunk.endswith(b"\n"):
                    return bool(chunk)
            return False
        finally:
            loop.remove_reader(self._answers)

    def _ran(self, line: bytes) -> Ran:
        try:
            found: object = orjson.loads(line)
        except orjson.JSONDecodeError:
            return _failed("it wrote into the place of its own answer.", self.printed)
        if not isinstance(found, dict):
            return _failed("it wrote into the place of its own answer.", self.printed)
        answer = cast("Mapping[str, object]", found)
        schemas = answer.get("schemas")
        return Ran(
            answer.get("status") == "success",
            _plain(str(answer.get("text", ""))),
            *self.printed,
            _plain(str(answer.get("traceback", ""))),
            cast("Mapping[str, object]", schemas) if isinstance(schemas, dict) else None,
            filtered=answer.get("filtered") is True,
            walled=answer.get("walled") is True,
        )


def _no_answer(code: int | None, received: int) -> str:
    if received > ANSWER_BYTES_MAX:
        return f"its answer has more than {ANSWER_BYTES_MAX // _MEBIBYTE} MiB."
    # bubblewrap gives a signal as a shell does: 128 and its number.
    number = -code if code is not None and code < 0 else (code or 0) - 128
    if number == signal.SIGXCPU:
        return "it used up its time on the processor."
    if number > 0:
        return f"its process was killed (signal {number}); it may have used too much memory."
    return f"its process ended without an answer (exit code {code})."


def _text(raw: bytearray) -> str:
    cut = " [cut]" if len(raw) >= OUTPUT_KEPT_BYTES else ""
    return _plain(raw.decode("utf-8", "replace")) + cut


def _plain(text: str) -> str:
    """Text without what some databases cannot keep."""
    return text.replace("\0", "\\0")
