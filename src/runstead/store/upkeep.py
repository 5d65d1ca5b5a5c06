"""Looking after a database from outside of a server: how it stands, a check, a copy, a rewrite. Never changes what is in it.

Works beside a running server. SQLite is copied and rewritten here; Postgres has tools of its own for that.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, create_engine, func, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from runstead.errors import CannotStart, Invalid
from runstead.store.distance import Counts, counts_here, has_pgvector
from runstead.store.migrate import HEAD, VERSION_TABLE
from runstead.store.schema import metadata

T = TypeVar("T")
SQLITE_VERSION = sqlite3.sqlite_version_info
WAIT_S_MAX = 30.0
LOOK_S = 0.1
CONNECT_S_MAX = 5.0
FAULTS_MAX = 5


@dataclass(frozen=True, slots=True)
class Stand:
    """How a database stands. `version` None: there is none yet. `rows` by table; `bytes` with all its files.

    `counts`: what compares vectors there.
    """

    kind: str
    place: str
    version: str | None
    head: str
    bytes: int
    unused_bytes: int
    rows: Mapping[str, int]
    counts: Counts

    @property
    def current(self) -> bool:
        """Whether it has this version's schema."""
        return self.version == self.head


def stand_of(url: str) -> Stand:
    """How the database stands. Raises `CannotStart` where it cannot be read or reached."""
    place = _parsed(url)
    if _is_sqlite(place):
        path = sqlite_path(url)
        if not path.exists():
            return Stand("SQLite", str(path), None, HEAD, 0, 0, {}, counts_here())
        return _read_sqlite(path, lambda conn: _stand(conn, "SQLite", str(path)))
    return asyncio.run(_read_postgres(place))


def faults_of(url: str) -> list[str]:
    """What SQLite's own check finds wrong with the file; nothing where all is well."""

    def check(conn: Connection) -> list[str]:
        found = conn.exec_driver_sql(f"PRAGMA quick_check({FAULTS_MAX})").scalars().all()
        return [str(each) for each in found if each != "ok"]

    return _read_sqlite(sqlite_path(url), check)


def sqlite_path(url: str) -> Path:
    """The file of a SQLite database. Raises `Invalid` for any other kind."""
    place = _parsed(url)
    if not _is_sqlite(place):
        raise Invalid(f"This is for SQLite; {shown(url)} has tools of its own (pg_dump, VACUUM).")
    return Path(place.database or "")


def shown(url: str) -> str:
    """The URL without the password in it."""
    return _parsed(url).set(query={}).render_as_string(hide_password=True)


def backup(url: str, to: Path, move: Callable[[int], None]) -> int:
    """Copy the database into a new file while it is used, and check the copy; gives its size. `move` is told how far it is.

    The copy is one snapshot: writers go on meanwhile. Raises `CannotStart` where it cannot be made; nothing is left then.
    """
    path = _there(url)
    if to.exists():
        raise CannotStart(f"{to} is there already; choose a name that is not.")
    partial = to.with_name(to.name + ".partial")
    _needs_room(to.parent, files_bytes(path))
    try:
        partial.unlink(missing_ok=True)
        _while_working(lambda: _vacuum_into(path, partial), lambda: move(_bytes(partial)))
        faults = faults_of(f"sqlite:///{partial}")
        if faults:
            raise CannotStart(f"The copy is not sound ({'; '.join(faults)}): the database is damaged.")
        partial.rename(to)
    except (sqlite3.Error, OSError) as error:
        raise CannotStart(f"The copy {to} cannot be made: {error}.") from error
    finally:
        partial.unlink(missing_ok=True)
    return _bytes(to)


def vacuum(url: str, look: Callable[[int], None]) -> tuple[int, int]:
    """Rewrite the file without its unused pages; gives its size before and after. Raises `CannotStart`."""
    path = _there(url)
    before = files_bytes(path)
    _needs_room(path.parent, before)

    def rewrite() -> None:
        with closing(sqlite3.connect(path, timeout=WAIT_S_MAX, isolation_level=None)) as raw:
            raw.execute("VACUUM")
            raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    try:
        _while_working(rewrite, lambda: look(files_bytes(path)))
    except sqlite3.Error as error:
        raise CannotStart(
            f"{path} cannot be rewritten now ({error}); stop the server and try again."
        ) from error
    return before, files_bytes(path)


