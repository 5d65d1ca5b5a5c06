"""A browser for each module of these tests, and the fixtures of the tests from outside."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from playwright.sync_api import Browser
from tests.outside import agent, client, folder, mark, model, server
from tests.ui.browser import Look, chromium

__all__ = ["agent", "client", "folder", "mark", "model", "server"]


@pytest.fixture(scope="module")
def browser() -> Generator[Browser]:
    """Chromium. Of the module: it holds the thread's event loop, which other modules need."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def look(browser: Browser) -> Generator[Look]:
    """Opens pages; afterwards none of them may have complained."""
    look = Look(browser)
    yield look
    assert look.faults == []
