"""A real Chromium that looks at a real server's page: how it is started, and what every page is held to.

Nothing of the page is replaced. A page that writes an error to its console, throws, or breaks its own content policy fails
its test. Without Chromium the tests are skipped and say so; in the build they fail.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

Theme = Literal["light", "dark"]
WAIT_MS = 45_000
DESK = (1280, 800)
PHONE = (390, 844)
ARGUMENTS = (
    "--no-sandbox",
    "--headless=new",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)
# A browser writes every refusal to its console, also those that the page expects and tells of.
_EXPECTED = (
    "401 (Unauth",
    "404 (Not Found)",
    "410 (Gone)",
    "422 (Unprocess",
    "503 (Service Unavailable)",
    "net::ERR_",
)


def chromium_path() -> str:
    """Where Chromium is. Skips the test where there is none, and fails it in the build."""
    found = (
        os.environ.get("RUNSTEAD_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    if found is None:
        reason = "there is no Chromium: install Debian's package, or name one in RUNSTEAD_CHROMIUM"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@contextmanager
def chromium() -> Generator[Browser]:
    """A browser. While it is open, no other event loop can run in this thread: keep async tests out of its modules."""
    path = chromium_path()
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), timeout=4 * WAIT_MS)
        try:
            yield browser
        finally:
            browser.close()


class Look:
    """Opens pages of one browser and gathers what went wrong in them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self.faults: list[str] = []

    @contextmanager
    def at(
        self, address: str, *, theme: Theme = "light", size: tuple[int, int] = DESK, **options: Any
    ) -> Generator[Page]:
        """A page at an address, in a browser profile of its own."""
        context = self._browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme=theme,
            reduced_motion="reduce",
            locale="en-GB",
            timezone_id="UTC",
            **options,
        )
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        self.watch(page)
        page.goto(address)
        try:
            yield page
        finally:
            context.close()

    def watch(self, page: Page) -> None:
        """Hold a page to a clean console."""
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"thrown: {error}"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not any(each in message.text for each in _EXPECTED):
            self.faults.append(f"{message.type}: {message.text}")
