"""Reading what strangers wrote, off the event loop: files to text, and patterns in texts.

PDF, HTML and patterns are looked at in a process of their own (`tools/reading.py`), with limits on its memory and time: a
file can be made so that it takes for ever, and so can a pattern, and in the server's process either would hold up everybody.
It needs no sandbox: nobody's code is run. Plain text is decoded here; there is nothing in it that could take long.
"""

from __future__ import annotations

import asyncio
import codecs
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, cast

import orjson

from runstead.domain.file_text import plain
from runstead.settings import Settings

PROGRAM = "runstead.tools.reading"
READERS_MAX = 2
READ_S = 60.0
GREP_S = 15.0
MEMORY_BYTES_MAX = 1024 * 1024 * 1024
PAGES_MAX = 5_000
ANSWER_BYTES_MAX = 64 * 1024 * 1024
MATCHES_MAX = 20
AROUND_MAX = 20
OPEN_FILES_MAX = 64
CONTROLS_SHARE_MAX = 0.02  # of a text's characters; what has more is no text
_SNIFFED = 4_096
_CHUNK_BYTES = 256 * 1024
_MEBIBYTE = 1024 * 1024
_HTML_KINDS = {"text/html", "application/xhtml+xml"}
_HTML_NAMES = {".html", ".htm", ".xhtml"}
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_WHAT = "Text (plain, Markdown, code, JSON, CSV, HTML) and PDF can be read; make one of these of it first."


class Unreadable(Exception):
    """It cannot be read; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Match:
    """A line in which a pattern was found, and the lines around it, of which `first` is the number of the first."""

    file: str
    line: int
    first: int
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """Some of what was found, and whether there is more."""

    matches: tuple[Match, ...]
    more: bool


class DocumentReader:
    """Reads, a few things at a time."""

    def __init__(self, settings: Settings) -> None:
        self._chars_max = settings.file_chars_max
        self._turns = asyncio.Semaphore(READERS_MAX)

    async def text_of(self, name: str, kind: str | None, body: bytes) -> str:
        """The text of a file that came under a name and with a media type. Raises `Unreadable`."""
        found = _format(name, kind, body)
        if found == "text":
            text = await asyncio.to_thread(_decoded, body)
        else:
            answer = await self._ask({"job": found}, body, READ_S)
            text = plain(cast("str", answer))
        if len(text) > self._chars_max:
            raise Unreadable(
                f"It has {len(text)} characters of text; the limit is {self._chars_max} (RUNSTEAD_FILE_CHARS_MAX)."
                " Give it in parts."
            )
        if not text.strip():
            raise Unreadable("It has no text.")
        return text

    async def text_of_page(self, body: bytes) -> str:
        """The text of a page of HTML. Raises `Unreadable`."""
        return cast("str", await self._ask({"job": "html"}, body, READ_S))

    async def matches(
        self, pattern: str, texts: Sequence[tuple[str, str]], *, around: int, skip: int
    ) -> Matches:
        """The lines of named texts in which a pattern is found, after the first so many of them. Raises `Unreadable`."""
        job: dict[str, object] = {"pattern": pattern, "around": min(around, AROUND_MAX), "skip": skip}
        job |= {"job": "grep", "most": MATCHES_MAX}
        body = await asyncio.to_thread(orjson.dumps, [list(each) for each in texts])
        answer = cast("Mapping[str, Any]", await self._ask(job, body, GREP_S))
        found = tuple(
            Match(each["file"], each["line"], each["first"], tuple(each["lines"]))
            for each in answer["matches"]
        )
        return Matches(found, answer["more"])

    async def _ask(self, job: dict[str, object], body: bytes, timeout_s: float) -> object:
        """What the program answers. Raises `Unreadable`; cancelled, it kills what it started."""
        job |= {
            "chars_max": self._chars_max,
            "pages_max": PAGES_MAX,
            "answer_bytes_max": ANSWER_BYTES_MAX,
            "limits": {
                "RLIMIT_AS": MEMORY_BYTES_MAX,
                "RLIMIT_CPU": int(timeout_s),
                "RLIMIT_FSIZE": 0,
                "RLIMIT_NOFILE": OPEN_FILES_MAX,
                "RLIMIT_CORE": 0,
            },
        }
        async with self._turns:
            try:
                async with asyncio.timeout(timeout_s):
                    line = await _run(orjson.dumps(job) + b"\n" + body)
            except TimeoutError:
                raise Unreadable(f"It takes longer than {timeout_s:g} s to be read.") from None
        try:
            answer = cast("Mapping[str, object]", await asyncio.to_thread(orjson.loads, line))
        except orjson.JSONDecodeError:
            limit = MEMORY_BYTES_MAX // _MEBIBYTE
            raise Unreadable(
                f"Reading it was stopped: it took more than {limit} MiB of memory or {timeout_s:g} s."
            ) from None
        if "error" in answer:
            raise Unreadable(str(answer["error"]))
        return answer["found"]


async def _run(body: bytes) -> bytes:
    """What the program prints, given its input; it is gone when this ends, however it ends."""
    process = await _started()
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(_give(process, body))
            return await _printed(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _started() -> asyncio.subprocess.Process:
    starting = asyncio.get_running_loop().create_task(
        asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-B",
            "-m",
            PROGRAM,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        # What is being started is there a moment later: it must not be left to itself.
        await asyncio.wait({starting})
        if starting.exception() is None:
            starting.result().kill()
            await starting.result().wait()
        raise


async def _give(process: asyncio.subprocess.Process, body: bytes) -> None:
    stdin = cast("asyncio.StreamWriter", process.stdin)
    try:
        stdin.write(body)
        await stdin.drain()
        stdin.close()
    except ConnectionError:
        return  # it ended before it had read everything


async def _printed(process: asyncio.subprocess.Process) -> bytes:
    """All that it prints; nothing where that is more than an answer may be."""
    stdout = cast("asyncio.StreamReader", process.stdout)
    printed = bytearray()
    while chunk := await stdout.read(_CHUNK_BYTES):
        printed += chunk
        if len(printed) > ANSWER_BYTES_MAX:
            process.kill()
            return b""
    return bytes(printed)


def _format(name: str, kind: str | None, body: bytes) -> str:
    """What a file is: by its first bytes, its name and its media type. Raises `Unreadable`."""
    if body[:1024].lstrip().startswith(b"%PDF-"):
        return "pdf"
    media = (kind or "").partition(";")[0].strip().lower()
    start = body[:_SNIFFED].lstrip().lower()
    if (
        media in _HTML_KINDS
        or PurePath(name).suffix.lower() in _HTML_NAMES
        or start.startswith((b"<!doctype html", b"<html"))
    ):
        return "html"
    return "text"


def _decoded(body: bytes) -> str:
    """Bytes as text. Raises `Unreadable` where they are none."""
    encoding = next((name for mark, name in _MARKS if body.startswith(mark)), None)
    try:
        text = body.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        if encoding is not None or b"\0" in body:
            raise Unreadable(f"It is no text. {_WHAT}") from None
        text = body.decode("cp1252", "replace")  # what older programs write
    controls = sum(text.count(chr(code)) for code in (*range(9), *range(14, 27), *range(28, 32), 127, 0xFFFD))
    if "\0" in text or controls > len(text) * CONTROLS_SHARE_MAX:
        raise Unreadable(f"It is no text. {_WHAT}")
    return plain(text)
