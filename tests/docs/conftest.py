"""One server for all pages that start none of their own: the demonstration model, no provider, no key."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from tests.serving import Server


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """A server without any provider; its log is free of tracebacks."""
    with Server(
        tmp_path_factory.mktemp("docs"), "", OPENAI_BASE_URL="", OPENAI_API_KEY="", RUNSTEAD_KEEPALIVE_S="1"
    ) as server:
        yield server
    assert "Traceback" not in server.log, server.log
