"""A run is watched as it is written, and nothing that happens to the page, the line or the server loses a word of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.serving import Client, Server, saying, story, tokens
from tests.story_model import StoryModel
from tests.ui.browser import Look
from tests.ui.seeds import begun

pytestmark = pytest.mark.slow


def spoken(page: Page) -> Locator:
    """What the agent said, in all its speeches that count."""
    return page.locator(".said.assistant:not(.superseded) .md")


# The last ones may still be on their way when the run is said to be over.
ALL_DRAWN = """() => {
    const said = parseInt(document.querySelector(".raw-head .muted").textContent);
    const state = document.querySelector(".run-title").textContent;
    const drawn = document.querySelectorAll(".raw-row");
    const last = drawn.length ? drawn[drawn.length - 1].textContent : "";
    return drawn.length === said && (!state.includes("Completed") || last.includes("usage_statistics"));
}"""


def numbers(page: Page) -> list[int]:
    """The numbers of the events that the page shows (few enough to be all there)."""
    page.get_by_role("tab", name="Events").click()
    page.wait_for_function(ALL_DRAWN)
    found = page.locator(".raw-row .num").all_text_contents()
    page.get_by_role("tab", name="Conversation").click()
    return [int(each) for each in found]


def test_a_run_is_begun_from_the_page_and_watched(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """Words are there while the model still speaks; the rest comes when it goes on; the run is one of the API's."""
    agent = client.agent(name="Talker")
    model.known[mark] = [{"reasoning": ["Hm. "], "text": [*tokens(8), {"gate": mark}, "and ", "done."]}]
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        page.get_by_label("Message to Talker").fill(mark)
        page.get_by_role("button", name="Send").click()
        expect(page.locator(".said.user")).to_contain_text(mark)
        expect(spoken(page)).to_have_text("t0 t1 t2 t3 t4 t5 t6 t7", use_inner_text=True)
        expect(page.locator(".chat-status")).to_contain_text("Working")
        page.get_by_role("link", name="Open the run").click()
        expect(page.locator(".run-title")).to_contain_text("Running")
        expect(spoken(page)).to_have_text("t0 t1 t2 t3 t4 t5 t6 t7", use_inner_text=True)
        model.open(mark)
        expect(spoken(page)).to_have_text("t0 t1 t2 t3 t4 t5 t6 t7 and done.", use_inner_text=True)
        expect(page.locator(".run-title")).to_contain_text("Completed")
        run_id = page.url.rpartition("/")[2]
    assert client.run(run_id)["status"] == "completed"
    assert client.run(run_id)["background"] is True


def test_a_reload_in_the_middle_goes_on_at_the_same_event(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """The same words once, no number twice or left out, before and after, and none is asked for again."""
    agent = client.agent()
    run_id = begun(client, agent, story({"text": [*tokens(20), {"gate": mark}, "end"]}, mark=mark))
    whole = " ".join(f"t{number}" for number in range(20))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(spoken(page)).to_have_text(whole, use_inner_text=True)
        before = numbers(page)
        with page.expect_request(f"**/v1/runs/{run_id}/stream") as asked:
            page.reload()
        expect(spoken(page)).to_have_text(whole, use_inner_text=True)
        assert (asked.value.post_data_json or {})["starting_after"] == before[-1]
        assert numbers(page) == before == list(range(1, len(before) + 1))
        model.open(mark)
        expect(spoken(page)).to_have_text(f"{whole} end", use_inner_text=True)
        expect(page.locator(".run-title")).to_contain_text("Completed")
        after = numbers(page)
    assert after == list(range(1, len(after) + 1))
    assert len(after) > len(before)


def test_the_page_outlives_the_server(model: StoryModel, folder: Path, look: Look, mark: str) -> None:
    """The server is killed and started again: the page says so, comes back by itself and goes on without a hole."""
    with Server(folder, model.url) as server:
        with server.client() as client:
            agent = client.agent()
            run_id = begun(client, agent, story({"text": [*tokens(5), {"gate": mark}, "end"]}, mark=mark))
            with look.at(f"{server.url}/#/runs/{run_id}") as page:
                expect(spoken(page)).to_have_text("t0 t1 t2 t3 t4", use_inner_text=True)
                server.kill()
                expect(page.locator(".line-state")).to_have_text("Connection lost; trying again")
                expect(page.locator(".side .line")).to_have_text("Reconnecting")
                model.open(mark)
                server.start()
                expect(spoken(page)).to_have_text("t0 t1 t2 t3 t4 end", use_inner_text=True)
                expect(page.locator(".superseded")).to_contain_text("Abandoned")
                expect(page.locator(".run-title")).to_contain_text("Completed")
                expect(page.locator(".side .line")).to_have_text("Live")
                found = numbers(page)
        assert found == list(range(1, len(found) + 1))


def test_a_foreground_run_is_shown_as_far_as_it_is_stored(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """It cannot be joined, so its messages are read until it is over."""
    agent = client.agent(include_base_tools=True)
    call = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_1"}
    text = story({"calls": [call]}, {"text": ["first ", {"gate": mark}, "last"]}, mark=mark)
    with client.stream(f"/v1/agents/{agent}/messages/stream", saying(text)) as frames:
        run_id = str(next(frames).json["run_id"])
        with look.at(f"{server.url}/#/runs/{run_id}") as page:
            expect(page.locator(".call")).to_contain_text("conversation_search")
            expect(page.locator(".facts")).to_contain_text("Foreground")
            model.open(mark)
            expect(spoken(page)).to_have_text("first last", use_inner_text=True)
            expect(page.locator(".run-title")).to_contain_text("Completed")
            expect(page.locator(".call")).to_have_count(1)


def test_a_page_that_is_not_looked_at_holds_no_connection(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """Six connections are all a browser has for a server: hidden tabs let go of theirs, and lose nothing by it."""
    agent = client.agent()
    run_id = begun(client, agent, story({"text": [*tokens(3), {"gate": mark}, "end"]}, mark=mark))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(spoken(page)).to_have_text("t0 t1 t2", use_inner_text=True)
        _hide(page, hidden=True)
        expect(page.locator(".side .line")).to_have_text("Paused")
        expect(page.locator(".line-state")).to_have_text("Paused while hidden")
        model.open(mark)
        client.wait_status(run_id, "completed")
        expect(spoken(page)).to_have_text("t0 t1 t2", use_inner_text=True)
        _hide(page, hidden=False)
        expect(spoken(page)).to_have_text("t0 t1 t2 end", use_inner_text=True)
        expect(page.locator(".run-title")).to_have_text(re.compile("Completed"))


def _hide(page: Page, *, hidden: bool) -> None:
    """Let the page believe that nobody looks at it: a headless browser looks at every tab."""
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
