"""Looking after a database: read without changing, copied while it is written, rewritten smaller."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from runstead.errors import CannotStart, Invalid
from runstead.store.migrate import HEAD, migrate
from runstead.store.upkeep import backup, faults_of, shown, stand_of, vacuum


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A current database."""
    made = f"sqlite:///{tmp_path / 'runstead.db'}"
    migrate(made)
    return made


def filled(url: str, rows: int) -> Path:
    """Put ballast into it."""
    path = Path(url.removeprefix("sqlite:///"))
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA journal_mode=WAL")
        raw.execute("CREATE TABLE IF NOT EXISTS ballast (n INTEGER, x TEXT)")
        raw.executemany("INSERT INTO ballast VALUES (?, ?)", ((n, "y" * 500) for n in range(rows)))
        raw.commit()
    return path


def test_how_it_stands(url: str, tmp_path: Path) -> None:
    """Version, size and rows; where there is none yet, nothing is made."""
    stand = stand_of(url)
    assert (stand.version, stand.current, stand.rows["runs"]) == (HEAD, True, 0)
    assert stand.bytes > 0

    absent = stand_of(f"sqlite:///{tmp_path / 'no.db'}")
    assert (absent.version, absent.current) == (None, False)
    assert not (tmp_path / "no.db").exists()


def test_a_copy_beside_a_writer(url: str, tmp_path: Path) -> None:
    """One moment of a database that is being written: every transaction is in it whole, or not at all."""
    path = filled(url, 2000)
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60)) as raw:
            while not stop.is_set():
                raw.executemany("INSERT INTO ballast VALUES (-1, ?)", [("z",), ("z",)])
                raw.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = backup(url, tmp_path / "copy.db", lambda _done: None)
    finally:
        stop.set()
        writer.join()

    assert made == (tmp_path / "copy.db").stat().st_size
    with closing(sqlite3.connect(tmp_path / "copy.db")) as raw:
        (old,) = raw.execute("SELECT count(*) FROM ballast WHERE n >= 0").fetchone()
        (pairs,) = raw.execute("SELECT count(*) % 2 FROM ballast WHERE n < 0").fetchone()
    assert (old, pairs) == (2000, 0)
    assert stand_of(f"sqlite:///{tmp_path / 'copy.db'}").version == HEAD
    assert not list(tmp_path.glob("*.partial"))


def test_a_copy_replaces_nothing(url: str, tmp_path: Path) -> None:
    """What is there stays; what cannot be made leaves nothing behind."""
    (tmp_path / "copy.db").write_text("mine")
    with pytest.raises(CannotStart, match="is there already"):
        backup(url, tmp_path / "copy.db", lambda _done: None)
    assert (tmp_path / "copy.db").read_text() == "mine"
    with pytest.raises(CannotStart, match="cannot be used"):
        backup(url, tmp_path / "no" / "copy.db", lambda _done: None)
    with pytest.raises(CannotStart, match="There is no database"):
        backup(f"sqlite:///{tmp_path / 'no.db'}", tmp_path / "other.db", lambda _done: None)


def test_space_is_given_back(url: str) -> None:
    """Rewritten without what was deleted."""
    path = filled(url, 4000)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DELETE FROM ballast")
        raw.commit()
    assert stand_of(url).unused_bytes > 1_000_000

    before, after = vacuum(url, lambda _done: None)

    assert after < before / 4
    assert faults_of(url) == []
    assert stand_of(url).unused_bytes == 0


def test_a_busy_database_is_not_rewritten(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to do."""
    monkeypatch.setattr("runstead.store.upkeep.WAIT_S_MAX", 0.05)
    path = filled(url, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(CannotStart, match="stop the server"):
            vacuum(url, lambda _done: None)


def test_other_kinds_have_their_own_tools() -> None:
    """And are shown without their password."""
    url = "postgresql://me:hidden@db/runstead?password=hidden"
    assert shown(url) == "postgresql://me:***@db/runstead"
    with pytest.raises(Invalid, match="pg_dump"):
        vacuum(url, lambda _done: None)
    with pytest.raises(Invalid, match="no URL of a database"):
        stand_of("nonsense")
