"""The schema that a server starts with: the same from the migrations and from `schema.py`, made once, whoever asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect

from runstead.errors import CannotStart
from runstead.store import upgrade
from runstead.store.migrate import HEAD, VERSION_TABLE, migrate, migration_engine
from runstead.store.schema import PASSAGE_WORDS, metadata

PROCESSES = 4


def url_of(folder: Path) -> str:
    """A database's URL in a folder."""
    return f"sqlite:///{folder / 'runstead.db'}"


def tables_and_version(url: str) -> tuple[set[str], str | None]:
    """What a database holds."""
    engine = migration_engine(url)
    with engine.begin() as connection:
        # What the search over passages keeps for itself is the database's business.
        names = {n for n in inspect(connection).get_table_names() if not n.startswith(PASSAGE_WORDS)}
        version = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return names, version


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Whether the schema's tables are to be compared with this one."""
    return kind != "table" or name is None or not name.startswith(PASSAGE_WORDS)


def statements(connection: Connection) -> list[str]:
    """Every table and index, as SQLite keeps them, in the order of their names."""
    rows = connection.exec_driver_sql(
        "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name != ? ORDER BY name", (VERSION_TABLE,)
    )
    return [" ".join(str(row[0]).split()) for row in rows]


def behind(url: str) -> None:
    """Put an empty version table there, as in a database whose first step is still to come."""
    engine = migration_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
        )
    engine.dispose()


def test_an_empty_database_gets_every_table(tmp_path: Path) -> None:
    """A new server's database has all tables and says its version."""
    migrate(url_of(tmp_path))

    names, version = tables_and_version(url_of(tmp_path))
    assert set(metadata.tables) | {VERSION_TABLE} == names
    assert version == HEAD == upgrade.scripts().get_current_head()


def test_the_migrations_make_the_schema(tmp_path: Path) -> None:
    """Step by step or at once: the tables are the same, to the last word of their definitions."""
    (tmp_path / "steps").mkdir()
    behind(url_of(tmp_path / "steps"))
    migrate(url_of(tmp_path / "steps"))
    migrate(url_of(tmp_path))
    found: list[list[str]] = []
    for folder in (tmp_path / "steps", tmp_path):
        engine = migration_engine(url_of(folder))
        with engine.begin() as connection:
            context = MigrationContext.configure(
                connection, opts={"compare_type": True, "include_name": is_ours}
            )
            missing = produce_migrations(context, metadata).upgrade_ops
            assert missing is not None
            assert missing.is_empty(), f"write a migration:\n{render_python_code(missing)}"
            found.append(statements(connection))
        engine.dispose()
    assert found[0] == found[1]


def test_doing_it_again_changes_nothing(tmp_path: Path) -> None:
    """What is there stays there."""
    migrate(url_of(tmp_path))
    engine = migration_engine(url_of(tmp_path))
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO organizations VALUES ('org-1', 'One', 1, 0)")

    migrate(url_of(tmp_path))

    with engine.begin() as connection:
        assert connection.exec_driver_sql("SELECT name FROM organizations").scalars().all() == ["One"]
    engine.dispose()


def test_a_current_database_costs_no_alembic(tmp_path: Path) -> None:
    """Neither the first start nor the next imports Alembic, which takes most of a second."""
    code = (
        "import sys; from runstead.store.migrate import migrate;"
        f"migrate({url_of(tmp_path)!r}); migrate({url_of(tmp_path)!r}); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.slow
@pytest.mark.parametrize("empty", [True, False], ids=["new", "behind"])
def test_processes_that_start_at_once_do_not_collide(tmp_path: Path, empty: bool) -> None:
    """One makes the tables; the others wait for it and find them."""
    url = url_of(tmp_path)
    if not empty:
        behind(url)
    code = f"import sys; from runstead.store.migrate import migrate; sys.stdin.readline(); migrate({url!r})"
    children = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(PROCESSES)
    ]
    ends = []
    for child in children:
        assert child.stdin is not None
        child.stdin.write("go\n")
        child.stdin.flush()
    for child in children:
        _out, error = child.communicate(timeout=50)
        ends.append((child.returncode, error))

    assert ends == [(0, "")] * PROCESSES
    assert tables_and_version(url)[1] == HEAD


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An older program would write what the newer one cannot read."""
    migrate(url_of(tmp_path))
    engine = migration_engine(url_of(tmp_path))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()

    with pytest.raises(CannotStart, match="9999, newer than"):
        migrate(url_of(tmp_path))


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The reason is one sentence that names the file."""
    (tmp_path / "runstead.db").write_bytes(b"these are not the bytes you are looking for" * 100)

    with pytest.raises(CannotStart, match=r"runstead\.db cannot be used: file is not a database"):
        migrate(url_of(tmp_path))


def test_another_kind_of_database_is_refused() -> None:
    """Only SQLite is served; the error says which variables to unset, and shows no password."""
    with pytest.raises(CannotStart, match="LETTA_PG_URI") as caught:
        migrate("postgresql://letta:secret@db/letta")
    assert "secret" not in str(caught.value)
