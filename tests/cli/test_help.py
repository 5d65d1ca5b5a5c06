"""`runstead help`: one line of usage, whatever the terminal's width, and a page that has all."""

from __future__ import annotations

from runstead.cli.grammar import parser
from runstead.cli.help import page, usage


def test_usage_is_one_line() -> None:
    """Options in brackets, what may repeat with dots."""
    every = {command.prog: usage(command) for command in parser().every()}

    assert every["runstead runs cancel"] == "runstead runs cancel [--json] [--url URL] [--key KEY] RUN…"
    assert every["runstead help"] == "runstead help [--markdown] [COMMAND…]"
    assert every["runstead demo"] == "runstead demo [--model MODEL] [--data-dir DIR] [MESSAGE]"


def test_the_page_has_a_section_for_each() -> None:
    """With a table that leads there."""
    text = page(parser())
    for command in parser().every():
        assert f"\n## {command.prog}\n" in text
        assert f"(#{command.prog.replace(' ', '-')})" in text
