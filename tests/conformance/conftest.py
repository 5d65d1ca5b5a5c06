"""Each store that is shipped, for the suites that hold all of them to the same promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.conformance.stores import Stores, stores


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of this test's own."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_store_url")
    return f"sqlite:///{tmp_path / 'runstead.db'}"


@pytest.fixture
async def two(store_url: str) -> AsyncIterator[Stores]:
    """Two stores over one database, as two processes have them."""
    async with stores(store_url) as made:
        yield made
