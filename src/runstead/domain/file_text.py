"""A file's text: its lines, the pieces that it is searched by, and the part of it that stands in a window. Pure.

A line ends with a line feed and nothing else; `plain` makes it so.
"""

from __future__ import annotations

from dataclasses import dataclass

CHUNK_CHARS = 1_200
# A piece is not cut before so much of it is full, wherever a better place would be.
CHUNK_CHARS_MIN = 600


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a text and the lines that it is of, counted from 1."""

    text: str
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a part of a text stands. `chars` are so many characters from `first_char` on, counted from 0."""

    first_line: int
    last_line: int
    first_char: int
    chars: int


def plain(text: str) -> str:
    """A text that every store can keep, with one kind of line ends."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")
    return text.encode("utf-8", "replace").decode()


def count_lines(text: str) -> int:
    """How many lines a text has. What stands behind the last line end is a line if it is something."""
    return text.count("\n") + (not text.endswith("\n") and text != "")


def placed(text: str, first_line: int, lines: int | None, limit_chars: int) -> Placed | None:
    """Where the part stands that begins with a line and has at most so many lines and characters.

    None where the text has no such line. An empty text has one line, which is empty.
    """
    start = _start_of(text, first_line)
    if start is None:
        return None
    end, last = start, first_line - 1
    while (lines is None or last - first_line + 1 < lines) and (end < len(text) or last < first_line):
        line_end = text.find("\n", end)
        after = len(text) if line_end < 0 else line_end + 1
        if after - start > limit_chars:
            if last < first_line:  # a line that is longer than the window is seen in part
                return Placed(first_line, first_line, start, limit_chars)
            break
        end, last = after, last + 1
    return Placed(first_line, last, start, end - start)


def _start_of(text: str, line: int) -> int | None:
    """Where a line begins; None where the text has none of that number."""
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
        if not start:
            return None
    return start if line == 1 or start < len(text) else None


def chunks_of(text: str) -> list[Chunk]:
    """A text in pieces of about one size, each cut where a paragraph, a line, a sentence or a word ends if it can be."""
    found: list[Chunk] = []
    start, line = 0, 1
    while start < len(text):
        end = _end_of_chunk(text, start)
        piece = text[start:end]
        kept = piece.strip()
        if kept:
            before = piece.count("\n", 0, len(piece) - len(piece.lstrip()))
            first = line + before
            found.append(Chunk(kept, first, first + kept.count("\n")))
        line += piece.count("\n")
        start = end
    return found


def _end_of_chunk(text: str, start: int) -> int:
    limit = start + CHUNK_CHARS
    if limit >= len(text):
        return len(text)
    for mark in ("\n\n", "\n", ". ", " "):
        at = text.rfind(mark, start + CHUNK_CHARS_MIN, limit)
        if at >= 0:
            return at + len(mark)
    return limit
