"""What a database's URL says: forms that people have, and what of them may be shown."""

from __future__ import annotations

import pytest
from tests.services import PostgresServer

from runstead.errors import Unavailable
from runstead.store.postgres import UNREADABLE, PostgresDatabase, dsn_of, is_postgres, place_of


@pytest.mark.parametrize(
    ("url", "yes"),
    [
        ("postgresql://a@b/c", True),
        ("postgres://a@b/c", True),
        ("postgresql+asyncpg://a@b/c", True),
        ("postgresql+pg8000://a@b/c", True),
        ("sqlite:///x.db", False),
        ("mysql://a@b/c", False),
    ],
)
def test_which_urls_are_postgres(url: str, yes: bool) -> None:
    assert is_postgres(url) is yes


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:s3cret@db.local/x", "db.local:5432"),
        ("postgres://u:p%40:x@db:6543/x?sslmode=require", "db:6543"),
        ("postgresql://[::1]/x", "[::1]:5432"),
        ("postgresql://u@[::1]:7/x", "[::1]:7"),
        ("postgresql://u:s3cret@a:1,b:2/x", "a:1,b:2"),
        ("postgresql:///x?host=/run/pg", "/run/pg:5432"),
        ("postgresql:///x", "localhost:5432"),
        ("postgresql://u:pa/ss@db/x", UNREADABLE),
        ("postgresql://u:12/34@db/x", UNREADABLE),
    ],
)
def test_a_place_shows_no_secret(url: str, place: str) -> None:
    assert place_of(url) == place


@pytest.mark.parametrize(
    ("url", "dsn"),
    [
        ("postgres://u:p%40x@h/d", "postgresql://u:p%40x@h/d"),
        ("postgresql+pg8000://u:p@h:5/d", "postgresql://u:p@h:5/d"),
        ("postgresql+asyncpg://h/d?ssl=true", "postgresql://h/d?sslmode=require"),
        ("postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fca.pem&connect_timeout=3",
         "postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fca.pem"),
        ("postgresql://h/d?channel_binding=prefer&search_path=s", "postgresql://h/d?search_path=s"),
    ],
)  # fmt: skip
def test_a_url_is_given_to_the_driver_in_its_words(url: str, dsn: str) -> None:
    assert dsn_of(url) == dsn


async def test_tls_that_the_server_does_not_speak_is_told(postgres_server: PostgresServer) -> None:
    """`sslmode=require` is kept: no password goes over a plain connection."""
    db = PostgresDatabase(postgres_server.url + "?sslmode=require", timeout_s=60)
    with pytest.raises(Unavailable, match="SSL"):
        await db.read(lambda conn: conn.exec_driver_sql("SELECT 1").scalar())
    await db.close()


async def test_a_server_setting_in_the_url_reaches_the_server(postgres_server: PostgresServer) -> None:
    db = PostgresDatabase(postgres_server.url + "?search_path=elsewhere&connect_timeout=2", timeout_s=60)
    assert "elsewhere" == await db.read(lambda conn: conn.exec_driver_sql("SHOW search_path").scalar())
    await db.close()
