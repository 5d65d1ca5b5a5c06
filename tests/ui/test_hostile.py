"""Nothing that a model, a tool or a user says becomes markup, leads anywhere bad, or breaks the page."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect
from tests.serving import Client, Server, story, until
from tests.ui.browser import Look
from tests.ui.seeds import begun, said

pytestmark = pytest.mark.slow

MARKUP = (
    "<script>window.owned = 1</script>",
    "<img src=x onerror='window.owned = 2'>",
    "<svg onload='window.owned = 3'></svg>",
    "<iframe srcdoc='<script>parent.owned = 4</script>'></iframe>",
    "<style>body { display: none }</style>",
    "</div></article><h1>owned</h1>",
)
LINKS = (
    "[script](javascript:window.owned=5)",
    "[data](data:text/html,<script>window.owned=6</script>)",
    "[spaces]( javascript:window.owned=7)",
    "[case](JaVaScRiPt:window.owned=8)",
    "[entity](&#106;avascript:window.owned=9)",
    "[file](file:///etc/passwd)",
    "[relative](//evil.example/x)",
    "![image](https://evil.example/pixel.png)",
)
GOOD = "[site](https://example.org/a?b=c) and [mail](mailto:a@example.org) and https://example.org/bare."
ANSI = "\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07 \x00nul \x1b[2J"
BIDI = "\u202e\u0633\u0644\u0627\u0645 \u202dabc \u2066x\u2069"
HUGE = "x" * 300_000


def unharmed(page: Page, requests: list[str], server: Server) -> None:
    """No script ran, nothing strange was made, nobody else was asked."""
    assert page.evaluate("window.owned") is None
    assert (
        page.locator(
            "main script, main iframe, main img, main style, main object, main embed, main form[action]"
        ).count()
        == 0
    )
    assert page.locator("h1").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [each for each in requests if not each.startswith((server.url, "data:"))] == []


def hostile_run(client: Client) -> str:
    """A run whose model, tool call and user say all of it."""
    words = "\n\n".join((*MARKUP, *LINKS, GOOD, ANSI, BIDI))
    agent = client.agent(name=MARKUP[0], include_base_tools=True)
    call = {"name": "conversation_search", "arguments": {"query": MARKUP[0] + ANSI}, "id": "call_1"}
    turns = ({"reasoning": [words], "text": [words], "calls": [call]}, {"text": [words, HUGE]})
    return said(client, agent, story(*turns, mark=MARKUP[1]))


def test_what_is_said_stays_text(server: Server, client: Client, look: Look) -> None:
    run_id = hostile_run(client)
    requests: list[str] = []
    with look.at(server.url) as page:
        page.on("request", lambda request: requests.append(request.url))
        page.on("dialog", lambda dialog: look.faults.append(f"a dialog: {dialog.message}"))
        page.get_by_role("link", name="turns").first.click()
        page.goto(f"{server.url}/#/runs/{run_id}")
        expect(page.locator(".said.assistant").last).to_contain_text("window.owned = 1")
        for fold in page.locator("details.item").all():
            fold.evaluate("el => { el.open = true; }")
        expect(page.locator(".reasoning .md")).to_contain_text("<script>window.owned = 1</script>")
        links = page.locator(".said.assistant .md a").evaluate_all(
            "all => all.map(a => [a.protocol, a.rel, a.host])"
        )
        assert links
        assert {protocol for protocol, _, _ in links} == {"https:", "mailto:"}
        assert all("noopener" in rel for _, rel, _ in links)
        text = page.locator(".said.assistant").last.inner_text()
        assert "\x1b" not in text
        assert "red" in text
        assert "[31m" not in text
        page.get_by_role("tab", name="Events").click()
        expect(page.locator(".raw-row").first).to_be_visible()
        unharmed(page, requests, server)
        page.goto(f"{server.url}/#/runs")
        expect(page.locator(".v-body .run-row").first).to_be_visible()
        unharmed(page, requests, server)
        for view in ("agents", "approvals", "overview"):
            page.goto(f"{server.url}/#/{view}")
            expect(page.locator("h1")).to_be_visible()
            unharmed(page, requests, server)


def test_a_huge_line_is_shown_in_part_and_whole_when_asked(
    server: Server, client: Client, look: Look
) -> None:
    run_id = said(client, client.agent(), story({"text": [HUGE, "\n\nthe end"]}))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        more = page.locator(".said.assistant").get_by_role("button", name="more characters")
        expect(more).to_be_visible()
        assert len(page.locator(".said.assistant .md").inner_text()) < 100_000
        more.click()
        expect(page.locator(".said.assistant .md")).to_contain_text("the end")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_names_and_memory_are_text_too(server: Server, client: Client, look: Look) -> None:
    agent = client.agent(name=MARKUP[1], memory_blocks=[{"label": "human", "value": "".join(MARKUP)}])
    requests: list[str] = []
    with look.at(f"{server.url}/#/agents/{agent}/memory") as page:
        page.on("request", lambda request: requests.append(request.url))
        expect(page.locator("h1")).to_have_text(MARKUP[1])
        expect(page.locator("textarea")).to_have_value("".join(MARKUP))
        unharmed(page, requests, server)


def test_the_policy_stops_what_gets_through(server: Server, look: Look) -> None:
    """Should markup ever be made of something said, the browser refuses to run it or to load anything for it."""
    with look.at(server.url) as page:
        page.evaluate(
            """() => {
                const el = document.createElement("div");
                el.innerHTML = "<img src='https://evil.example/p.png' onerror='window.owned = 1'>";
                document.body.append(el);
                const script = document.createElement("script");
                script.textContent = "window.owned = 2";
                document.body.append(script);
            }"""
        )
        page.wait_for_function("() => document.querySelector('body > div > img')?.complete")
        until(lambda: bool(page.evaluate("1") and look.faults), what="the browser's word that it refused")
        assert page.evaluate("window.owned") is None
    assert all("Content Security Policy" in fault for fault in look.faults)
    look.faults.clear()


def test_markdown_is_shown_as_meant(server: Server, client: Client, look: Look) -> None:
    """Headings, lists, code, tables and quotes, also when they come letter by letter."""
    text = (
        "# Title\n\nSome **bold**, *slanted*, ~~gone~~ and `code`; 2 * 3 * 4 and snake_case_name stay.\n\n"
        "- one\n- two\n  - inner\n\n3. three\n4. four\n\n```python\nif a < b:\n\n    print('<b>')\n```\n\n"
        "| a | b |\n|---|---|\n| 1 | 2 |\n\n> said\n\n---\n\nend"
    )
    run_id = begun(client, client.agent(), story({"text": list(text)}))
    with look.at(f"{server.url}/#/runs/{run_id}") as page:
        md = page.locator(".said.assistant .md")
        expect(md).to_contain_text("end")
        expect(md.locator("strong")).to_have_text("bold")
        expect(md.locator("em")).to_have_text("slanted")
        expect(md.locator("del")).to_have_text("gone")
        expect(md.locator("ul ul li")).to_have_text("inner")
        expect(md.locator("ol")).to_have_attribute("start", "3")
        expect(md.locator("pre code")).to_have_text("if a < b:\n\n    print('<b>')")
        expect(md.locator("td")).to_have_text(["1", "2"])
        expect(md.locator("blockquote")).to_have_text("said")
        expect(md.locator("hr")).to_have_count(1)
        expect(md).to_contain_text("2 * 3 * 4 and snake_case_name stay.")
