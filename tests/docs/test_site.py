"""The site of the documents: built from every page, strictly, and of one origin."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import unquote, urlsplit

import pytest
from selectolax.lexbor import LexborHTMLParser
from tests.ui.browser import WAIT_MS, chromium
from website.site import ROOT, BuildFailed, build, homes, in_navigation, strictly

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
# What a browser fetches of a page by itself; a link to elsewhere is the reader's to follow.
_FETCHED = {
    "script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "object": "data",
}  # fmt: skip
_LINKS_FETCHED = {"stylesheet", "icon", "preload", "prefetch", "preconnect", "modulepreload", "dns-prefetch"}


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; Zensical's strict mode ends it where a link or an anchor of a page leads nowhere."""
    return build(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="session")
def documents(site: Path) -> dict[Path, LexborHTMLParser]:
    """Every page of it, parsed."""
    found = {path: LexborHTMLParser(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(found) > 20
    return found


def test_every_page_is_in_the_navigation(site: Path) -> None:
    """And everything that is in the navigation is a page. A new page is one line in website/zensical.toml."""
    made = {
        path.relative_to(site.parent / "docs").as_posix() for path in (site.parent / "docs").rglob("*.md")
    }
    named = in_navigation()

    assert sorted(made - set(named)) == [], "add these to website/zensical.toml"
    assert sorted(set(named) - made) == [], "these are named in website/zensical.toml and are no pages"
    assert len(named) == len(set(named))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("*.md")} <= set(named)


def test_a_broken_link_ends_the_build(tmp_path: Path) -> None:
    """The strictness that the others rely on: a page, and an anchor."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text(
        "# Home\n\n[a](index.md#nowhere) [b](gone.md)\n", encoding="utf-8"
    )
    (tmp_path / "zensical.toml").write_text('[project]\nsite_name = "One page"\n', encoding="utf-8")

    with pytest.raises(BuildFailed, match="2 issues found"):
        strictly(tmp_path)


def test_links_lead_to_what_is_there(documents: dict[Path, LexborHTMLParser], site: Path) -> None:
    """Files, pictures and anchors, in the pages as they were built."""
    faults = [
        f"{page.relative_to(site)}: {target}"
        for page, parsed in documents.items()
        if page.name != "404.html"  # served at any address, so its links are of the site's root
        for target in _targets(parsed)
        if not _leads_somewhere(page, target, documents)
    ]
    assert faults == []


def test_no_page_asks_another_origin(documents: dict[Path, LexborHTMLParser], site: Path) -> None:
    """No fonts, no scripts, no pictures from elsewhere."""
    faults = [
        f"{page.relative_to(site)}: {address}"
        for page, parsed in documents.items()
        for address in _fetched(parsed)
        if urlsplit(address).netloc
    ]
    assert faults == []


def test_a_browser_asks_one_server_only(site: Path) -> None:
    """Whatever the pages' scripts do when they run: search included."""
    with _served(site) as address, chromium() as browser:
        page = browser.new_page()
        page.set_default_timeout(4 * WAIT_MS)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for name in ("index.html", "web.html", "api/runs.html"):
            page.goto(f"{address}/{name}", wait_until="networkidle")
            assert page.locator("h1").count() == 1
    assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
    assert len(asked) > 8


def test_lists_are_lists(documents: dict[Path, LexborHTMLParser], site: Path) -> None:
    """The site's Markdown wants an empty line before a list and a table; the repository's readers see no difference."""
    faults = [
        f"{page.relative_to(site)}: {paragraph.text()[:80]}"
        for page, parsed in documents.items()
        for paragraph in parsed.css("article p")
        if re.search(r"(^|\n)\s*([-*] |\d+\. |\|)", paragraph.text())
    ]
    assert faults == []


def test_pages_are_gathered_whole(site: Path) -> None:
    """Each document is there under its name, and what the API's document says of an operation."""
    docs = site.parent / "docs"

    assert all((docs / place).is_file() for place in homes().values())
    runs = (docs / "api" / "runs.md").read_text(encoding="utf-8")
    assert "## `POST /v1/runs/{run_id}/stream` { #post-v1-runs-run_id-stream }" in runs
    assert "Body: [ResumeRequest](types.md#resumerequest) or null." in runs


def _targets(parsed: LexborHTMLParser) -> Iterator[str]:
    for node, attribute in ((n, a) for a in ("href", "src") for n in parsed.css(f"[{a}]")):
        target = node.attributes[attribute] or ""
        if not urlsplit(target).scheme and not urlsplit(target).netloc:
            yield target


def _leads_somewhere(page: Path, target: str, documents: dict[Path, LexborHTMLParser]) -> bool:
    parts = urlsplit(target)
    file = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    file = file / "index.html" if file.is_dir() else file
    if not file.is_file():
        return False
    anchor = unquote(parts.fragment)
    if not anchor or file not in documents or anchor.startswith("__"):
        return True
    return any(node.attributes.get("id") == anchor for node in documents[file].css("[id]"))


def _fetched(parsed: LexborHTMLParser) -> Iterator[str]:
    for tag, attribute in _FETCHED.items():
        yield from (node.attributes[attribute] or "" for node in parsed.css(f"{tag}[{attribute}]"))
    for node in parsed.css("link[href]"):
        if _LINKS_FETCHED & set((node.attributes.get("rel") or "").split()):
            yield node.attributes["href"] or ""
    for style in parsed.css("style"):
        yield from re.findall(r"url\(['\"]?([^'\")]+)", style.text())


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _served(folder: Path) -> Generator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
