"""What is done about a run from its page: stop, answer, delete, say more, copy; and what is seen at first sight."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect
from tests.serving import Client, Server, saying, story, tokens, until
from tests.story_model import StoryModel
from tests.ui.browser import PHONE, Look
from tests.ui.seeds import begun, said

pytestmark = pytest.mark.slow

CALL = {"name": "conversation_search", "arguments": {"query": "invoices", "limit": 3}, "id": "call_1"}


def asking_agent(client: Client, name: str = "Careful") -> str:
    """An agent that must ask before it searches."""
    rules = [{"type": "requires_approval", "tool_name": "conversation_search"}]
    return client.agent(name=name, include_base_tools=True, tool_rules=rules)


def asked_run(client: Client, agent: str, mark: str) -> str:
    """A run that ended with a question."""
    run_id = said(client, agent, story({"calls": [CALL]}, {"text": ["So ", "be it."]}, mark=mark))
    assert client.run(run_id)["stop_reason"] == "requires_approval"
    return run_id


def newest(client: Client, agent: str) -> str:
    """The newest run of an agent."""
    return str(client.ask("GET", f"/v1/runs/?agent_id={agent}&limit=1")[0]["id"])


def test_a_run_is_cancelled(server: Server, client: Client, model: StoryModel, look: Look, mark: str) -> None:
    """What was said stays; the model's caller hangs up."""
    agent = client.agent()
    run_id = begun(client, agent, story({"text": [*tokens(3), {"silence": True}]}, mark=mark))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".said.assistant")).to_contain_text("t0 t1 t2")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".run-title")).to_contain_text("Cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.locator(".said.assistant")).to_contain_text("t0 t1 t2")
    asked = model.asked_with(mark)[-1]
    until(lambda: asked.hung_up_ns is not None)
    assert client.run(run_id)["status"] == "cancelled"


def test_a_call_is_approved_from_its_run(server: Server, client: Client, look: Look, mark: str) -> None:
    """The answer is a run of its own, which the page goes on to."""
    agent = asking_agent(client)
    run_id = asked_run(client, agent, mark)
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".run-title")).to_contain_text("Needs approval")
        expect(page.locator(".decision")).to_contain_text("invoices")
        page.get_by_role("button", name="Approve").click()
        expect(page.locator(".said.assistant").last).to_contain_text("So be it.")
        expect(page.locator(".said.user")).to_contain_text("Approved")
        page.goto(f"{server.url}/#/runs/{run_id}")
        expect(page.locator(".run-title")).to_contain_text("Needs approval")
        expect(page.locator(".facts")).to_contain_text(run_id)
        expect(page.locator(".decision")).to_have_count(0)
    client.wait_status(newest(client, agent), "completed")


def test_a_call_is_denied_with_a_reason_from_the_inbox(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """The inbox says who asks for what; the model is told the reason; the inbox is empty afterwards."""
    agent = asking_agent(client, name=f"Inbox {mark[-8:]}")
    with look.at(f"{server.url}/#/approvals") as page:
        expect(page.locator("h1")).to_have_text("Approvals")
        expect(page.locator(".side .line")).to_have_text("Live")
        asked_run(client, agent, mark)
        card = page.locator(".card").filter(has_text=f"Inbox {mark[-8:]}")
        expect(card).to_contain_text("invoices")
        expect(page.locator(".count")).to_be_visible()
        expect(card.locator(".deadline")).to_have_text(
            re.compile(r"^Expires in 6 d 23 h; then the server answers it\.$")
        )
        card.get_by_label("Reason").fill("not in November")
        card.get_by_role("button", name="Deny").click()
        expect(card).to_have_count(0)
    model.wait_until(lambda: "not in November" in str(model.asked_with(mark)[-1].body["messages"]))
    assert client.wait_status(newest(client, agent), "completed")["stop_reason"] == "end_turn"


def test_several_calls_are_answered_each(server: Server, client: Client, look: Look, mark: str) -> None:
    agent = asking_agent(client)
    calls = [{**CALL, "id": f"call_{n}", "arguments": {"query": f"q{n}"}} for n in (1, 2)]
    run_id = said(client, agent, story({"calls": calls}, {"text": ["Done."]}, mark=mark))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".decision")).to_contain_text("2 tool calls need an answer")
        page.locator(".choice").nth(1).get_by_label("Deny").check()
        page.get_by_role("button", name="Send answers").click()
        expect(page.locator(".said.assistant").last).to_contain_text("Done.")
    given = client.ask("GET", f"/v1/runs/{newest(client, agent)}/messages")
    approvals = next(m["approvals"] for m in given if m["message_type"] == "approval_response_message")
    assert [each["approve"] for each in approvals] == [True, False]


