"""The list of runs: found by filters that the address keeps, live without being asked, and as quick with 5,000 of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Page, Route, expect
from tests.serving import Server, story, until
from tests.story_model import StoryModel
from tests.ui.browser import PHONE, Look
from tests.ui.seeds import ASK_TOO_MUCH, begun, multiply, said, sow

pytestmark = pytest.mark.slow

MANY = 5000
ROWS_DRAWN_MAX = 60
OLDEST = f"Question {MANY - 1}"


def rows(page: Page) -> list[str]:
    """What the drawn rows say they were asked, from the top."""
    return page.locator(".v-body .row-link").all_text_contents()


def test_filters_live_in_the_address(model: StoryModel, folder: Path, look: Look, mark: str) -> None:
    """What is chosen is in the address; a reload and the way back from a run keep it; the chips count and lead."""
    with Server(folder, model.url, RUNSTEAD_MODEL_RETRIES="0") as server, server.client() as client:
        seeds = sow(client, model, mark, sayings=6)
        with look.at(f"{server.url}/") as page:
            expect(page.get_by_role("link", name="All 11")).to_have_attribute("aria-current", "true")
            page.get_by_role("link", name="Failed 2").click()
            expect(page).to_have_url(re.compile(r"#/runs\?status=failed$"))
            expect(page.locator(".v-body .run-row")).to_have_count(2)
            page.get_by_label("Search in what users said").fill("contracts")
            expect(page).to_have_url(re.compile(r"status=failed&text=contracts$"))
            expect(page.locator(".v-body .run-row")).to_have_count(1)
            page.reload()
            expect(page.get_by_label("Search in what users said")).to_have_value("contracts")
            expect(page.locator(".v-body .run-row")).to_have_count(1)
            page.get_by_role("link", name=ASK_TOO_MUCH).click()
            expect(page.locator("h1")).to_have_text(ASK_TOO_MUCH)
            page.get_by_role("link", name="Runs", exact=True).last.click()
            expect(page).to_have_url(re.compile(r"status=failed&text=contracts$"))
            page.get_by_role("link", name="Clear").click()
            expect(page).to_have_url(re.compile(r"#/runs$"))
            expect(page.locator(".v-body .run-row")).to_have_count(11)
            for label, choice, count in (
                ("Any agent", "Shop desk", 3),
                ("Any end", "needs approval", 1),
                ("Any mode", "Foreground", 1),
                ("Any time", "Last hour", 11),
            ):
                page.get_by_label(label).select_option(choice)
                expect(page).to_have_url(re.compile(r"#/runs\?"))
                expect(page.locator(".v-body .run-row")).to_have_count(count)
                page.get_by_role("link", name="Clear").click()
                expect(page).to_have_url(re.compile(r"#/runs$"))
            page.get_by_label("Search in what users said").fill("nobody said this")
            expect(page.get_by_text("No run fits")).to_be_visible()
        assert client.run(seeds.failed)["status"] == "failed"


# The rows follow the scrollbar a frame later.
DRAWN_WHERE_SCROLLED = """() => {
    const [list, row] = [".runs-list", ".v-body .run-row"].map((each) => document.querySelector(each));
    return Math.abs(row.ariaRowIndex * row.offsetHeight - list.scrollTop) < 20 * row.offsetHeight;
}"""


# More runs are asked for whenever the end is seen: it is looked for until it has what is wanted.
SCROLLED_TO = """wanted => {
    const list = document.querySelector(".runs-list");
    list.scrollTop = list.scrollHeight;
    return [...document.querySelectorAll(".v-body .row-link")].some((row) => row.textContent.trim() === wanted);
}"""


def test_the_list_is_live(server: Server, model: StoryModel, look: Look, mark: str) -> None:
    """A new run stands at the top without being asked for; it changes as it goes; a deleted one leaves."""
    with server.client() as client:
        agent = client.agent(name=f"live {mark}")
        with look.at(f"{server.url}/#/runs?agent={agent}") as page:
            expect(page.get_by_text("No run fits")).to_be_visible()
            expect(page.locator(".side .line")).to_have_text("Live")
            run_id = begun(client, agent, story({"text": ["a", {"gate": mark}]}, mark=mark))
            row = page.locator(".v-body .run-row")
            expect(row).to_have_count(1)
            expect(row).to_contain_text("Running")
            model.open(mark)
            expect(row).to_contain_text("Completed")
            expect(row.locator(".c-tokens")).to_have_text(re.compile(r"\d+"))
            row.locator("a").focus()
            second = said(client, agent, "the second one")
            expect(row.first).to_contain_text("the second one")
            expect(row.last.locator("a")).to_be_focused()
            client.ask("DELETE", f"/v1/runs/{run_id}")
            expect(row).to_have_count(1)
            client.ask("DELETE", f"/v1/runs/{second}")
            expect(page.get_by_text("No run fits")).to_be_visible()


LISTED = re.compile(r"/v1/runs/\?")


def test_a_list_that_comes_late_brings_nothing_back(
    server: Server, model: StoryModel, look: Look, mark: str
) -> None:
    """What was deleted while a list was on its way is not in it, and what was made is."""
    with server.client() as client:
        agent = client.agent(name=f"late {mark}")
        first = said(client, agent, f"first {mark}")
        with look.at(f"{server.url}/#/agents") as page:
            expect(page.locator(".side .line")).to_have_text("Live")
            answers: list[tuple[Route, APIResponse]] = []

            def hold(route: Route) -> None:
                answers.append((route, route.fetch()))

            page.route(LISTED, hold)
            page.goto(f"{server.url}/#/runs?agent={agent}")
            expect(page.get_by_role("link", name="All 1")).to_be_visible()
            until(lambda: bool(page.evaluate("1") and answers), what="the list's answer")
            client.ask("DELETE", f"/v1/runs/{first}")
            for text in ("second", "third"):
                said(client, agent, f"{text} {mark}")
            # Who was told of the new ones was told of the deletion, too.
            expect(page.get_by_role("link", name="All 2")).to_be_visible()
            for route, answer in answers:
                route.fulfill(response=answer)
            expect(page.locator(".v-body .row-link")).to_have_text([f"third {mark}", f"second {mark}"])


# Frames come when the test lets them.
FRAMES_HELD = """() => {
    const held = [];
    window.requestAnimationFrame = (step) => held.push(step);
    window.frame = () => held.splice(0).forEach((step) => step());
}"""


def test_a_key_does_not_wait_for_the_next_frame(
    server: Server, model: StoryModel, look: Look, mark: str
) -> None:
    """A key that comes between a list's arrival and its drawing moves as if the rows stood there."""
    with server.client() as client:
        agent = client.agent(name=f"keys {mark}")
        for text in ("below", "above"):
            said(client, agent, f"{text} {mark}")
        with look.at(f"{server.url}/#/runs?agent={agent}") as page:
            expect(page.locator(".v-body .run-row")).to_have_count(2)
            page.locator("h1").focus()
            page.evaluate(FRAMES_HELD)
            page.goto(f"{server.url}/#/runs?agent={agent}&time=1h")
            expect(page.locator(".v-body .run-row")).to_have_count(0)
            page.keyboard.press("j")
            expect(page.get_by_role("link", name=f"above {mark}")).to_be_focused()
            page.evaluate("frame()")
            page.goto(f"{server.url}/#/runs?agent={agent}&text=below")
            expect(page.locator(".v-body .run-row")).to_have_count(1)
            expect(page.locator(".runs-list")).to_be_focused()
            page.keyboard.press("j")
            expect(page.get_by_role("link", name=f"below {mark}")).to_be_focused()


