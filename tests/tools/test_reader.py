"""Reading what strangers wrote: what it is, and that what is made to do harm takes its own time only."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from runstead.settings import Settings
from runstead.tools import reader as module
from runstead.tools.reader import DocumentReader, Match, Unreadable

pytestmark = pytest.mark.slow
SETTINGS = Settings()


def pdf(*streams: bytes, filters: str = "/FlateDecode") -> bytes:
    """A PDF with a page for each content stream."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(streams)))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {len(streams)}>>".encode(),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for number, stream in enumerate(streams):
        page = f"<</Type/Page/Parent 2 0 R/Contents {5 + 2 * number} 0 R/Resources<</Font<</F 3 0 R>>>>>>"
        head = f"<</Length {len(stream)}/Filter{filters}>>stream\n".encode()
        objects += [page.encode(), head + stream + b"\nendstream"]
    body = b"%PDF-1.4\n"
    places: list[int] = []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + each + b"\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return (
        body
        + (
            f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
            f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{len(body)}\n%%EOF"
        ).encode()
    )


def page(text: str) -> bytes:
    """The content stream of a page that says something."""
    return zlib.compress(f"BT /F 12 Tf 72 700 Td ({text}) Tj ET".encode())


@pytest.mark.parametrize(
    ("name", "kind", "body", "text"),
    [
        ("a.txt", None, b"\xef\xbb\xbfa\r\nb", "a\nb"),
        ("a.unknown", "application/x-thing", "grün".encode(), "grün"),
        ("a.txt", None, "grün".encode("cp1252"), "grün"),
        ("a.csv", None, "a;b".encode("utf-16"), "a;b"),
        ("a.html", None, b"<h1>Tea</h1><script>x</script><p>at five", "Tea\nat five"),
        ("page", "text/html; charset=utf-8", b"<p>Tea", "Tea"),
        ("page", None, b" <!DOCTYPE html><p>Tea", "Tea"),
        ("a.pdf", None, pdf(page("Tea"), page("at five")), "Tea\n\nat five"),
        ("a.txt", "text/plain", pdf(page("Tea")), "Tea"),
    ],
)
async def test_files_become_text(name: str, kind: str | None, body: bytes, text: str) -> None:
    """By what they are, whatever they are called."""
    assert await DocumentReader(SETTINGS).text_of(name, kind, body) == text


def nested(mebibytes: int) -> bytes:
    """So many zeros, made small three times over."""
    squeezed = bytes(mebibytes * 1024 * 1024)
    for _ in range(3):
        squeezed = zlib.compress(squeezed, 9)
    return squeezed


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "a PDF that is none": (lambda: b"%PDF-1.4\n" + b"1 0 obj <<" * 10_000, "broken|no text"),
    "a PDF whose pages are each other": (
        lambda: pdf(page("x")).replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]"),
        "broken|no text|nested|pages",
    ),
    "a PDF that unpacks to what no memory should hold": (
        lambda: pdf(nested(128), filters="[/FlateDecode/FlateDecode/FlateDecode]"),
        "broken|memory|no text",
    ),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_files_are_refused(what: str) -> None:
    """With words, and this process goes on."""
    made, says = HOSTILE[what]
    with pytest.raises(Unreadable, match=says):
        await DocumentReader(SETTINGS).text_of("a.pdf", None, made())


async def test_what_takes_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tags in tags in tags take a long time, which is not this process's, and end."""
    monkeypatch.setattr(module, "READ_S", 2.0)
    beats = 0

    async def beat() -> None:
        nonlocal beats
        while True:
            await asyncio.sleep(0.01)  # as a client would: the server's loop must go round meanwhile
            beats += 1

    async with asyncio.TaskGroup() as group:
        beating = group.create_task(beat())
        with pytest.raises(Unreadable, match=r"2 s"):
            await DocumentReader(SETTINGS).text_of("a.html", None, b"<div>" * 300_000 + b"x")
        beating.cancel()
    assert beats > 20


async def test_a_pattern_that_takes_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own process ends, and the next one is answered."""
    monkeypatch.setattr(module, "GREP_S", 1.0)
    reader = DocumentReader(SETTINGS)
    with pytest.raises(Unreadable, match="1 s"):
        await reader.matches("(a+)+$", [("f", "a" * 64 + "b")], around=0, skip=0)
    monkeypatch.setattr(module, "GREP_S", 60.0)
    found = await reader.matches("b$", [("f", "x\nab\ny"), ("g", "c")], around=1, skip=0)
    assert (found.matches, found.more) == ((Match("f", 2, 1, ("x", "ab", "y")),), False)


async def test_a_reader_that_is_cancelled_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its turn is free for the next one at once."""
    monkeypatch.setattr(module, "GREP_S", 120.0)
    reader = DocumentReader(SETTINGS)
    async with asyncio.timeout(60):
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    await reader.matches("(a+)+$", [("f", "a" * 64 + "b")], around=0, skip=0)
        assert (await reader.matches("a", [("f", "b")], around=0, skip=0)).matches == ()


@pytest.mark.parametrize(
    "body", [b"\0\0", b"\x89PNG\r\n\x1a\n\0", bytes(range(1, 9)) * 9, b"\xff\xfe\x00\xd8"]
)
async def test_what_is_no_text_is_refused(body: bytes) -> None:
    """Whatever it is called."""
    with pytest.raises(Unreadable, match="no text"):
        await DocumentReader(SETTINGS).text_of("a.txt", "text/plain", body)


async def test_a_text_that_is_too_long_is_refused() -> None:
    """As a whole, of a PDF as of a text."""
    reader = DocumentReader(replace(SETTINGS, file_chars_max=9))
    for body in (b"x" * 10, pdf(page("x" * 10))):
        with pytest.raises(Unreadable, match="9"):
            await reader.text_of("a", None, body)
