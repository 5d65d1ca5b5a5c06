"""A talk with an agent on the page: what broke is told, what waits stands below, what was earlier is one click away."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect
from tests.serving import Client, Server, saying
from tests.story_model import StoryModel
from tests.ui.browser import Look
from tests.ui.seeds import begun, said

pytestmark = pytest.mark.slow


def test_a_history_says_how_its_runs_broke(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """A question without an answer is followed by the reason, also long after."""
    agent = client.agent(name="Unlucky")
    model.known[mark] = [{"status": 400, "error": {"message": "this model dislikes tuesdays"}}]
    said(client, agent, mark)
    said(client, agent, "better now")
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        items = page.locator(".conversation > *")
        expect(items).to_have_count(4)
        expect(items.nth(1)).to_contain_text("tuesdays")
        expect(items.nth(3)).to_contain_text("You said: better now")


def test_what_waits_in_line_stands_below_what_goes_on(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    agent = client.agent(name="Orderly")
    model.known[mark] = [{"text": ["first ", {"gate": mark}, "answer"]}]
    begun(client, agent, mark)
    client.ask("POST", f"/v1/agents/{agent}/messages/async", saying("the second question"))
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        expect(page.locator(".said.assistant")).to_contain_text("first")
        expect(page.locator(".waits")).to_have_text(re.compile("the second question"))
        model.open(mark)
        expect(page.locator(".said.assistant").last).to_contain_text("You said: the second question")
        expect(page.locator(".waits")).to_have_count(0)
        expect(page.locator(".said")).to_have_text(
            [re.compile(text) for text in (mark, "first answer", "the second question", "You said")]
        )


def test_earlier_messages_come_when_asked_for(server: Server, client: Client, look: Look) -> None:
    agent = client.agent(name="Talkative")
    for number in range(32):
        client.ask("POST", f"/v1/agents/{agent}/messages", saying(f"question {number}."))
    with look.at(f"{server.url}/#/agents/{agent}") as page:
        expect(page.locator(".said").last).to_contain_text("question 31.")
        expect(page.get_by_text("question 0.", exact=True)).to_have_count(0)
        page.get_by_role("button", name="Earlier messages").click()
        expect(page.locator(".said.user").first).to_contain_text("question 0.")
        expect(page.locator(".said.user")).to_have_count(32)
        expect(page.get_by_role("button", name="Earlier messages")).to_have_count(0)


def test_a_conversation_is_read_and_gone_on_with(server: Server, client: Client, look: Look) -> None:
    """Its history is its own, and what is said in it stays in it."""
    agent = client.agent(name="Plural")
    said(client, agent, "in the agent's own history")
    made = client.ask("POST", f"/v1/conversations/?agent_id={agent}", {"summary": "About invoices"})
    path = f"/v1/conversations/{made['id']}/messages"
    with client.stream(path, saying("in a conversation", background=True, streaming=True)) as frames:
        list(frames)
    with look.at(f"{server.url}/#/agents/{agent}/conversations") as page:
        page.get_by_role("link", name="About invoices").click()
        expect(page.locator(".said.user")).to_have_text(re.compile("in a conversation"))
        page.get_by_label("Message to Plural").fill("and more")
        page.keyboard.press("Enter")
        expect(page.locator(".said.assistant").last).to_contain_text("You said: and more")
        expect(page.locator(".said.user")).to_have_count(2)
        page.get_by_role("link", name="Chat", exact=True).click()
        expect(page.locator(".said.user")).to_have_text(re.compile("own history"))
    newest = client.ask("GET", f"/v1/runs/?agent_id={agent}&limit=1")[0]
    assert newest["conversation_id"] == made["id"]
