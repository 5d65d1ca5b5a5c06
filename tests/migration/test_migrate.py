"""The schema that a server starts with: the same from the migrations and from `schema.py`, made once, whoever asks.

Each promise is held on both databases.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from json import dumps, loads
from pathlib import Path
from typing import TypeVar

import pytest
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, inspect

from runstead.clock import ManualClock
from runstead.domain.actor import User
from runstead.errors import CannotStart
from runstead.ids import DEFAULT_ORGANIZATION, AgentId, UserId
from runstead.store import actors, secrets, upgrade
from runstead.store.migrate import (
    HEAD,
    OLDEST_READABLE,
    READABLE_TABLE,
    VERSION_TABLE,
    migrate,
    migration_engine,
)
from runstead.store.postgres import PostgresDatabase, is_postgres
from runstead.store.schema import PASSAGE_WORDS, metadata

PROCESSES = 4
OURS = {VERSION_TABLE, READABLE_TABLE}
T = TypeVar("T")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database that has nothing in it."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'runstead.db'}"


def on(url: str, work: Callable[[Connection], T]) -> T:
    """Do something in a transaction of a database."""
    if is_postgres(url):

        async def there() -> T:
            db = PostgresDatabase(url, pool_size=1)
            try:
                return await db.write(work)
            finally:
                await db.close()

        return asyncio.run(there())
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            return work(connection)
    finally:
        engine.dispose()


def sql(*statements: str) -> Callable[[Connection], list[object]]:
    """Statements to run; gives the first column of the last one's rows."""

    def run(connection: Connection) -> list[object]:
        for statement in statements[:-1]:
            connection.exec_driver_sql(statement)
        done = connection.exec_driver_sql(statements[-1])
        return list(done.scalars()) if done.returns_rows else []

    return run


def table_names(connection: Connection) -> set[str]:
    """All tables."""
    # What the search over passages keeps for itself is the database's business.
    return {name for name in inspect(connection).get_table_names() if not name.startswith(PASSAGE_WORDS)}


def version(connection: Connection) -> str | None:
    """The version that a database says it has."""
    return MigrationContext.configure(connection).get_current_revision()


def is_ours(name: str | None, _kind: str, _parents: object) -> bool:
    """Whether the schema is to be compared with this table or index."""
    return name is None or (name not in OURS and not name.startswith(PASSAGE_WORDS))


def missing(connection: Connection) -> str:
    """What a migration would have to do to make the schema of what is there; empty where nothing is missing."""
    seen = {"compare_type": True, "include_name": is_ours}
    found = produce_migrations(MigrationContext.configure(connection, opts=seen), metadata).upgrade_ops
    assert found is not None
    return "" if found.is_empty() else render_python_code(found)


def statements(connection: Connection) -> list[str]:
    """Every table, column, key and index, as the database itself tells it, in an order of its own."""
    if connection.dialect.name == "sqlite":
        rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
        found = [str(row[0]) for row in rows if READABLE_TABLE not in row[0] and VERSION_TABLE not in row[0]]
    else:
        rows = connection.exec_driver_sql(
            "SELECT table_name || ' ' || column_name || ' ' || data_type || ' ' || is_nullable || ' '"
            " || coalesce(column_default, '') FROM information_schema.columns WHERE table_schema = 'public'"
            " UNION SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " UNION SELECT conrelid::regclass || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace"
        )
        found = [str(row[0]) for row in rows]
    return sorted(" ".join(each.split()) for each in found)


# An empty version table, as in a database whose first step is still to come.
BEHIND = sql(
    f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL,"
    f" CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
)


def step(revision: str) -> Callable[[Connection], None]:
    """Run the steps up to one version."""

    def run(connection: Connection) -> None:
        scripts = upgrade.scripts()
        context = MigrationContext.configure(
            connection,
            opts={"fn": lambda at, _: scripts._upgrade_revs(revision, at)},
        )
        with Operations.context(context):
            context.run_migrations()

    return run


def test_an_empty_database_gets_every_table(url: str) -> None:
    """A new server's database has all tables and says its version."""
    migrate(url)

    assert set(metadata.tables) | OURS == on(url, table_names)
    assert on(url, version) == HEAD == upgrade.scripts().get_current_head()
    assert not on(url, missing)


def test_the_migrations_make_the_schema(url: str) -> None:
    """Step by step or at once: the tables are the same, to the last word of their definitions."""
    migrate(url)
    at_once = on(url, statements)

    if not is_postgres(url):
        on(url, sql(f"DROP TABLE {PASSAGE_WORDS}"))
    on(url, metadata.drop_all)
    on(url, sql(f"DROP TABLE {READABLE_TABLE}", f"DROP TABLE {VERSION_TABLE}"))
    on(url, BEHIND)
    migrate(url)

    assert not on(url, missing), f"write a migration:\n{on(url, missing)}"
    assert at_once == on(url, statements)


