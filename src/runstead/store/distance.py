"""How far vectors are from one another, as the databases count it. Vectors have length 1 and the distance is the Euclidean.

SQLite: `vec_distance_L2` of sqlite-vec, where the interpreter lets SQLite load extensions; many do not, and there the same
function is Python's. PostgreSQL: pgvector's, where the extension is in the database, else sums in SQL. All of them look at
every vector they are given, so all find the same (docs/decisions/0005). Vectors of different lengths must not meet here.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from contextlib import closing
from enum import StrEnum
from functools import lru_cache
from importlib import import_module
from struct import Struct
from typing import Any

from sqlalchemy import (
    ARRAY,
    REAL,
    Column,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    cast,
    column,
    func,
    literal,
    select,
    text,
)
from sqlalchemy.types import UserDefinedType

from runstead.domain.embedding import Vector

NAME = "vec_distance_L2"
QUERIES_KEPT = 8
SHAPES_KEPT = 64
# A search compares with so many vectors, the newest; words are looked for in all passages.
COMPARED_MAX = 50_000
# PostgreSQL without pgvector takes 0.6 ms for each.
COMPARED_SLOWLY_MAX = 2_000
_ADDABLE = text(
    "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector' AND installed_version IS NULL"
)
_HAS_PGVECTOR = text("SELECT to_regtype('vector') IS NOT NULL")


class Counts(StrEnum):
    """What counts distances: an extension of the database, or, where there is none, Python or SQL."""

    SQLITE_VEC = "sqlite-vec"
    PYTHON = "Python"
    PGVECTOR = "pgvector"
    SQL = "SQL"


class _PgVector(UserDefinedType[Any]):
    """pgvector's type, of any length."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        """Its name."""
        return "vector"


def stored(conn: Connection, vector: Vector) -> object:
    """A vector as a row holds it."""
    return list(vector) if conn.dialect.name == "postgresql" else array("f", vector).tobytes()


def distance(
    conn: Connection, source: FromClause, vector: Column[Any] | ColumnElement[Any], asked: Vector
) -> ColumnElement[float]:
    """How far the vectors of a column are from one, as an expression. `source` is what the column is taken from."""
    if conn.dialect.name != "postgresql":
        return getattr(func, NAME)(vector, stored(conn, asked), type_=Float)
    given = literal(list(asked), ARRAY(REAL))
    if has_pgvector(conn):
        return cast(vector, _PgVector).op("<->", return_type=Float())(cast(given, _PgVector))
    pair = func.unnest(vector, given).table_valued(column("a", REAL), column("b", REAL)).render_derived()
    apart = pair.c.a - pair.c.b
    return select(func.sqrt(func.sum(apart * apart))).select_from(pair).correlate(source).scalar_subquery()


def has_pgvector(conn: Connection) -> bool:
    """Whether a PostgreSQL has the extension, in a schema where it is found."""
    return bool(conn.scalar(_HAS_PGVECTOR))


def compared_max(conn: Connection) -> int:
    """How many vectors a search compares: what takes some two seconds at the most, for vectors of 1,024 numbers."""
    slow = conn.dialect.name == "postgresql" and not has_pgvector(conn)
    return COMPARED_SLOWLY_MAX if slow else COMPARED_MAX


def counts_here() -> Counts:
    """What counts distances for SQLite with this interpreter."""
    with closing(sqlite3.connect(":memory:")) as raw:
        return Counts.SQLITE_VEC if teach(raw) else Counts.PYTHON


def add_pgvector(conn: Connection) -> None:
    """Put the extension into a database whose server has it. Raises the driver's error where only others may."""
    if conn.scalar(_ADDABLE):
        conn.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))


def teach(raw: sqlite3.Connection) -> bool:
    """Teach a connection to SQLite the distance; True where it is sqlite-vec that counts."""
    if hasattr(raw, "enable_load_extension"):
        try:
            raw.enable_load_extension(True)  # noqa: FBT003 - the driver's own
            import_module("sqlite_vec").load(raw)
        except (ImportError, sqlite3.Error):  # no wheel for this machine, or a SQLite that refuses
            pass
        else:
            return True
        finally:
            raw.enable_load_extension(False)  # noqa: FBT003 - the driver's own
    raw.create_function(NAME, 2, counted, deterministic=True)
    return False


def counted(one: bytes, asked: bytes) -> float:
    """The distance, counted by Python: some 16 µs for 1,024 numbers."""
    return math.dist(_reader(len(one)).unpack(one), _numbers(asked))


@lru_cache(maxsize=SHAPES_KEPT)
def _reader(length_bytes: int) -> Struct:
    return Struct(f"{length_bytes // 4}f")


@lru_cache(maxsize=QUERIES_KEPT)
def _numbers(asked: bytes) -> Vector:
    return _reader(len(asked)).unpack(asked)