def test_an_empty_server_says_what_to_do(model: StoryModel, folder: Path, look: Look) -> None:
    with Server(folder, model.url) as server, look.at(server.url) as page:
        expect(page.get_by_text("No runs yet")).to_be_visible()
        page.get_by_role("link", name="Go to the agents").click()
        expect(page.get_by_text("No agents yet")).to_be_visible()


def test_five_thousand_runs(model: StoryModel, folder: Path, look: Look) -> None:
    """All can be reached, in order; only what is seen exists; what comes meanwhile does not move the reader's place."""
    with Server(folder, model.url) as server, server.client() as client:
        agent = client.agent(name="busy")
        said(client, agent, "the first one")
        server.stop()
        multiply(folder / "data" / "runstead.db", MANY - 1)
        server.start()
        with look.at(server.url) as page:
            expect(page.get_by_role("link", name=f"All {MANY:,}")).to_be_visible()
            drawn = page.locator(".v-body .run-row")
            expect(drawn.nth(10)).to_be_visible()
            assert drawn.count() < ROWS_DRAWN_MAX
            scroller = page.locator(".runs-list")
            page.wait_for_function(SCROLLED_TO, arg=OLDEST, polling=50)
            expect(page.locator(".v-body .row-link").last).to_have_text(OLDEST)
            assert drawn.count() < ROWS_DRAWN_MAX
            scroller.evaluate("el => el.scrollTop = el.scrollHeight / 2")
            page.wait_for_function(DRAWN_WHERE_SCROLLED)
            top = page.locator(".v-body .run-row").nth(15)
            text = top.inner_text()
            place = scroller.evaluate("el => el.scrollTop")
            said(client, agent, "a new one")
            expect(page.get_by_role("link", name=f"All {MANY + 1:,}")).to_be_visible()
            page.wait_for_function(
                "place => document.querySelector('.runs-list').scrollTop > place", arg=place
            )
            expect(page.locator(".v-body .run-row").nth(15)).to_contain_text(text.split("\n")[1])
            place = scroller.evaluate("el => el.scrollTop")
            page.locator(".v-body .row-link").nth(15).click()
            expect(page.locator(".line-state")).to_contain_text("no longer kept")
            expect(page.locator(".said.user")).to_contain_text("Question")
            page.get_by_role("link", name="Runs", exact=True).last.click()
            expect(page.locator(".v-body .run-row").nth(15)).to_contain_text(text.split("\n")[1])
            page.wait_for_function(
                "place => document.querySelector('.runs-list').scrollTop === place", arg=place
            )


def test_the_list_on_a_phone(server: Server, look: Look) -> None:
    """Nothing is wider than the screen."""
    with server.client() as client:
        said(
            client,
            client.agent(),
            "A question that is so long that it cannot stand in one line of a phone's screen",
        )
    with look.at(server.url, size=PHONE) as page:
        expect(page.locator(".v-body .run-row").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
        box = page.locator(".v-body .run-row").first.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= PHONE[0]
