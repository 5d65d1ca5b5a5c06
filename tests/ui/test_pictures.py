"""The pictures of the documentation, made of the real page: `RUNSTEAD_PICTURES=1` writes them to docs/images.

Without it the same views are opened and must show what the pictures show; nothing is written.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.serving import Client, Server
from tests.story_model import StoryModel
from tests.ui.browser import PHONE, Look
from tests.ui.seeds import ASK_BROKEN, ASK_LEFT, ASK_LONG, ASK_TOO_MUCH, Seeds, begun, said, sow, spread

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WANTED = bool(os.environ.get("RUNSTEAD_PICTURES"))
WIDE = (1280, 760)
GATE = "pictures"


def picture(page: Page, name: str, there: str) -> None:
    """A picture of the page, once something is there."""
    expect(page.locator(there).first).to_be_visible()
    expect(page.locator(".side .line")).to_have_text("Live")
    if WANTED:
        IMAGES.mkdir(exist_ok=True)
        page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


def test_pictures(model: StoryModel, folder: Path, look: Look) -> None:
    """Every view, light and dark in turn, and one of a phone."""
    with Server(folder, model.url, RUNSTEAD_MODEL_RETRIES="0") as server, server.client() as client:
        before = sow(client, model, GATE, sayings=120)
        server.stop()
        spread(folder / "data" / "runstead.db", hours=20)
        server.start()
        seeds = Seeds(before.notes, before.shop, *_asked(client, before))
        live = begun(client, seeds.notes, ASK_LONG)
        with look.at(server.url, size=WIDE) as page:
            expect(page.locator(".count")).to_be_visible()
            picture(page, "runs", ".v-body .is-running")
            page.goto(f"{server.url}/#/runs/{seeds.told}")
            expect(page.locator(".timeline .step").first).to_contain_text("conversation_search")
            picture(page, "run", ".said.assistant table")
            page.goto(f"{server.url}/#/runs/{seeds.broken}")
            expect(page.locator(".timeline .step")).to_have_count(1)
            picture(page, "failed", ".failure:visible")
            page.goto(f"{server.url}/#/agents/{seeds.notes}/memory")
            picture(page, "memory", "textarea")
        with look.at(f"{server.url}/#/approvals", size=WIDE, theme="dark") as page:
            picture(page, "approvals", ".decision")
            page.goto(f"{server.url}/#/overview")
            picture(page, "overview", ".ranked")
            page.goto(f"{server.url}/#/agents/{seeds.notes}")
            picture(page, "chat", ".said.assistant strong")
        with look.at(f"{server.url}/#/runs/{live}", size=PHONE) as page:
            picture(page, "phone", ".said.assistant strong")
        model.open(GATE)
        client.wait_status(live, "completed")


def _asked(client: Client, before: Seeds) -> tuple[str, str, str, str]:
    """The runs that are looked at closely, as they really went: the newest of all."""
    failed = said(client, before.notes, ASK_TOO_MUCH)
    broken = said(client, before.notes, ASK_BROKEN)
    return said(client, before.notes, ASK_LEFT), failed, broken, before.asks
