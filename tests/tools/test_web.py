"""Pages and searches: what is read of them, and how every failure is told to the model."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, cast

import pytest

from runstead.clock import ManualClock
from runstead.domain.agent import Agent
from runstead.domain.message import ToolCall
from runstead.domain.tool import ToolOutcome
from runstead.ids import DEFAULT_USER, AgentId, RunId
from runstead.settings import SearchSettings, Secret, Settings, from_environment
from runstead.store.database import Database
from runstead.tools.builtin.web import PAGE_BYTES_MAX, Web
from runstead.tools.reader import DocumentReader
from runstead.tools.registry import Toolbox, ToolContext

NOW = ManualClock().now()
PAGE = b"""<html><head><title>Tea</title><style>p {color: red}</style></head><body>
<script>alert("no")</script><h1>About  tea</h1><p>Green &amp; black.</p><ul><li>hot</li><li>cold</li></ul></body></html>"""


class Site(BaseHTTPRequestHandler):
    """A few pages, and a search service."""

    asked: ClassVar[list[tuple[str, dict[str, str], Any]]] = []

    def do_GET(self) -> None:
        kind, body, status = "text/html; charset=utf-8", PAGE, 200
        if self.path == "/loop":
            self.answer(302, "text/plain", b"", location="/loop")
            return
        if self.path == "/inward":
            self.answer(302, "text/plain", b"", location="http://169.254.169.254/latest/")
            return
        if self.path == "/moved":
            self.answer(301, "text/plain", b"", location="/page")
            return
        if self.path == "/plain":
            kind, body = "text/plain", b"just text"
        elif self.path == "/image":
            kind, body = "image/png", b"\x89PNG"
        elif self.path == "/huge":
            kind, body = "text/plain", b"y" * (PAGE_BYTES_MAX + 1000)
        elif self.path == "/gone":
            status = 404
        self.answer(status, kind, body)

    def do_POST(self) -> None:
        given = json.loads(self.rfile.read(int(self.headers["content-length"])))
        Site.asked.append((self.path, {k.lower(): v for k, v in self.headers.items()}, given))
        if given["query"] == "fail":
            self.answer(401, "application/json", b"{}")
            return
        found = [{"title": "Tea", "url": "https://tea.example/", "content": "Leaves.", "text": "Leaves."}]
        results = [] if given["query"] == "nothing" else found
        self.answer(200, "application/json", json.dumps({"results": results}).encode())

    def answer(self, status: int, kind: str, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-type": kind, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def serving() -> Generator[str]:
    """The site's base URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def call(settings: Settings, name: str, **arguments: object) -> ToolOutcome:
    """What comes of a call."""
    toolbox = Toolbox(cast("Database", object()), Web(settings, DocumentReader(settings)).tools, timeout_s=60)
    tools = ("fetch_webpage", "web_search")
    agent = Agent(AgentId("agent-1"), DEFAULT_USER, "a", "letta_v1_agent", "x/y", "", NOW, NOW, tools=tools)
    context = ToolContext(DEFAULT_USER, agent, RunId("run-1"), "call-1", (), NOW)
    return await toolbox.run(ToolCall("call-1", name, json.dumps(arguments)), context)


@pytest.mark.slow
async def test_pages_are_read_as_text() -> None:
    """No markup, no script; redirects are followed, text is text, what is long is cut."""
    with serving() as url:
        settings = Settings(fetch_private=True)
        page = await call(settings, "fetch_webpage", url=f"{url}/page")
        moved = await call(settings, "fetch_webpage", url=f"{url}/moved")
        plain = await call(settings, "fetch_webpage", url=f"{url}/plain")
        huge = await call(settings, "fetch_webpage", url=f"{url}/huge")
    assert page.text == "Tea\nAbout tea\nGreen & black.\nhot\ncold"
    assert moved.text == page.text
    assert plain.text == "just text"
    assert len(huge.text) < 51_000


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/loop", "redirects more than 5 times"),
        ("/image", "no text but image/png"),
        ("/gone", "answered 404"),
    ],
)
async def test_what_cannot_be_read_is_told_why(path: str, says: str) -> None:
    """The model learns what to do next."""
    with serving() as url:
        outcome = await call(Settings(fetch_private=True), "fetch_webpage", url=url + path)
    assert outcome.status == "error"
    assert says in outcome.text


async def test_what_is_inside_is_not_asked() -> None:
    """Unless the operator lets it: this server's own network is closed, by address, by name, and by redirect."""
    with serving() as url:
        direct = await call(Settings(), "fetch_webpage", url=f"{url}/page")
        nobody = await call(Settings(fetch_private=True), "fetch_webpage", url="http://127.0.0.1:9/")
    assert direct.status == nobody.status == "error"
    assert "not on the public internet" in direct.text
    assert "cannot be fetched" in nobody.text


@pytest.mark.parametrize("kind", ["tavily", "exa"])
async def test_a_search_asks_its_service(kind: str) -> None:
    """With the key in the service's own header, which is in no text for the model."""
    Site.asked.clear()
    with serving() as url:
        settings = Settings(search=SearchSettings(kind, url, Secret("hush")))
        found = await call(
            settings, "web_search", query="tea", num_results=99, include_domains=["tea.example"]
        )
        nothing = await call(settings, "web_search", query="nothing")
        failed = await call(settings, "web_search", query="fail")
        wrong = await call(settings, "web_search", query="tea", num_results=0)
    assert found.text == "Tea\nhttps://tea.example/\nLeaves."
    assert nothing.text == "Nothing was found for 'nothing'."
    assert "answered 401" in failed.text
    assert "at least 1" in wrong.text
    path, headers, body = Site.asked[0]
    assert path == "/search"
    assert "hush" in (headers["authorization"] if kind == "tavily" else headers["x-api-key"])
    assert 20 in body.values()
    assert ["tea.example"] in body.values()


async def test_without_a_service_the_model_is_told() -> None:
    """Clients give the tool to every agent, so it is there; its answer says who can change that."""
    outcome = await call(Settings(), "web_search", query="tea")
    assert outcome.status == "error"
    assert "TAVILY_API_KEY or EXA_API_KEY" in outcome.text


def test_a_key_chooses_the_service() -> None:
    """The first that has one."""
    assert from_environment({}).search is None
    exa = from_environment({"EXA_API_KEY": "k"}).search
    both = from_environment({"EXA_API_KEY": "k", "TAVILY_API_KEY": "t"}).search
    assert exa is not None
    assert (exa.kind, exa.base_url) == ("exa", "https://api.exa.ai")
    assert both is not None
    assert both.kind == "tavily"
    assert "k" not in repr(exa.api_key)
