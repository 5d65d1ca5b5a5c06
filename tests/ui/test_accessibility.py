"""Everybody can use the page: axe finds no serious fault in any view in either theme, and a keyboard is enough."""

from __future__ import annotations

import json
import re
from collections.abc import Generator
from importlib.resources import files
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from tests.serving import Client, Server, story
from tests.story_model import StoryModel
from tests.ui.browser import DESK, PHONE, Look, Theme
from tests.ui.seeds import ASK_LONG, Seeds, begun, sow

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
GATE = "shown"
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def shown(
    model: StoryModel, tmp_path_factory: pytest.TempPathFactory
) -> Generator[tuple[Server, Seeds, str]]:
    """A server with something in every view, and a run that goes on in it."""
    folder = tmp_path_factory.mktemp("shown")
    with Server(folder, model.url, RUNSTEAD_MODEL_RETRIES="0") as server:
        with server.client() as client:
            seeds = sow(client, model, GATE)
            live = begun(client, seeds.notes, ASK_LONG)
        yield server, seeds, live
        model.open(GATE)


def faults(page: Page) -> list[str]:
    """What axe finds of weight, in one line each."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in found["violations"]
        if each["impact"] in SERIOUS
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESK, PHONE])
def test_no_view_has_a_serious_fault(
    shown: tuple[Server, Seeds, str], look: Look, theme: Theme, size: tuple[int, int]
) -> None:
    server, seeds, live = shown
    views = {
        "#/runs": ".v-body .run-row",
        "#/runs?text=nobody": ".empty h2",
        f"#/runs/{seeds.told}": ".timeline .step" if size == DESK else ".said.assistant",
        f"#/runs/{seeds.failed}": ".failure:visible",
        f"#/runs/{seeds.asks}": ".decision",
        f"#/runs/{live}": ".reasoning",
        "#/approvals": ".decision",
        "#/agents": ".agent-card",
        f"#/agents/{seeds.notes}": ".said.user",
        f"#/agents/{seeds.notes}/memory": "textarea",
        f"#/agents/{seeds.notes}/tools": ".card",
        f"#/agents/{seeds.notes}/conversations": ".empty h2",
        f"#/agents/{seeds.notes}/about": "dl",
        "#/overview": ".chart",
    }
    found: dict[str, list[str]] = {}
    with look.at(server.url, theme=theme, size=size) as page:
        for view, there in views.items():
            page.goto(f"{server.url}/{view}")
            expect(page.locator(there).first).to_be_visible()
            if view == f"#/runs/{seeds.told}":
                for fold in page.locator("details.item").all():
                    fold.evaluate("el => { el.open = true; }")
            found[view] = faults(page)
            if view == f"#/runs/{seeds.told}":
                page.get_by_role("tab", name="Events").click()
                page.locator(".raw-row").first.click()
                found[f"{view} events"] = faults(page)
                page.get_by_role("button", name="Delete").click()
                found[f"{view} question"] = faults(page)
                page.keyboard.press("Escape")
                page.locator(".menu summary").click()
                found[f"{view} menu"] = faults(page)
    broken = {view: each for view, each in found.items() if each}
    assert not broken, json.dumps(broken, indent=1)


def test_the_theme_can_be_chosen_and_stays(shown: tuple[Server, Seeds, str], look: Look) -> None:
    """The system's theme at first; the other one by a button; after a reload as it was left."""
    server, _, _ = shown
    with look.at(server.url, theme="dark") as page:
        paper = "getComputedStyle(document.documentElement).backgroundColor"
        dark = page.evaluate(paper)
        page.get_by_role("button", name="Use the light theme").click()
        light = page.evaluate(paper)
        page.reload()
        expect(page.get_by_role("button", name="Use the dark theme")).to_be_visible()
        assert page.evaluate(paper) == light != dark


def test_a_keyboard_is_enough(
    shown: tuple[Server, Seeds, str], model: StoryModel, look: Look, mark: str
) -> None:
    """From the first Tab to a run's answer and back, without a mouse; focus is always somewhere, and seen."""
    server, _, _ = shown
    model.known[mark] = [{"text": ["typed ", "and ", "answered"]}]
    with server.client() as client:
        client.agent(name="Newest")
    with look.at(server.url) as page:
        expect(page.locator(".v-body .run-row").first).to_be_visible()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()
        page.keyboard.press("/")
        expect(page.get_by_label("Search in what users said")).to_be_focused()
        page.keyboard.type("refund")
        expect(page.locator(".v-body .run-row")).to_have_count(1)
        _tab_to(page, ".runs-list .row-link")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_contain_text("Refund")
        expect(page.locator("h1")).to_be_focused()
        _tab_to(page, "#tab-talk")
        page.keyboard.press("ArrowRight")
        expect(page.get_by_role("tab", name="Events")).to_have_attribute("aria-selected", "true")
        page.go_back()
        expect(page).to_have_url(re.compile("text=refund"))
        page.locator("nav a").nth(2).focus()
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Agents")
        _tab_to(page, ".agent-card")
        page.keyboard.press("Enter")
        _tab_to(page, ".composer textarea")
        page.keyboard.type(mark)
        page.keyboard.press("Enter")
        expect(page.locator(".said.assistant").last).to_contain_text("typed and answered")
        page.goto(f"{server.url}/#/runs")
        expect(page.locator(".v-body .run-row").nth(1)).to_be_visible()
        for key in ("j", "ArrowDown", "k", "ArrowDown", "Enter"):
            page.keyboard.press(key)
        expect(page.locator(".run-title")).to_be_visible()


def test_changes_are_told_to_who_listens(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """The end of a run is said in a live region."""
    run_id = begun(client, client.agent(), story({"text": ["a", {"gate": mark}]}, mark=mark))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".said.assistant")).to_contain_text("a")
        model.open(mark)
        expect(page.locator("#said")).to_have_text("The run is completed")
        expect(page).to_have_title(re.compile("^Completed: "))


def _tab_to(page: Page, selector: str) -> None:
    """Press Tab until something of that kind, which may still be coming, has the focus."""
    expect(page.locator(selector).first).to_be_visible()
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")