def files_bytes(path: Path) -> int:
    """The size of a SQLite database with the files beside it."""
    return sum(_bytes(path.with_name(path.name + ending)) for ending in ("", "-wal", "-shm"))


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise Invalid(
            "RUNSTEAD_DATABASE_URL is no URL of a database; give one like sqlite:////path/runstead.db."
        ) from error


def _is_sqlite(place: URL) -> bool:
    return place.get_backend_name() == "sqlite"


def _there(url: str) -> Path:
    path = sqlite_path(url)
    if not path.exists():
        raise CannotStart(
            f"There is no database at {path} yet; `runstead serve` or `runstead db migrate` makes it."
        )
    return path


def _needs_room(folder: Path, size: int) -> None:
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise CannotStart(
            f"The folder {folder} cannot be used ({error.strerror}); choose another."
        ) from error
    if free < size:
        raise CannotStart(
            f"{folder} has {free} bytes free, but {size} are needed: make room or choose another place."
        )


def _vacuum_into(path: Path, to: Path) -> None:
    with closing(sqlite3.connect(path, timeout=WAIT_S_MAX, isolation_level=None)) as raw:
        raw.execute("VACUUM INTO ?", (str(to),))


def _while_working(work: Callable[[], None], look: Callable[[], None]) -> None:
    """Do something slow, and look at it again and again meanwhile. Raises what the work raises."""
    raised: list[BaseException] = []
    done = threading.Event()

    def worker() -> None:
        try:
            work()
        except (sqlite3.Error, OSError) as error:
            raised.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=worker, name="runstead-upkeep")
    thread.start()
    while not done.wait(LOOK_S):
        look()
    thread.join()
    if raised:
        raise raised[0]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # also where the server that stops takes its own away just now
        return 0


def _read_sqlite(path: Path, query: Callable[[Connection], T]) -> T:
    engine = create_engine(f"sqlite:///file:{path}?mode=ro&uri=true", poolclass=NullPool)
    try:
        with engine.connect() as conn:
            return query(conn)
    except SQLAlchemyError as error:
        raise CannotStart(f"The database {path} cannot be read: {getattr(error, 'orig', error)}.") from error
    finally:
        engine.dispose()


async def _read_postgres(place: URL) -> Stand:
    told = place.set(query={}).render_as_string(hide_password=True)
    # The driver knows libpq's option by a shorter name, and takes the same words for it.
    options = {("ssl" if name == "sslmode" else name): value for name, value in place.query.items()}
    url = place.set(drivername="postgresql+asyncpg", query=options)
    try:
        engine = create_async_engine(url, poolclass=NullPool, connect_args={"timeout": CONNECT_S_MAX})
        async with engine.connect() as conn:
            return await conn.run_sync(lambda sync: _stand(sync, "PostgreSQL", told))
    except (
        SQLAlchemyError,
        OSError,
        TimeoutError,
        TypeError,
    ) as error:  # TypeError: an option that the driver lacks
        why = getattr(error, "orig", None) or error
        raise CannotStart(
            f"The database {told} cannot be reached: {str(why) or type(why).__name__}."
        ) from error


def _stand(conn: Connection, kind: str, place: str) -> Stand:
    tables = set(inspect(conn).get_table_names())
    version = None
    if VERSION_TABLE in tables:
        version = conn.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
    rows = {
        name: int(conn.scalar(select(func.count()).select_from(table)) or 0)
        for name, table in sorted(metadata.tables.items())
        if name in tables
    }
    if kind == "PostgreSQL":
        size, unused = _postgres_bytes(conn)
        counts = Counts.PGVECTOR if has_pgvector(conn) else Counts.SQL
    else:
        size, unused = _sqlite_bytes(conn, Path(place))
        counts = counts_here()
    return Stand(kind, place, version, HEAD, size, unused, rows, counts)


def _sqlite_bytes(conn: Connection, path: Path) -> tuple[int, int]:
    page = int(conn.exec_driver_sql("PRAGMA page_size").scalar() or 0)
    unused = int(conn.exec_driver_sql("PRAGMA freelist_count").scalar() or 0)
    return files_bytes(path), page * unused


def _postgres_bytes(conn: Connection) -> tuple[int, int]:
    return int(conn.scalar(text("SELECT pg_database_size(current_database())")) or 0), 0
