"""The distance is the same whoever counts it: Python, sqlite-vec, sums in SQL, pgvector."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from array import array
from collections.abc import Iterator
from contextlib import closing
from math import dist, sqrt
from pathlib import Path

import pytest
from sqlalchemy import Connection, literal, select
from tests.services import PostgresServer, database_of
from tests.store.rows import fresh_connection

from runstead.domain.embedding import Vector
from runstead.store import distance
from runstead.store.migrate import migrate
from runstead.store.postgres import PostgresDatabase
from runstead.store.schema import passage_vectors

ONE: Vector = (0.6, 0.8, 0.0)
OTHER: Vector = (0.0, 0.6, 0.8)
FAR = dist(ONE, OTHER)
# What another interpreter is told: to load sqlite-vec as a server does, and to count.
PROGRAM = """
import sqlite3, sys
from array import array
from runstead.store.distance import NAME, teach
raw = sqlite3.connect(":memory:")
if not hasattr(raw, "enable_load_extension"):
    sys.exit(3)
assert teach(raw), "sqlite-vec was not loaded"
one, other = (array("f", each).tobytes() for each in (%r, %r))
print(raw.execute(f"SELECT {NAME}(?, ?)", (one, other)).fetchone()[0])
"""


def between(conn: Connection, one: Vector, other: Vector) -> float:
    """The distance as a database counts it."""
    column = literal(distance.stored(conn, one), passage_vectors.c.vector.type)
    source = select(column.label("vector")).subquery()
    return conn.execute(
        select(distance.distance(conn, source, source.c.vector, other)).select_from(source)
    ).scalar_one()


def test_a_database_counts_it() -> None:
    """As Python does, and to the last digit that 4 bytes keep."""
    with fresh_connection() as conn:
        assert between(conn, ONE, OTHER) == pytest.approx(FAR, abs=1e-6)
        assert between(conn, ONE, ONE) == pytest.approx(0.0, abs=1e-6)


def test_python_counts_it() -> None:
    """The function that stands in where extensions cannot be loaded."""
    one, other = (array("f", each).tobytes() for each in ((1.0, 0.0), (0.0, 1.0)))
    assert distance.counted(one, other) == pytest.approx(sqrt(2), abs=1e-6)


def test_a_connection_is_taught_once_and_for_all() -> None:
    """Whichever way; nobody can load anything else into it afterwards."""
    with closing(sqlite3.connect(":memory:")) as raw:
        distance.teach(raw)
        one = array("f", ONE).tobytes()
        assert raw.execute(f"SELECT {distance.NAME}(?, ?)", (one, one)).fetchone() == (0.0,)
        with pytest.raises(sqlite3.OperationalError):
            raw.execute("SELECT load_extension('anything')")


@pytest.mark.slow
def test_sqlite_vec_counts_the_same() -> None:
    """In an interpreter that loads extensions: this one, or the system's, if it can use what this one has installed."""
    system = shutil.which("python3", path="/usr/bin") or sys.executable
    found = [str(Path(distance.__file__).parents[2]), *(each for each in sys.path if "site-packages" in each)]
    for python in (sys.executable, system):
        done = subprocess.run(
            [python, "-c", PROGRAM % (ONE, OTHER)],
            env={"PYTHONPATH": ":".join(found)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode == 0:
            assert float(done.stdout) == pytest.approx(FAR, abs=1e-6)
            return
    pytest.skip("no interpreter here loads extensions into SQLite and has the same packages")


@pytest.fixture(params=["without", "with"])
def postgres(request: pytest.FixtureRequest) -> Iterator[tuple[str, bool]]:
    """The URL of a migrated database, and whether its server has pgvector."""
    there = request.param == "with"
    server: PostgresServer = request.getfixturevalue("pgvector_server" if there else "postgres_server")
    with database_of(server) as url:
        migrate(url)
        yield url, there


@pytest.mark.slow
def test_postgres_counts_the_same(postgres: tuple[str, bool]) -> None:
    """With the extension, which the first start adds where the server has it, and without; slower is bounded lower."""
    url, there = postgres

    def count(conn: Connection) -> tuple[bool, float, int]:
        return distance.has_pgvector(conn), between(conn, ONE, OTHER), distance.compared_max(conn)

    async def ask() -> tuple[bool, float, int]:
        db = PostgresDatabase(url, pool_size=1)
        try:
            return await db.read(count)
        finally:
            await db.close()

    most = distance.COMPARED_MAX if there else distance.COMPARED_SLOWLY_MAX
    assert asyncio.run(ask()) == (there, pytest.approx(FAR, abs=1e-6), most)
