"""Behind a reverse proxy, under a path of somebody else's choosing, everything works: also what is streamed."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect
from tests.serving import Server
from tests.story_model import StoryModel
from tests.ui.browser import Look
from tests.ui.proxy import under

pytestmark = pytest.mark.slow


def test_the_page_works_under_a_prefix(server: Server, model: StoryModel, look: Look, mark: str) -> None:
    """Every request stays below the prefix; a run is begun, watched and listed."""
    model.known[mark] = [{"text": ["one ", {"gate": mark}, "two"]}]
    requests: list[str] = []
    with server.client() as client, under("/tools/runstead", server.port) as address:
        agent = client.agent(name="Proxied")
        with look.at(f"{address}/") as page:
            page.on("request", lambda request: requests.append(request.url))
            page.reload()
            expect(page.locator(".side .line")).to_have_text("Live")
            page.goto(f"{address}/#/agents/{agent}")
            page.get_by_label("Message to Proxied").fill(mark)
            page.keyboard.press("Enter")
            expect(page.locator(".said.assistant")).to_contain_text("one")
            model.open(mark)
            expect(page.locator(".said.assistant")).to_contain_text("one two")
            page.get_by_role("link", name="Runs", exact=True).click()
            expect(page.locator(".v-body .run-row").first).to_contain_text(mark)
            page.locator(".v-body .row-link").first.click()
            expect(page.locator(".run-title")).to_contain_text("Completed")
    assert [each for each in requests if not each.startswith(f"{address}/")] == []
    assert requests
