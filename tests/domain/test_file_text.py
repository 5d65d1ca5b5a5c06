"""A file's text: windows of it, and the pieces that it is searched by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstead.domain.file_text import CHUNK_CHARS, Placed, chunks_of, count_lines, placed, plain

ABC = "a\nbb\nccc\n"


@pytest.mark.parametrize(
    ("text", "first", "lines", "limit", "found"),
    [
        (ABC, 1, None, 100, Placed(1, 3, 0, 9)),
        (ABC, 2, 1, 100, Placed(2, 2, 2, 3)),
        (ABC, 2, 9, 100, Placed(2, 3, 2, 7)),
        (ABC, 1, None, 5, Placed(1, 2, 0, 5)),
        (ABC, 3, None, 2, Placed(3, 3, 5, 2)),
        (ABC, 4, None, 100, None),
        ("a\n\n", 2, None, 100, Placed(2, 2, 2, 1)),
        ("abc", 1, None, 100, Placed(1, 1, 0, 3)),
        ("abc", 2, None, 100, None),
        ("", 1, None, 100, Placed(1, 1, 0, 0)),
    ],
)
def test_windows(text: str, first: int, lines: int | None, limit: int, found: Placed | None) -> None:
    """Whole lines, as many as fit; a line that is too long in part; none where there is no such line."""
    assert placed(text, first, lines, limit) == found


@given(st.text("ab \n", max_size=200), st.integers(1, 30), st.integers(1, 30))
def test_windows_say_what_they_hold(text: str, first: int, limit: int) -> None:
    """The lines of a window are those that it names, and it is within its limit."""
    at = placed(text, first, None, limit)
    lines = text.removesuffix("\n").split("\n")
    assert (at is None) == (first > len(lines))
    if at is None:
        return
    seen = text[at.first_char : at.first_char + at.chars]
    assert len(seen) <= limit
    assert "\n".join(lines[first - 1 : at.last_line]).startswith(seen.removesuffix("\n"))


@given(st.text("ab.\n ", max_size=50).map(lambda text: text * 200))
def test_pieces_are_all_there_is(text: str) -> None:
    """Nothing but space is lost; each stands on the lines that it names, and is small."""
    lines = text.split("\n")
    pieces = chunks_of(text)
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(text.split())
    for piece in pieces:
        assert 0 < len(piece.text) <= CHUNK_CHARS
        assert piece.text in "\n".join(lines[piece.first_line - 1 : piece.last_line])


def test_texts_are_made_plain() -> None:
    """One kind of line ends, no mark before, nothing that a store cannot keep."""
    assert plain("\ufeffa\r\nb\rc\0\ud800") == "a\nb\nc\ufffd?"
    assert [count_lines(text) for text in ("", "a", "a\n", "a\nb", "\n\n")] == [0, 1, 1, 2, 2]
