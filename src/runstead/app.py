"""The composition root: settings become a server. The only file that knows every part.

Order at start: the data folder is locked, the schema brought up to date, the port opened; the engine, which costs imports,
comes after. Order at the end: no new runs, held runs end or are handed over in a commit, readers are told to come back, the
port closes, the store closes.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
import uvloop
from fastapi import FastAPI

from runstead.api.server import create_api
from runstead.api.services import Services
from runstead.api.wire.events import encode
from runstead.api.wire.runs import callback_json
from runstead.clock import Clock, SystemClock
from runstead.domain.approval import ApprovalTerms
from runstead.domain.run import BusyPolicy, Run
from runstead.engine.engine import Engine
from runstead.engine.tally import CountedExecutor, CountedTools
from runstead.engine.traced import Tracing, open_tracing
from runstead.errors import CannotStart, Unavailable
from runstead.events.embedded import EmbeddedLog
from runstead.events.log import EventLog
from runstead.events.signals import NoSignals, RedisSignals, Signals
from runstead.filing import Filing
from runstead.ids import Ids, RandomIds
from runstead.llm.embeddings import ProviderEmbedder
from runstead.llm.gateway import ProviderGateway
from runstead.llm.own_providers import OwnProviders
from runstead.llm.types import Gateway
from runstead.loop.loop import AgentLoop
from runstead.memory.embedding import Embedding
from runstead.outward.inward import CALLBACKS, PROVIDERS, Inward
from runstead.retention import Retention
from runstead.runs.admit import Admission
from runstead.runs.cancel import Cancellation
from runstead.runs.expire import Expiry
from runstead.runs.feed import RunFeeds
from runstead.runs.wait import outcome
from runstead.settings import Settings
from runstead.store import actors, files, keys, runs, secrets
from runstead.store.agreed_clock import AgreedClock
from runstead.store.database import Database
from runstead.store.migrate import migrate
from runstead.store.patient import PatientDatabase
from runstead.store.sqlite import SqliteDatabase
from runstead.telemetry import Meter, configure, log
from runstead.telemetry.family import Family
from runstead.telemetry.without_sdk import load_without_sdk
from runstead.tools.workshop import Workshop, open_workshop
from runstead.ui.pages import Pages
from runstead.webhooks.deliver import Callbacks

BACKLOG = 2048
KEEP_ALIVE_S = 75
CLOSE_S = 5
LINGER_LOOK_S = 0.05

_log = log("server")


class Phase:
    """How far the server is on its way to the end."""

    def __init__(self) -> None:
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether it takes no more work."""
        return self._stopping

    def stop(self) -> None:
        """Take no more work."""
        self._stopping = True


@dataclass(frozen=True, slots=True)
class Server:
    """The parts of one process, wired. `api` can be served by anything that speaks ASGI."""

    services: Services
    engine: Engine
    callbacks: Callbacks
    retention: Retention
    expiry: Expiry
    embedder: ProviderEmbedder
    embedding: Embedding
    phase: Phase
    tracing: Tracing
    api: FastAPI


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on: where rows are, where events are, and how processes hear of each other."""

    db: Database
    log: EventLog
    signals: Signals


def build(
    settings: Settings, *, gateway: Gateway | None = None, clock: Clock | None = None, ids: Ids | None = None
) -> Server:
    """Wire the parts. `gateway`, `clock` and `ids` may be fakes. Call it inside the event loop; the schema must be there."""
    meter, phase = Meter(), Phase()
    ground = _ground(settings, meter)
    db, events = ground.db, ground.log
    clock, ids = clock or _clock(settings), ids or RandomIds()
    tracing = open_tracing(settings)
    terms = ApprovalTerms(settings.approval_expires_s, settings.approval_default)
    acting = _acting(settings, ground, meter, tracing, clock, ids, gateway, terms)
    engine, workshop = acting.engine, acting.workshop

    async def render(run: Run) -> bytes:
        return callback_json(run, await outcome(events, run.id))

    cancellation = Cancellation(db, events, clock, ids, engine)
    admission = Admission(
        db,
        clock,
        ids,
        events,
        encode,
        engine.dispatch,
        lambda: phase.stopping,
        end_soon=cancellation.end_soon,
        busy_policy=BusyPolicy(settings.busy_policy),
        traced=tracing.admission,
    )
    services = Services(
        settings=settings,
        clock=clock,
        ids=ids,
        db=db,
        log=events,
        gateway=acting.gateway,
        admission=admission,
        cancellation=cancellation,
        feeds=RunFeeds(db, clock),
        lifecycle=phase,
        workshop=workshop,
        own_providers=acting.brought,
        filing=Filing(PatientDatabase(db), workshop.reader, workshop.memory, clock),
        meter=meter,
        family=_family(settings, meter, clock),
    )
    api = create_api(services)
    api.router.routes.extend(Pages().routes())
    return Server(
        services=services,
        engine=engine,
        callbacks=Callbacks(settings, db, clock, render, _callback_places(settings, db)),
        retention=Retention(settings, db, events, clock, meter),
        expiry=Expiry(db, clock, admission, terms, settings.reconcile_s),
        embedder=acting.embedder,
        embedding=Embedding(db, workshop.memory, clock),
        phase=phase,
        tracing=tracing,
        api=api,
    )


@dataclass(frozen=True, slots=True)
class _Acting:
    """What makes agents act: models, tools and memory, and the engine that takes runs through them."""

    gateway: Gateway
    brought: OwnProviders
    embedder: ProviderEmbedder
    workshop: Workshop
    engine: Engine


def _acting(
    settings: Settings,
    ground: _Ground,
    meter: Meter,
    tracing: Tracing,
    clock: Clock,
    ids: Ids,
    gateway: Gateway | None,
    terms: ApprovalTerms,
) -> _Acting:
    patient = PatientDatabase(ground.db)
    embedder = ProviderEmbedder(settings)
    workshop = open_workshop(settings, patient, embedder, tracing.tools(CountedTools(meter, clock)))
    inward = Inward(settings.provider_allow_hosts, PROVIDERS, open_here(settings, ground.db))
    brought = OwnProviders(patient, workshop.vault, inward.reach)
    gateway = gateway or ProviderGateway(settings, clock, own=brought)
    asked = tracing.gateway(gateway, clock)
    traces = settings.provider_trace
    loop = AgentLoop(patient, asked, workshop.toolbox, clock, ids, terms, traces=traces)
    executor = tracing.executor(CountedExecutor(loop, meter))
    engine = Engine(settings, ground.db, ground.log, clock, ids, executor, ground.signals)
    meter.watch("runstead_leases_held", lambda: engine.owner.held)
    meter.watch("runstead_lease_age_seconds", lambda: engine.owner.lease_age_s)
    return _Acting(gateway, brought, embedder, workshop, engine)


def _clock(settings: Settings) -> Clock:
    """This machine's, or the one that all processes on a PostgreSQL agree on."""
    return AgreedClock(SystemClock()) if settings.on_postgres else SystemClock()


