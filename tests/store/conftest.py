"""A store in memory for the queries' own tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection
from tests.store.rows import fresh_connection


@pytest.fixture
def conn() -> Iterator[Connection]:
    """A connection to an empty store."""
    with fresh_connection() as connection:
        yield connection