def test_doing_it_again_changes_nothing(url: str) -> None:
    """What is there stays there."""
    migrate(url)
    on(url, sql("INSERT INTO organizations VALUES ('org-1', 'One', 1, false)"))

    migrate(url)

    assert on(url, sql("SELECT name FROM organizations")) == ["One"]


def test_a_current_database_costs_no_alembic(url: str) -> None:
    """Neither the first start nor the next imports Alembic, which takes most of a second."""
    code = (
        "import sys; from runstead.store.migrate import migrate;"
        f"migrate({url!r}); migrate({url!r}); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_sqlite_loads_nothing_of_postgres(tmp_path: Path) -> None:
    """A server on SQLite does not pay for the other database's driver."""
    code = (
        "import sys; import runstead.app; from runstead.store.migrate import migrate;"
        f"migrate('sqlite:///{tmp_path / 'runstead.db'}');"
        "assert not {'asyncpg', 'sqlalchemy.ext.asyncio', 'runstead.store.postgres'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.slow
@pytest.mark.parametrize("empty", [True, False], ids=["new", "behind"])
def test_processes_that_start_at_once_do_not_collide(url: str, empty: bool) -> None:
    """One makes the tables; the others wait for it and find them."""
    if not empty:
        on(url, BEHIND)
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
        _out, error = child.communicate(timeout=120)
        ends.append((child.returncode, error))

    assert ends == [(0, "")] * PROCESSES
    assert on(url, version) == HEAD


def test_a_database_that_a_newer_release_changed_is_served(url: str) -> None:
    """During a rolling upgrade the older program starts anew, and writes rows, on the newer one's tables."""
    migrate(url)
    on(
        url,
        sql(
            f"UPDATE {VERSION_TABLE} SET version_num = '9999'",
            f"UPDATE {READABLE_TABLE} SET oldest_readable = '{HEAD}'",
            "ALTER TABLE users ADD COLUMN mood TEXT NOT NULL DEFAULT 'calm'",
        ),
    )

    migrate(url)

    now = ManualClock().now()
    user = User(UserId("user-1"), DEFAULT_ORGANIZATION, "u", now, now)
    on(url, lambda connection: actors.ensure_defaults(connection, now))
    on(url, lambda connection: actors.insert_user(connection, user))
    assert on(url, lambda connection: actors.find_user(connection, user.id)) == user
    assert on(url, version) == "9999"


@pytest.mark.parametrize("readable", ["9998", None], ids=["too old for it", "it does not say"])
def test_a_database_of_a_newer_version_is_refused(url: str, readable: str | None) -> None:
    """A program that is too old would write what the newer one cannot read."""
    migrate(url)
    noted = f"UPDATE {READABLE_TABLE} SET oldest_readable = '{readable}'"
    on(
        url,
        sql(
            f"UPDATE {VERSION_TABLE} SET version_num = '9999'",
            noted if readable else f"DROP TABLE {READABLE_TABLE}",
        ),
    )

    with pytest.raises(CannotStart, match="9999, newer than"):
        migrate(url)


def test_an_upgrade_keeps_what_is_there_and_says_who_can_read_it(url: str) -> None:
    """A database of the first release is brought to this one's schema with its rows."""
    on(url, step("0001"))
    on(url, sql("INSERT INTO organizations VALUES ('org-1', 'One', 1, false)"))

    migrate(url)

    assert on(url, sql("SELECT name FROM organizations")) == ["One"]
    assert on(url, sql(f"SELECT oldest_readable FROM {READABLE_TABLE}")) == [OLDEST_READABLE]
    assert on(url, version) == HEAD


def test_secrets_leave_the_agents_documents(url: str) -> None:
    """What an older release kept as it was stands in a table of its own, to be sealed by the server that starts."""
    on(url, step("0002"))
    document = dumps({"tools": ["a"], "extra": {"secrets": {"A": "ü", "B": 7}, "project_id": "p"}})
    plain = dumps({"description": 'say "secrets"', "extra": {"secrets": "none"}})
    row = "INSERT INTO agents (id, user_id, name, agent_type, model, system, created_at, updated_at, document) VALUES"
    user = "INSERT INTO users VALUES ('user-1', 'org-1', 'u', 1, 1, false)"
    on(
        url,
        sql(
            "INSERT INTO organizations VALUES ('org-1', 'One', 1, false)",
            user,
            f"{row} ('agent-1', 'user-1', 'n', 't', 'm', 's', 1, 2, '{document}')",
            f"{row} ('agent-2', 'user-1', 'n', 't', 'm', 's', 1, 2, '{plain}')",
        ),
    )

    migrate(url)

    first, second = on(url, sql("SELECT document FROM agents ORDER BY id"))
    assert loads(str(first)) == {"tools": ["a"], "extra": {"project_id": "p"}}
    assert loads(str(second))["description"] == 'say "secrets"'
    assert on(url, secrets.any_open)
    on(url, lambda connection: secrets.seal_open(connection, lambda *words: "/".join(words).encode()))
    assert on(url, lambda c: secrets.sealed_of_agent(c, UserId("user-1"), AgentId("agent-1"))) == {
        "A": "agent-1/A/ü".encode(),
        "B": b"agent-1/B/7",
    }


def test_what_waited_before_the_upgrade_expires_too(url: str) -> None:
    """A question that is open gets a time; one that was answered, or whose agent is gone, asks nobody."""
    on(url, step("0004"))
    agent = "INSERT INTO agents (id, user_id, name, agent_type, model, system, created_at, updated_at, document) VALUES"
    run = (
        "INSERT INTO runs (id, user_id, organization_id, agent_id, lane, type, status, stop_reason, background, created_at,"
        " updated_at, epoch, last_seq, step_count, prompt_tokens, completion_tokens, cached_input_tokens,"
        " cache_write_tokens, reasoning_tokens, request, metadata) VALUES"
    )
    columns = "id, user_id, agent_id, lane, run_id, role, created_at, in_context, text, document"
    asks = dumps({"calls": [{"id": "c", "name": "t", "arguments": "", "needs_approval": True}]})
    denies = dumps({"decisions": [{"call_id": "c", "approve": False, "reason": None}]})
    rows = [
        f"{agent} ('agent-{name}', 'user-1', 'n', 't', 'm', 's', 1, 2, '{{}}')"
        for name in ("open", "answered")
    ]
    rows += [
        f"{run} ('run-{name}', 'user-1', 'org-1', 'agent-{name}', 'agent-{name}', 'send_message', 'completed',"
        " 'requires_approval', false, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, '{}', '{}')"
        for name in ("open", "answered", "gone")
    ]
    said = [("open", "assistant", asks), ("answered", "assistant", asks), ("answered", "approval", denies)]
    rows += [
        f"INSERT INTO messages ({columns}) VALUES ('message-{number}', 'user-1', 'agent-{name}', 'agent-{name}',"
        f" 'run-{name}', '{role}', 1, true, '', '{document}')"
        for number, (name, role, document) in enumerate(said)
    ]
    user = "INSERT INTO users VALUES ('user-1', 'org-1', 'u', 1, 1, false)"
    on(url, sql("INSERT INTO organizations VALUES ('org-1', 'One', 1, false)", user, *rows))

    migrate(url)

    asking = "SELECT id || ' ' || asks FROM runs WHERE asks IS NOT NULL AND asks_until > 1700000000000000"
    assert on(url, sql(asking)) == ["run-open message-0"]


def test_steps_only_add_what_an_older_release_can_leave_out(url: str) -> None:
    """The release before goes on writing: no column is gone, and a new one is nullable or has a default of its own."""

    def columns(connection: Connection) -> dict[tuple[str, str], bool]:
        looked = inspect(connection)
        return {
            (name, str(column["name"])): bool(column["nullable"]) or column["default"] is not None
            for name in looked.get_table_names()
            for column in looked.get_columns(name)
        }

    on(url, step("0001"))
    first = on(url, columns)
    migrate(url)
    last = on(url, columns)

    tables = {table for table, _ in first}
    added = {place for place in last.keys() - first.keys() if place[0] in tables}
    assert added
    assert not first.keys() - last.keys()
    assert not [place for place in sorted(added) if not last[place]]


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """The reason is one sentence that names the file."""
    (tmp_path / "runstead.db").write_bytes(b"these are not the bytes you are looking for" * 100)

    with pytest.raises(CannotStart, match=r"runstead\.db cannot be used: file is not a database"):
        migrate(f"sqlite:///{tmp_path / 'runstead.db'}")


def test_a_database_that_is_not_there_is_told_without_the_password() -> None:
    """The reason names the place and nothing secret."""
    with pytest.raises(CannotStart, match=r"PostgreSQL at 127\.0\.0\.1:1 .*refused") as caught:
        migrate("postgresql+pg8000://letta:geheim@127.0.0.1:1/letta")
    assert "geheim" not in str(caught.value)


def test_a_url_that_cannot_be_read_shows_nothing_of_the_password() -> None:
    """A slash in a password makes nonsense of the URL: the error says how to write it."""
    with pytest.raises(CannotStart, match="%2F for a slash") as caught:
        migrate("postgresql://letta:gehe/im@db/letta")
    assert "gehe" not in str(caught.value)


def test_another_kind_of_database_is_refused() -> None:
    """The error says which variables to change, and shows no password."""
    with pytest.raises(CannotStart, match="LETTA_PG_URI") as caught:
        migrate("mysql://letta:geheim@db/letta")
    assert "geheim" not in str(caught.value)