def _callback_places(settings: Settings, db: Database) -> Inward:
    """Where callbacks may be posted."""
    return Inward(settings.callback_allow_hosts, CALLBACKS, open_here(settings, db))


def _family(settings: Settings, meter: Meter, clock: Clock) -> Family | None:
    """The processes that this one shares its port with, if any."""
    if settings.family_dir is None:
        return None
    return Family(settings.family_dir, settings.family_place, meter, clock)


def open_here(settings: Settings, db: Database) -> Callable[[], Awaitable[bool]]:
    """How to ask whether this server answers everybody on this machine, and nobody else."""

    async def ask() -> bool:
        # One that only works cannot know what the one that serves listens to.
        if not (settings.on_loopback and settings.serves) or settings.server_password is not None:
            return False
        return not await db.read(keys.any_keys)

    return ask


def _ground(settings: Settings, meter: Meter) -> _Ground:
    """SQLite and a log in it; or PostgreSQL, with Redis where it is given. What is not used is not imported."""
    if not settings.on_postgres:
        path = Path(settings.database.removeprefix("sqlite:///"))
        db = SqliteDatabase(path, synchronous=settings.sqlite_synchronous)
        return _Ground(db, EmbeddedLog(db, encode, meter), NoSignals())
    postgres: Any = import_module("runstead.store.postgres")
    shared: Any = import_module("runstead.events.shared")
    rows: Database = postgres.PostgresDatabase(settings.database, pool_size=settings.database_pool_size)
    if not settings.redis_url:
        return _Ground(rows, shared.SharedLog(rows, encode, None, meter), NoSignals())
    hot = load_without_sdk("runstead.events.hot")
    streams = hot.HotStreams(settings.redis_url)
    return _Ground(rows, shared.SharedLog(rows, encode, streams, meter), RedisSignals(streams))


async def prepare(server: Server) -> None:
    """What must be there before anybody is answered."""
    services = server.services
    if isinstance(services.clock, AgreedClock):
        await services.clock.agree(services.db)
    await services.db.write(actors.ensure_defaults, services.clock.now())
    if not services.settings.on_postgres:
        # The data folder is this process's alone: whoever owned a run before is dead.
        await services.db.write(runs.disown_all)
        await services.db.write(files.disown_all)
    await _seal_what_is_open(services)
    await services.log.open()


@asynccontextmanager
async def running(server: Server) -> AsyncGenerator[Server]:
    """A server that is prepared, with its parts at work."""
    await prepare(server)
    async with working(server):
        yield server


@asynccontextmanager
async def working(server: Server) -> AsyncGenerator[Server]:
    """Run the parts behind the API; on the way out, stop them in order and lose nothing."""
    services = server.services
    try:
        async with asyncio.TaskGroup() as group:
            logging = group.create_task(services.log.run())
            engine = group.create_task(server.engine.run())
            chores = [group.create_task(each) for each in _chores(server)]
            try:
                yield server
            finally:
                server.phase.stop()
                server.engine.shut_down()
                await asyncio.wait({engine})
                for chore in chores:
                    chore.cancel()
                await services.log.close()
                logging.cancel()
    finally:
        server.embedder.close()
        await services.gateway.close()
        await services.db.close()
        await server.tracing.close()


