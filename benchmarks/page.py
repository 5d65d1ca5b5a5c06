"""How the web page does in a real Chromium: its weight, its first paint, and how long it is ever busy without a break.

    python -m benchmarks.page

It starts a server of its own with 5,000 runs and a model that says 200 tokens a second. A task is what keeps a browser
from answering its user; what took more than 50 ms is counted as long. Nothing here decides whether a number is good.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

from playwright.sync_api import Browser, Page
from tests.serving import Client, Server, story
from tests.story_model import StoryModel
from tests.ui.browser import chromium
from tests.ui.seeds import begun, multiply, said

from runstead.ui.pages import Pages

RUNS = 5000
OPENINGS = 7
TOKENS = 2000
TOKENS_PER_S = 200
LONG_MS = 50
SCROLLS = 120
TRACED = ["toplevel", "disabled-by-default-toplevel.flow", "__metadata"]
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null"
SCROLL = """async count => {
    const list = document.querySelector(".runs-list");
    for (let at = 0; at <= count; at += 1) {
        list.scrollTop = (list.scrollHeight - list.clientHeight) * at / count;
        await new Promise(requestAnimationFrame);
    }
}"""


@contextmanager
def opened(browser: Browser, address: str) -> Generator[Page]:
    """A page in a profile of its own, with nothing in its cache."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


@contextmanager
def traced(browser: Browser, page: Page) -> Generator[list[str]]:
    """What the page's main thread did meanwhile, in words, once the block is over.

    A task's time by the clock is also what other processes took from it; its processor time is the page's own.
    """
    told: list[str] = []
    browser.start_tracing(page=page, categories=TRACED)
    yield told
    events = cast("list[dict[str, Any]]", json.loads(browser.stop_tracing())["traceEvents"])
    names = {(e["pid"], e["tid"]): e["args"]["name"] for e in events if e["name"] == "thread_name"}
    tasks = [
        (e["dur"] / 1000, e.get("tdur", 0) / 1000)
        for e in events
        if e["name"].endswith("RunTask")
        and e.get("ph") == "X"
        and names.get((e["pid"], e["tid"])) == "CrRendererMain"
    ]
    for name, times in (("clock", [wall for wall, _ in tasks]), ("processor", [own for _, own in tasks])):
        long = sum(each > LONG_MS for each in times)
        told.append(
            f"by the {name} {long} tasks over {LONG_MS} ms, the longest {max(times, default=0):.0f} ms"
        )


def weight() -> str:
    """What is sent to a browser that has nothing yet."""
    pages = Pages().read().values()
    return f"{sum(len(page.packed) for page in pages) / 1000:.0f} kB compressed in {len(pages)} files"


def paints(browser: Browser, url: str) -> str:
    """From the address to something to read, and to the first row, with an empty cache."""
    first: list[float] = []
    rows: list[float] = []
    for _ in range(OPENINGS):
        with opened(browser, url) as page:
            page.wait_for_selector(".v-body .run-row")
            rows.append(page.evaluate("performance.now()"))
            page.wait_for_function(f"() => ({PAINT}) !== null")
            first.append(page.evaluate(PAINT))
    return f"first paint {median(first):.0f} ms, first row of {RUNS:,} {median(rows):.0f} ms (medians of {OPENINGS})"


def streamed(browser: Browser, client: Client, url: str) -> str:
    """The tasks of a page that follows a run of 200 tokens a second to its end, with headings, lists and code."""
    words = ["word ", "and **bold** ", "`code` ", "more.\n\n", "- a point\n", "\n## Title\n\n"]
    acts: list[Any] = []
    for number in range(TOKENS):
        acts += [words[number % len(words)], {"pause_ms": 1000 / TOKENS_PER_S}]
    run_id = begun(client, client.agent(name="fast"), story({"text": acts}))
    with opened(browser, f"{url}/#/runs/{run_id}") as page:
        page.wait_for_selector(".said.assistant")
        began = time.monotonic()
        with traced(browser, page) as told:
            page.wait_for_selector(".run-title .is-completed", timeout=60_000)
            speed = TOKENS / (time.monotonic() - began)
        return f"{speed:.0f} tokens/s; {'; '.join(told)}"


def scrolled(browser: Browser, url: str) -> str:
    """The tasks of a list that is scrolled from its top to its end, fetching as it goes, and back."""
    with opened(browser, url) as page:
        page.wait_for_selector(".v-body .run-row")
        with traced(browser, page) as told:
            for _ in range(4):
                page.evaluate(SCROLL, SCROLLS)
        return f"{'; '.join(told)}; {page.locator('.v-body .run-row').count()} rows drawn"


def main() -> None:
    """Measure and print."""
    folder = Path(tempfile.mkdtemp(prefix="runstead-page-"))
    with StoryModel() as model, Server(folder, model.url) as server, server.client() as client:
        said(client, client.agent(name="busy"), "the first one")
        server.stop()
        multiply(folder / "data" / "runstead.db", RUNS - 1)
        server.start()
        with chromium() as browser:
            print(f"weight     {weight()}")
            print(f"opening    {paints(browser, server.url)}")
            print(f"scrolling  {scrolled(browser, server.url)}")
            print(f"streaming  {streamed(browser, client, server.url)}")


if __name__ == "__main__":
    main()
