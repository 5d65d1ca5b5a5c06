"""The program that looks into what strangers wrote, in a process of its own: PDF and HTML to text, and patterns in texts.

It is started as a module, does one job, and answers on its standard output. Before it looks at anything it gives up what it
does not need: memory, time on the processor, the network, files. It runs no code of anybody's: what it is kept from is doing
harm by taking too long or too much.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable
from importlib import import_module
from io import BytesIO
from typing import Any

from runstead.tools.html import text_of_html
from runstead.tools.sandboxed import confine, filtered_calls

Json = dict[str, Any]
LINE_CHARS_MAX = 500  # of a line as it is told


class CannotRead(Exception):
    """The text says why, to whoever gave the file."""


def main() -> None:
    """Do the one job: a line of JSON on standard input, then the bytes that it speaks of."""
    job: Json = json.loads(sys.stdin.buffer.readline())
    body = sys.stdin.buffer.read()
    kind: str = job["job"]
    LOADED[kind]()
    confine(job["limits"], None)
    filtered_calls(network=False)
    try:
        answer: Json = {"found": JOBS[kind](job, body)}
    except CannotRead as why:
        answer = {"error": str(why)}
    except re.error as error:
        answer = {"error": f"The pattern is no regular expression ({error})."}
    except MemoryError:
        answer = {"error": "It takes too much memory to be read."}
    except RecursionError:
        answer = {"error": "It is nested too deeply to be read."}
    except Exception as error:  # noqa: BLE001 - whatever a library makes of a broken file is told as that
        answer = {"error": f"It is broken ({type(error).__name__})."}
    out = json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace")
    if len(out) > job["answer_bytes_max"]:
        out = json.dumps({"error": "It has too much text."}).encode()
    sys.stdout.buffer.write(out)
    sys.stdout.buffer.flush()


def pdf(job: Json, body: bytes) -> str:
    """The text of a PDF, page by page."""
    library = import_module("pypdf")
    reader = library.PdfReader(BytesIO(body), strict=False)
    if reader.is_encrypted and not reader.decrypt(""):
        raise CannotRead("It is locked with a password.")
    if len(reader.pages) > job["pages_max"]:
        raise CannotRead(f"It has more than {job['pages_max']} pages.")
    pages: list[str] = []
    left: int = job["chars_max"]
    for page in reader.pages:
        pages.append(page.extract_text().strip())
        left -= len(pages[-1])
        if left < 0:
            raise CannotRead(f"It has more than {job['chars_max']} characters of text.")
    if not any(pages):
        raise CannotRead("It has no text; what is scanned must be made text of first.")
    return "\n\n".join(pages)


def html(_job: Json, body: bytes) -> str:
    """The text of a page."""
    return text_of_html(body)


def grep(job: Json, body: bytes) -> Json:
    """The lines in which a pattern is found, each with those around it; some are left out, then the first so many."""
    pattern = re.compile(job["pattern"])
    around, skip, most = job["around"], job["skip"], job["most"]
    found: list[Json] = []
    count = 0
    for name, text in json.loads(body):
        lines: list[str] = text.split("\n")
        for at, line in enumerate(lines):
            if not pattern.search(line):
                continue
            count += 1
            if skip < count <= skip + most:
                first = max(0, at - around)
                seen = [each[:LINE_CHARS_MAX] for each in lines[first : at + around + 1]]
                found.append({"file": name, "line": at + 1, "first": first + 1, "lines": seen})
            elif count > skip + most:
                return {"matches": found, "more": True}
    return {"matches": found, "more": False}


def _nothing() -> None:
    """Load nothing."""


def _load_pdf() -> None:
    import_module("pypdf")
    filters: Any = import_module("pypdf.filters")
    filters.JBIG2DEC_BINARY = None  # it would be a process of its own


def _load_html() -> None:
    import_module("selectolax.lexbor")


JOBS: dict[str, Callable[[Json, bytes], object]] = {"pdf": pdf, "html": html, "grep": grep}
LOADED: dict[str, Callable[[], None]] = {"pdf": _load_pdf, "html": _load_html, "grep": _nothing}


if __name__ == "__main__":
    os.chdir("/")
    main()
