"""The data folder: each way in which it can be unfit is told apart."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from runstead.app import data_folder
from runstead.cli.checks.data import database, folder, lock, room, space, vectors
from runstead.cli.checks.finding import State
from runstead.settings import Settings
from runstead.store.distance import Counts, counts_here
from runstead.store.migrate import migrate

GIB = 1024**3


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a server whose folder is not there yet."""
    return Settings(data_dir=tmp_path / "a" / "data")


def test_a_folder_that_can_be_made(settings: Settings) -> None:
    """Nothing is made by looking."""
    found = [folder(settings), space(settings), lock(settings), *database(settings)]

    assert {finding.state for finding in found[:4]} == {State.OK}
    assert "can be made" in found[0].told
    assert "not made yet" in found[3].told
    assert found[4] == vectors(counts_here())
    assert not settings.data_dir.exists()


def test_a_file_in_its_place(tmp_path: Path) -> None:
    """Another folder can be chosen."""
    (tmp_path / "file").touch()

    finding = folder(Settings(data_dir=tmp_path / "file"))

    assert finding.state is State.FAIL
    assert "--data-dir" in finding.advice


def test_the_lock(settings: Settings) -> None:
    """Held while a server runs, free afterwards."""
    with data_folder(settings):
        assert lock(settings).told == "a running server holds this folder"
    assert lock(settings).told == "free"


def test_room() -> None:
    """Little is a warning, next to nothing a failure."""
    states = [room("/", free).state for free in (2 * GIB, GIB // 2, 1024)]
    assert states == [State.OK, State.WARN, State.FAIL]


def test_a_current_database(settings: Settings) -> None:
    """Current and sound."""
    settings.data_dir.mkdir(parents=True)
    migrate(settings.database)

    assert [(f.check, f.state) for f in database(settings) if f.check != "vectors"] == [
        ("database", State.OK),
        ("integrity", State.OK),
    ]


def test_a_database_that_is_behind(settings: Settings) -> None:
    """It says how to bring it on."""
    settings.data_dir.mkdir(parents=True)
    migrate(settings.database)
    with closing(sqlite3.connect(settings.data_dir / "runstead.db")) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0001'")
        raw.commit()

    (finding,) = database(settings)

    assert finding.state is State.WARN
    assert "runstead db migrate" in finding.told
    assert "backup" in finding.advice


def test_a_file_that_is_no_database(settings: Settings) -> None:
    """A failure, not a traceback."""
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / "runstead.db").write_bytes(b"this is no database" * 500)

    (finding,) = database(settings)

    assert finding.state is State.FAIL
    assert "not a database" in finding.told


def test_a_damaged_database(settings: Settings) -> None:
    """A page of it was overwritten: the integrity fails, and a backup is advised."""
    settings.data_dir.mkdir(parents=True)
    migrate(settings.database)
    path = settings.data_dir / "runstead.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE ballast (x TEXT)")
        raw.executemany("INSERT INTO ballast VALUES (?)", [("y" * 500,)] * 500)
        raw.commit()
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = raw.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ballast'").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)

    found = database(settings)

    assert found[-1].state is State.FAIL
    assert "backup" in found[-1].advice


def test_postgres_that_does_not_answer(settings: Settings) -> None:
    """Named without its password."""
    url = "postgresql://me:hidden@127.0.0.1:9/runstead"

    (finding,) = database(replace(settings, database_url=url))

    assert finding.state is State.FAIL
    assert "127.0.0.1:9" in finding.told
    assert "hidden" not in finding.told + finding.advice


@pytest.mark.parametrize(
    ("counts", "state", "many"),
    [
        (Counts.SQLITE_VEC, State.OK, "50,000"),
        (Counts.PGVECTOR, State.OK, "50,000"),
        (Counts.PYTHON, State.WARN, "50,000"),
        (Counts.SQL, State.WARN, "2,000"),
    ],
)
def test_what_compares_vectors_is_named(counts: Counts, state: State, many: str) -> None:
    """Whatever is slower, or compares less, says what would help."""
    found = vectors(counts)

    assert (found.check, found.state) == ("vectors", state)
    assert counts in found.told
    assert many in found.told
    assert bool(found.advice) == (state is State.WARN)