def test_a_run_is_deleted_after_a_question(server: Server, client: Client, look: Look) -> None:
    """Escape keeps it; the answer takes it."""
    run_id = said(client, client.agent(), "delete me")
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("dialog")).to_contain_text("Delete this run?")
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).to_have_count(0)
        assert client.run(run_id)["status"] == "completed"
        page.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator("h1")).to_have_text("Runs")
    assert client.refused("GET", f"/v1/runs/{run_id}").status_code == 404


def test_more_is_said_from_a_run(server: Server, client: Client, look: Look, mark: str) -> None:
    agent = client.agent(name="Answers")
    run_id = said(client, agent, "first")
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        box = page.get_by_label("Message to Answers")
        box.fill(f"second {mark}")
        box.press("Enter")
        expect(page.locator(".said.assistant")).to_contain_text(f"You said: second {mark}")
        expect(page).not_to_have_url(re.compile(run_id))
    assert client.run(newest(client, agent))["background"] is True


def test_what_failed_is_seen_at_first_sight(server: Server, client: Client, look: Look) -> None:
    """The step, the model, its words and the input, without opening anything."""
    text = story({"status": 400, "error": {"message": "this model dislikes tuesdays"}})
    run_id = said(client, client.agent(), text)
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        failure = page.locator(".failure:visible")
        expect(failure).to_have_count(1)
        expect(failure).to_contain_text("Failed in step 1, openai/story")
        expect(failure).to_contain_text("tuesdays")
        expect(failure).to_contain_text("Input: ")
        expect(page.locator(".step.is-failed")).to_contain_text("tuesdays")


# Drawn anew as more of it comes: both bars are measured at once.
TO_SCALE = """wanted => {
    const [one, two] = [...document.querySelectorAll(".timeline .model")].map(el => el.getBoundingClientRect().width);
    return Math.abs(two / one / wanted - 1) < 0.1;
}"""


def test_the_timeline_is_to_scale(server: Server, client: Client, look: Look) -> None:
    """Two model calls, the second three times as long as the first; tools are named."""
    agent = client.agent(include_base_tools=True)
    turns = (
        {"text": [{"pause_ms": 100}, "a ", {"pause_ms": 200}, "b"], "calls": [CALL]},
        {"text": [{"pause_ms": 100}, "c ", {"pause_ms": 800}, "d"]},
    )
    run_id = said(client, agent, story(*turns))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".timeline .step")).to_have_count(2)
        expect(page.locator(".timeline .step").first).to_contain_text("conversation_search")
        steps = client.ask("GET", f"/v1/runs/{run_id}/steps?order=asc")
        spoke = [step["model_ns"] - step["ttft_ns"] for step in steps]
        page.wait_for_function(TO_SCALE, arg=spoke[1] / spoke[0])


