"""Colours on a terminal, plain text in a pipe."""

from __future__ import annotations

import io

import pytest

from runstead.cli.paint import paint_for


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


def test_a_terminal_gets_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something to look at, unless NO_COLOR asks for none."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint_for(Terminal())("green", "OK") == "\x1b[32mOK\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint_for(Terminal())("green", "OK") == "OK"


def test_a_pipe_gets_plain_text() -> None:
    """Whatever reads it need not know about colours."""
    assert paint_for(io.StringIO())("green", "OK") == "OK"
