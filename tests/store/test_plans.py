"""Every prepared statement finds its rows by an index: none reads a whole table, however many runs there are.

SQLite tells its plan for a statement; PostgreSQL, whose plan depends on what it counted, is asked whether it can prepare it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import cast

import pytest
from sqlalchemy import ClauseElement, Select, create_engine, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.dml import Delete, Insert, Update
from tests.services import PostgresServer

from runstead.store import agents, blocks, events, idempotency, lines, messages, runs, steps, summaries
from runstead.store.migrate import migrate

# What stands for a list of values that is known only when the statement runs.
EXPANDED = {"run_ids": "'run-1'", "agent_ids": "'agent-1'", "places": "VALUES ('run-1', 1)"}
MODULES = (agents, blocks, events, idempotency, lines, messages, runs, steps, summaries)


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
    asked = re.sub(r"__\[POSTCOMPILE_(\w+)\]", lambda found: EXPANDED[found[1]], compiled)
    engine = create_engine(url)
    with engine.connect() as connection:
        known = connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE type = 'index'"))
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {asked}", (1,) * asked.count("?")).all()
    engine.dispose()

    assert known
    assert not [row[3] for row in plan if row[3].startswith("SCAN") and row[3] != "SCAN CONSTANT ROW"], name


def test_postgres_knows_every_prepared_statement(
    postgres_server: PostgresServer, postgres_tables: str
) -> None:
    """Types, functions and locks of each fit the tables there."""
    statements = [(f"{module.__name__}.{name}", statement) for module, name, statement in prepared()]
    statements += [
        (f"{module.__name__}.{name}", value["postgresql"] if isinstance(value, dict) else value)
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, Insert) or (isinstance(value, dict) and "postgresql" in value)
    ]
    dialect = postgresql.asyncpg.dialect()
    asked = [
        re.sub(
            r"__\[POSTCOMPILE_(\w+)\]",
            lambda found: EXPANDED[found[1]],
            str(cast("ClauseElement", statement).compile(dialect=dialect)),
        )
        for _, statement in statements
    ]
    prepares = "; ".join(f"PREPARE s{number} AS {each}" for number, each in enumerate(asked))

    assert len(asked) > len(list(prepared()))
    postgres_server.sql(prepares, postgres_tables)
