"""How the page's files are served: whole, small, cached, and under a policy that lets nothing in."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from runstead.ui.pages import FOLDER, POLICY, Pages

COMPRESSED_BYTES_MAX = 150_000
LINES_MAX = 500
SCRIPTS = sorted(FOLDER.rglob("*.js"))


def asking(pages: Pages | None = None) -> httpx.AsyncClient:
    """A client of nothing but the page."""
    app = Starlette(routes=list((pages or Pages()).routes()))
    app.router.redirect_slashes = False
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1")


async def addresses(client: httpx.AsyncClient) -> list[str]:
    """All files that the index names."""
    return re.findall(r'(?:href|src)="([^"#][^"]*)"', (await client.get("/")).text)


async def test_everything_that_the_index_names_is_there() -> None:
    async with asking() as client:
        found = await addresses(client)
        for address in found:
            answer = await client.get("/" + address)
            assert answer.status_code == 200, address
            assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["x-content-type-options"] == "nosniff"
        types = {Path(address).suffix for address in found}
    assert types == {".js", ".css", ".svg"}


async def test_every_module_is_named_so_that_none_waits_for_another() -> None:
    async with asking() as client:
        found = await addresses(client)
    for path in FOLDER.joinpath("js").rglob("*.js"):
        assert any(each.endswith(f"/js/{path.relative_to(FOLDER / 'js').as_posix()}") for each in found)


async def test_the_index_is_asked_for_anew_and_answered_briefly() -> None:
    async with asking() as client:
        first = await client.get("/")
        again = await client.get("/", headers={"if-none-match": first.headers["etag"]})
        assert first.headers["cache-control"] == "no-cache"
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == first.headers["etag"]
        assert (await client.head("/")).status_code == 200


async def test_who_cannot_unpack_is_sent_the_plain_file() -> None:
    async with asking() as client:
        plain = await client.get("/", headers={"accept-encoding": "identity"})
        packed = await client.get("/", headers={"accept-encoding": "gzip, br"})
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert plain.text == packed.text


@pytest.mark.parametrize("name", ["nothing.js", "../pages.py", "%2e%2e/pages.py", "../../app.py", "js"])
async def test_nothing_else_is_served(name: str) -> None:
    async with asking() as client:
        assert (await client.get(f"/ui/any/{name}")).status_code == 404


async def test_an_old_page_is_served_after_an_upgrade_but_not_kept() -> None:
    async with asking() as client:
        answer = await client.get("/ui/older/js/main.js")
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-cache")


async def test_other_files_have_another_address(tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "index.html").write_text('<link href="{base}a.css">')
        (tmp_path / "a.css").write_text(text)
        async with asking(Pages(tmp_path)) as client:
            (address,) = await addresses(client)
            assert (await client.get(f"/{address}")).text == text
        (tmp_path / text).write_text(address)
    assert (tmp_path / "one").read_text() != (tmp_path / "two").read_text()


def test_the_page_weighs_little() -> None:
    total = sum(len(page.packed) for page in Pages().read().values())
    assert total < COMPRESSED_BYTES_MAX
    assert all(gzip.decompress(page.packed) == page.body for page in Pages().read().values())


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_make_no_markup_and_name_no_place(path: Path) -> None:
    """What a model says can only become text, and the page needs nothing of other hosts."""
    text = path.read_text(encoding="utf-8")
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc", text
    )
    places = set(re.findall(r"https?://[\w.-]+", text))
    assert places <= {"http://www.w3.org"}
    assert len(text.splitlines()) <= LINES_MAX
    assert text.startswith("//"), "say at the top what it is"
    # Addresses are relative: the page may stand under any path.
    assert not re.search(r"""(?:fetch|request|get|ask)\([^)]*["'`]/""", text)


def test_styles_name_no_place() -> None:
    for path in FOLDER.rglob("*.css"):
        assert not re.search(r"url\(|@import|https?:", path.read_text(encoding="utf-8"))
