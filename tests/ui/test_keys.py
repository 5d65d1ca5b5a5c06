"""With keys on, the page asks once, keeps the key for its tab, and says when it is the wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Route, expect
from tests.serving import Server
from tests.story_model import StoryModel
from tests.ui.browser import Look
from tests.ui.seeds import said

pytestmark = pytest.mark.slow

PASSWORD = "open sesame"


def test_a_key_is_asked_for_once_a_tab(model: StoryModel, folder: Path, look: Look) -> None:
    with Server(folder, model.url, RUNSTEAD_SERVER_PASSWORD=PASSWORD) as server:
        with server.client(authorization=f"Bearer {PASSWORD}") as client:
            run_id = said(client, client.agent(), "a secret question")
        with look.at(server.url) as page:
            dialog = page.get_by_role("dialog")
            expect(dialog).to_contain_text("This server asks for a key")
            dialog.get_by_label("API key or password").fill("wrong")
            page.keyboard.press("Enter")
            expect(dialog).to_contain_text("unknown or revoked")
            dialog.get_by_label("API key or password").fill(PASSWORD)
            page.keyboard.press("Enter")
            expect(page.locator(".v-body .run-row")).to_contain_text("a secret question")
            expect(page.locator(".side .line")).to_have_text("Live")
            page.goto(f"{server.url}/#/runs/{run_id}")
            expect(page.locator(".said.assistant")).to_contain_text("You said")
            page.reload()
            expect(page.locator(".said.assistant")).to_contain_text("You said")
            assert page.evaluate("Object.keys(localStorage).filter(each => each.includes('key'))") == []
            assert PASSWORD not in page.content()
            other = page.context.new_page()
            other.goto(server.url)
            expect(other.get_by_role("dialog")).to_contain_text("This server asks for a key")
            other.close()
            page.get_by_role("button", name="Forget key").click()
            expect(page.get_by_role("dialog")).to_contain_text("This server asks for a key")


def test_who_has_no_key_sees_nothing_but_the_question(model: StoryModel, folder: Path, look: Look) -> None:
    with Server(folder, model.url, RUNSTEAD_SERVER_PASSWORD=PASSWORD) as server, look.at(server.url) as page:
        page.get_by_role("button", name="Not now").click()
        expect(page.locator(".side .line")).to_have_text("Not allowed")
        expect(page.locator(".v-body .run-row")).to_have_count(0)
        page.get_by_role("link", name="Agents").click()
        page.get_by_label("API key or password").fill(PASSWORD)
        page.keyboard.press("Enter")
        expect(page.get_by_text("No agents yet")).to_be_visible()
        expect(page.locator(".side .line")).to_have_text("Live")


def test_a_refusal_that_comes_late_does_not_ask_again(model: StoryModel, folder: Path, look: Look) -> None:
    """Who says "Not now" has said it for all that was asked before."""
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    with (
        Server(folder, model.url, RUNSTEAD_SERVER_PASSWORD=PASSWORD) as server,
        look.at("about:blank") as page,
    ):
        page.route("**/v1/runs/feed", hold)
        page.goto(server.url)
        page.get_by_role("button", name="Not now").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        expect(page.locator(".side .line")).to_have_text("Connecting")
        for each in held:
            each.continue_()
        expect(page.locator(".side .line")).to_have_text("Not allowed")
        expect(page.get_by_role("dialog")).to_have_count(0)
