"""Agents on the page: made, talked to, and what they remember read and mended."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Route, expect
from tests.serving import Client, Server, saying
from tests.story_model import StoryModel
from tests.ui.browser import Look
from tests.ui.seeds import begun

pytestmark = pytest.mark.slow

HISTORY = re.compile(r"/v1/conversations/default/messages\?")


def test_an_agent_is_made_and_answers(server: Server, look: Look) -> None:
    """With the model that ships, so that it works on a server without any other."""
    with look.at(f"{server.url}/#/agents") as page:
        page.get_by_role("button", name="New agent").first.click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("Greeter")
        dialog.get_by_label("Model").select_option("runstead/demo")
        dialog.get_by_label("Persona").fill("I greet.")
        dialog.get_by_role("button", name="Make it").click()
        expect(page.locator("h1")).to_have_text("Greeter")
        expect(page.get_by_text("has not been spoken to yet")).to_be_visible()
        page.get_by_label("Message to Greeter").fill("Count to 12")
        page.keyboard.press("Enter")
        expect(page.locator(".said.assistant")).to_contain_text("12")
        expect(page.locator(".chat-status")).to_contain_text("Completed")
        page.get_by_role("link", name="Memory").click()
        expect(page.get_by_label("persona", exact=True)).to_have_value("I greet.")


def test_an_agent_is_found_by_its_name(server: Server, client: Client, look: Look, mark: str) -> None:
    """What is looked for stands in the address, so it is there after a reload; who finds nothing gets back to all."""
    for name in (f"Ada {mark}", f"Grace {mark}"):
        client.agent(name=name)
    with look.at(f"{server.url}/#/agents") as page:
        words = page.get_by_role("searchbox")
        cards = page.locator(".agent-card")
        expect(cards.filter(has_text=mark)).to_have_count(2)
        words.fill(f"ADA {mark}")
        expect(cards).to_have_count(1)
        expect(cards).to_contain_text(f"Ada {mark}")
        page.reload()
        expect(words).to_have_value(f"ADA {mark}")
        expect(cards).to_have_count(1)
        words.fill(f"nobody {mark}")
        expect(page.get_by_role("heading", name="No agent fits")).to_be_visible()
        expect(cards).to_have_count(0)
        page.get_by_role("link", name="Show all agents").press("Enter")
        expect(cards.filter(has_text=mark)).to_have_count(2)
        expect(words).to_have_value("")
        expect(words).to_be_focused()


def test_an_answer_that_comes_late_does_not_take_the_place_of_a_newer(
    server: Server, client: Client, look: Look, mark: str
) -> None:
    """Whoever types on sees what the whole word finds."""
    for name in (f"Ada {mark}", f"Grace {mark}"):
        client.agent(name=name)
    with look.at(f"{server.url}/#/agents") as page:
        cards = page.locator(".agent-card")
        expect(cards.filter(has_text=mark)).to_have_count(2)
        held: list[Route] = []

        def hold(route: Route) -> None:
            held.append(route)

        page.route(re.compile(r"query_text=Grace"), hold)
        words = page.get_by_role("searchbox")
        with page.expect_request(re.compile(r"query_text=Grace")):
            words.fill(f"Grace {mark}")
        words.fill(f"Ada {mark}")
        expect(cards).to_have_count(1)
        with page.expect_response(re.compile(r"query_text=Grace")):
            held[0].continue_()
        page.evaluate("new Promise(requestAnimationFrame)")
        expect(cards).to_have_count(1)
        expect(cards).to_contain_text("Ada")


def test_memory_is_mended(server: Server, client: Client, look: Look) -> None:
    agent = client.agent(
        memory_blocks=[
            {"label": "human", "value": "Ada"},
            {"label": "fixed", "value": "x", "read_only": True},
        ]
    )
    with look.at(f"{server.url}/#/agents/{agent}/memory") as page:
        box = page.get_by_label("human", exact=True)
        expect(box).to_have_value("Ada")
        expect(page.get_by_role("button", name="Save")).to_have_count(0)
        box.fill("Ada Lovelace")
        page.get_by_role("button", name="Save").click()
        expect(page.locator("#said")).to_have_text("human saved")  # stays, where its toast goes
        expect(page.get_by_label("fixed", exact=True)).not_to_be_editable()
    block = client.ask("GET", f"/v1/agents/{agent}/core-memory/blocks/human")
    assert block["value"] == "Ada Lovelace"


def test_what_the_server_refuses_is_said(server: Server, client: Client, look: Look) -> None:
    agent = client.agent(memory_blocks=[{"label": "human", "value": "", "limit": 5}])
    with look.at(f"{server.url}/#/agents/{agent}/memory") as page:
        page.get_by_label("human", exact=True).fill("much too long")
        page.get_by_role("button", name="Save").click()
        expect(page.locator(".toast.bad")).to_contain_text("5")


def test_a_chat_shows_what_goes_on(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """A run that somebody else began is followed; messages sent meanwhile wait in line and are answered in turn."""
    agent = client.agent(name="Busy")
    model.known[mark] = [{"text": ["working ", {"gate": mark}, "done"]}]
    begun(client, agent, mark)
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        expect(page.locator(".said.assistant")).to_contain_text("working")
        page.get_by_label("Message to Busy").fill("and then?")
        page.keyboard.press("Enter")
        expect(page.locator(".said.user")).to_have_count(2)
        model.open(mark)
        expect(page.locator(".said.assistant").first).to_contain_text("working done")
        expect(page.locator(".said.assistant").last).to_contain_text("You said: and then?")
        expect(page.locator(".chat-status")).to_contain_text("Completed")
        page.reload()
        expect(page.locator(".said.assistant")).to_have_count(2)
        expect(page.locator(".said.user")).to_have_count(2)


def test_a_chat_follows_what_begins_elsewhere(server: Server, client: Client, look: Look, mark: str) -> None:
    agent = client.agent(name="Shared")
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        expect(page.locator(".side .line")).to_have_text("Live")
        expect(page.get_by_text("has not been spoken to yet")).to_be_visible()
        begun(client, agent, f"from elsewhere {mark}")
        expect(page.locator(".said.assistant")).to_contain_text(re.compile("You said: from elsewhere"))
        client.ask("POST", f"/v1/agents/{agent}/messages", saying(f"waited for {mark}"))
        expect(page.locator(".said.assistant").last).to_contain_text("You said: waited for")
        expect(page.locator(".said.user")).to_have_count(2)


def test_what_is_sent_before_the_history_came_is_shown_once(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """The history has it then, the feed told of it, and the page knows that it sent it: it was said once."""
    agent = client.agent(name="Early")
    model.known[mark] = [{"text": ["first ", {"gate": mark}, "last"]}]
    with look.at(f"{server.url}/#/agents") as page:
        held: list[Route] = []
        holding = True

        def hold(route: Route) -> None:
            if holding:
                held.append(route)
            else:
                route.continue_()

        page.route(HISTORY, hold)
        with page.expect_request(HISTORY):
            page.goto(f"{server.url}/#/agents/{agent}")
        page.get_by_label("Message to Early").fill(mark)
        page.get_by_role("button", name="Send").click()
        expect(page.get_by_label("Message to Early")).to_have_value("")
        assert held
        holding = False
        for route in held:
            route.continue_()
        expect(page.locator(".said.assistant")).to_contain_text("first")
        model.open(mark)
        expect(page.locator(".said.assistant")).to_contain_text("first last")
        expect(page.locator(".chat-status")).to_contain_text("Completed")
        expect(page.locator(".said.user")).to_have_count(1)
        expect(page.locator(".said.user")).to_contain_text(mark)
        expect(page.locator(".said.assistant")).to_have_count(1)


def test_tools_are_listed(server: Server, client: Client, look: Look) -> None:
    agent = client.agent(include_base_tools=True)
    with look.at(f"{server.url}/#/agents/{agent}/tools") as page:
        card = page.locator(".card").filter(has_text="conversation_search")
        card.get_by_text("Parameters").click()
        expect(card.locator("pre")).to_contain_text('"query"')


def test_an_agent_is_looked_at_and_deleted(server: Server, client: Client, look: Look) -> None:
    """What it is told stands there; it goes after a question only."""
    agent = client.agent(name="Shortlived", system="Answer in rhymes.")
    with look.at(f"{server.url}/#/agents/{agent}/about") as page:
        expect(page.get_by_role("group", name="Instructions")).to_have_text("Answer in rhymes.")
        page.get_by_role("button", name="Delete agent").click()
        page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("dialog")).to_have_count(0)
        page.get_by_role("button", name="Delete agent").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator("h1")).to_have_text("Agents")
    assert client.refused("GET", f"/v1/agents/{agent}").status_code == 404


def test_the_overview_says_how_the_server_does(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """Every part of the server is there by its name; a provider whose newest call failed is not well."""
    agent = client.agent(name="Counted")
    # Only those who spent the most are named, and the server is shared.
    much = f"{mark}: much"
    model.known[much] = [
        {"text": ["so"], "usage": {"prompt_tokens": 50_000_000, "completion_tokens": 1_000_000}}
    ]
    client.wait_status(begun(client, agent, much), "completed")
    with look.at(f"{server.url}/#/overview") as page:
        parts = page.locator(".health > div")
        for name in ("Server", "Engine", "Store", "Log", "Providers"):
            expect(parts.filter(has_text=name)).to_contain_text("OK")
        expect(parts.filter(has_text="Providers")).to_contain_text(re.compile(r"openai: .*calls"))
        model.known[mark] = [{"status": 500}]
        client.wait_status(begun(client, agent, mark), "failed")
        expect(parts.filter(has_text="Providers")).to_contain_text("Not well")
        expect(parts.filter(has_text="Providers")).to_contain_text(
            re.compile(r"openai: \d+ of \d+ calls failed")
        )
        expect(page.get_by_role("img", name=re.compile("Runs by status over time"))).to_be_visible()
        page.get_by_role("link", name="Counted").click()
        expect(page).to_have_url(re.compile(agent))
