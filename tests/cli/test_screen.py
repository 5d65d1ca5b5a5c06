"""What reaches a terminal or a pipe: nothing that could steer it, one line a row."""

from __future__ import annotations

import pytest

from runstead.cli.screen import cell, confirmed, json_line, note, printable, progress, table
from runstead.errors import Invalid


def test_control_characters_are_shown_as_pictures() -> None:
    """Lines and tabs stay; a cell has neither."""
    text = "a\x1b[2Jb\x07\x7f\x9b0m\tc\nd"
    assert printable(text) == "a␛[2Jb␇␡\N{REPLACEMENT CHARACTER}0m\tc\nd"
    assert cell("a\tb\nc\r") == "a b c␍"


def test_a_pipe_gets_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """Separated by tabs, whatever is in them."""
    table(("A", "B"), [("1", "x\ty"), ("2", "z\n")])
    assert capsys.readouterr().out == "A\tB\n1\tx y\n2\tz \n"


def test_notes_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    """To a person, and to a program."""
    note("look")
    json_line({"a": "ü"})
    assert capsys.readouterr() == ('{"a":"ü"}\n', "runstead: look\n")


def test_nobody_to_ask() -> None:
    """Then --yes must be said."""
    assert confirmed("Really?", yes=True)
    with pytest.raises(Invalid, match="--yes"):
        confirmed("Really?", yes=False)


def test_no_progress_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """It would be noise there."""
    with progress("counting", 3) as move:
        move(1)
    assert capsys.readouterr() == ("", "")