async def _seal_what_is_open(services: Services) -> None:
    """An older version kept agents' secrets as they were. Raises `CannotStart` where there is no key to seal them with."""
    if not await services.db.read(secrets.any_open):
        return
    try:
        await services.db.write(secrets.seal_open, services.workshop.vault.seal)
    except Unavailable as error:
        await services.db.close()
        raise CannotStart(error.detail) from error


def _chores(server: Server) -> Sequence[Coroutine[None, None, None]]:
    """What is done beside the runs: by every process, and by those that work."""
    always = [server.services.cancellation.run(), server.services.workshop.mcp.connections.run()]
    if (family := server.services.family) is not None:
        always.append(family.run(server.services.log_sizes))
    if not server.services.settings.works:
        return always
    worked = (server.callbacks, server.retention, server.expiry, server.embedding, server.services.filing)
    return (*always, *(chore.run() for chore in worked))


async def drain(server: Server) -> None:
    """Take no new runs, let held ones end or hand them over, then tell every reader to come back.

    Who cannot come back (it waits for an answer, or follows a run that is not in the background) may stay a while longer:
    another process may be going on with its run.
    """
    server.phase.stop()
    server.engine.shut_down()
    await server.engine.drained.wait()
    log_, settings = server.services.log, server.services.settings
    log_.release(lingering=False)
    server.services.feeds.release()
    try:
        async with asyncio.timeout(settings.drain_s):
            while log_.lingering:  # noqa: ASYNC110 - readers come to their end one by one, and none tells
                await asyncio.sleep(LINGER_LOOK_S)
    except TimeoutError:
        pass
    log_.release()


OnReady = Callable[[Server], Coroutine[None, None, None]]


def serve(settings: Settings, on_ready: OnReady | None = None) -> int:
    """Serve until SIGTERM or SIGINT; gives the exit code. Raises `CannotStart` with one sentence that says what to do."""
    configure(settings.log_level, as_json=settings.log_json, secrets=settings.secrets())
    if settings.redis_url and not settings.on_postgres:
        raise CannotStart(
            "RUNSTEAD_REDIS_URL (or LETTA_REDIS_HOST) is for several processes, and those share a PostgreSQL:"
            " set RUNSTEAD_DATABASE_URL=postgresql://… too, or unset it; one process on SQLite needs no Redis."
        )
    with nullcontext() if settings.on_postgres else data_folder(settings):
        migrate(settings.database)
        listening = _listen(settings)
        settings = replace(settings, port=listening.getsockname()[1])
        return uvloop.run(_serve(settings, listening, on_ready))


@contextmanager
def data_folder(settings: Settings) -> Generator[None]:
    """Hold the data folder: one process at a time may serve from it. Raises `CannotStart`."""
    folder = settings.data_dir
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / "runstead.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CannotStart(
            f"The data folder {folder} cannot be written ({error.strerror}); choose another with --data-dir."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise CannotStart(
            f"Another Runstead serves from {folder}; stop it, or choose another folder with --data-dir."
        ) from error
    try:
        yield
    finally:
        os.close(lock)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        raise CannotStart(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); choose another with --host and --port."
        ) from error
    listening.set_inheritable(False)
    return listening


def _stop_with(pid: int, stop: asyncio.Event) -> None:
    """Stop when the process that watches this one is gone, however it went."""
    if os.getppid() != pid:
        stop.set()
        return
    ended = os.pidfd_open(pid)

    def gone() -> None:
        asyncio.get_running_loop().remove_reader(ended)
        os.close(ended)
        stop.set()

    asyncio.get_running_loop().add_reader(ended, gone)


class _Http(uvicorn.Server):
    """uvicorn, with the signals left to us: a stop drains first and closes the port last."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Take no signal."""
        yield


async def _serve(settings: Settings, listening: socket.socket, on_ready: OnReady | None) -> int:
    server = build(settings)
    if not settings.on_loopback and settings.server_password is None:
        if not await server.services.db.read(keys.any_keys):
            await server.services.db.close()
            raise CannotStart(
                f"Refusing to listen on {settings.host}: anybody who reaches it could use it. Set RUNSTEAD_SERVER_PASSWORD,"
                " or make a key with `runstead keys create NAME`, or listen on 127.0.0.1."
            )
    http = _Http(
        uvicorn.Config(
            server.api,
            loop="none",
            http="httptools",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=CLOSE_S,
            server_header=False,
        )
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if settings.supervisor_pid:
        _stop_with(settings.supervisor_pid, stop)
    await prepare(server)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(http.serve(sockets=[listening]))
        async with working(server):
            while not (http.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.001)
            announcing = [group.create_task(server.services.workshop.sandbox.announce())]
            if on_ready is not None:
                announcing.append(group.create_task(on_ready(server)))
            await stop.wait()
            for task in announcing:
                task.cancel()
            await drain(server)
            http.should_exit = True
            await asyncio.wait({serving})
    return 0