def test_each_of_several_tools_has_its_lane(server: Server, client: Client, look: Look) -> None:
    """With its name, its time and whether it failed; one that runs after another begins where that one ends."""
    agent = client.agent(include_base_tools=True)
    calls = [CALL, {"name": "no_such_tool", "arguments": {}, "id": "call_2"}]
    run_id = said(client, agent, story({"calls": calls}, {"text": ["Done."]}))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        lanes = page.locator(".timeline .step").first.locator(".tool-lanes li")
        expect(lanes).to_have_count(2)
        expect(lanes.first).to_have_text(re.compile(r"conversation_search [\d.]+ m?s"))
        expect(lanes.last).to_have_text(re.compile(r"no_such_tool failed [\d.]+ m?s"))
        boxes = [lanes.nth(n).locator(".bar").bounding_box() for n in (0, 1)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["x"] <= boxes[1]["x"]


def test_how_often_a_model_was_asked_again_is_seen(
    model: StoryModel, folder: Path, look: Look, mark: str
) -> None:
    model.known[mark] = [{"status": 503, "error": {"message": "too much to do"}}]
    with Server(folder, model.url, RUNSTEAD_MODEL_RETRIES="1") as server, server.client() as client:
        run_id = said(client, client.agent(), mark)
        with look.at(f"{server.url}/#/runs/{run_id}") as page:
            expect(page.locator(".step.is-failed")).to_contain_text("1 retry")


def test_a_run_is_copied_as_code(server: Server, client: Client, look: Look) -> None:
    """What is copied names this run at this server, and holds no key."""
    run_id = said(client, client.agent(), 'it\'s "quoted" & $HOME')
    permissions = ["clipboard-read", "clipboard-write"]
    with look.at(f"{server.url}/#/runs/{run_id}", permissions=permissions) as page:
        copied: dict[str, str] = {}
        for name in (
            "Follow with curl",
            "Follow with Python",
            "Ask again with curl",
            "Ask again with Python",
        ):
            page.locator(".menu summary").click()
            page.get_by_role("button", name=name).click()
            expect(page.locator("#said")).to_have_text(f"{name} copied")  # stays, where its toast goes
            copied[name] = page.evaluate("navigator.clipboard.readText()")
    assert f"{server.url}/v1/runs/{run_id}/stream" in copied["Follow with curl"]
    assert f'stream("{run_id}", starting_after=0)' in copied["Follow with Python"]
    assert f'base_url="{server.url}"' in copied["Follow with Python"]
    assert r"it'\''s" in copied["Ask again with curl"]
    for text in copied.values():
        assert "Bearer" not in text
    compile(copied["Ask again with Python"], "copied", "exec")


def test_raw_events_are_one_click_away(server: Server, client: Client, look: Look) -> None:
    run_id = said(client, client.agent(), story({"text": ["one ", "two"]}))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        expect(page.locator(".run-title")).to_contain_text("Completed")
        page.get_by_role("tab", name="Events").click()
        expect(page.locator(".raw-row")).to_have_count(len(client.resumed(run_id)) - 1)
        page.locator(".raw-row").filter(has_text="two").click()
        expect(page.locator(".raw-detail")).to_contain_text('"content": "two"')


def test_a_run_on_a_phone(server: Server, client: Client, look: Look) -> None:
    """The conversation first, the timeline one tab away, nothing wider than the screen."""
    run_id = said(client, client.agent(), story({"text": ["one ", "two"]}))
    with look.at(f"{server.url}/#/runs/{run_id}", size=PHONE) as page:
        expect(page.locator(".said.assistant")).to_be_visible()
        expect(page.locator(".timeline")).to_be_hidden()
        page.get_by_role("tab", name="Timeline").click()
        expect(page.locator(".timeline .step")).to_be_visible()
        expect(page.locator(".said.assistant")).to_be_hidden()
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]


def test_what_is_not_there_says_so(server: Server, look: Look) -> None:
    with look.at(f"{server.url}/#/runs/run-00000000-0000-4000-8000-000000000000") as page:
        expect(page.locator("h1")).to_have_text("This run is not here")
        page.goto(f"{server.url}/#/agents/agent-00000000-0000-4000-8000-000000000000")
        expect(page.locator("h1")).to_have_text("This agent is not here")


def test_a_waiting_run_says_that_it_waits(
    server: Server, client: Client, model: StoryModel, look: Look, mark: str
) -> None:
    """A run in line behind another of its agent."""
    agent = client.agent()
    first = begun(client, agent, story({"text": ["a", {"gate": mark}]}, mark=mark))
    second = client.ask("POST", f"/v1/agents/{agent}/messages/async", saying("after that"))["id"]
    with look.at(f"{server.url}/#/runs/{second}") as page:
        expect(page.locator(".run-title")).to_contain_text("Queued")
        expect(page.locator(".working")).to_contain_text("Waiting in line")
        expect(page.get_by_role("link", name="behind one run")).to_have_attribute("href", f"#/runs/{first}")
        model.open(mark)
        expect(page.locator(".run-title")).to_contain_text("Completed")
        expect(page.locator(".timeline")).to_contain_text("Waiting in line")
