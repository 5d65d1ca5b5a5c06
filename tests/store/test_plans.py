"""Every prepared statement finds its rows by an index: none reads a whole table, however many runs there are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Select, create_engine, text
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import Delete, Update

from runstead.store import agents, blocks, events, idempotency, messages, runs, steps
from runstead.store.migrate import migrate

MODULES = (agents, blocks, events, idempotency, messages, runs, steps)


def prepared() -> Iterator[tuple[ModuleType, str, Executable]]:
    """The statements that modules of the store make once."""
    for module in MODULES:
        for name, value in vars(module).items():
            if isinstance(value, Select | Update | Delete):
                yield module, name, value


@pytest.mark.parametrize(
    ("name", "statement"),
    [(f"{module.__name__}.{name}", statement) for module, name, statement in prepared()],
)
def test_no_prepared_statement_reads_a_whole_table(tmp_path: Path, name: str, statement: Executable) -> None:
    """SQLite's own plan for it holds no scan."""
    url = f"sqlite:///{tmp_path / 'runstead.db'}"
    migrate(url)
    compiled = str(statement.compile(dialect=sqlite.dialect()))  # pyright: ignore[reportAttributeAccessIssue]
    asked = compiled.replace("__[POSTCOMPILE_run_ids]", "'run-1'")
    asked = asked.replace("__[POSTCOMPILE_places]", "VALUES ('run-1', 1)")
    engine = create_engine(url)
    with engine.connect() as connection:
        known = connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE type = 'index'"))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", (1,) * asked.count("?")).all()
    engine.dispose()

    assert known
    assert not [row[3] for row in plan if row[3].startswith("SCAN") and row[3] != "SCAN CONSTANT ROW"], name
