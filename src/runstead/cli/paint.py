"""Colours for people: on a terminal only. Pipes and files get plain text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from runstead.settings import colourless

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


@dataclass(frozen=True, slots=True)
class Paint:
    """How to colour what is printed; a plain one changes nothing."""

    colours: bool

    def __call__(self, colour: str, text: str) -> str:
        """`text` in a colour. Raises `KeyError` for a colour that is not there."""
        code = _CODES[colour]
        return f"\x1b[{code}m{text}\x1b[0m" if self.colours else text


def paint_for(stream: TextIO) -> Paint:
    """The right paint for where it goes; plain where NO_COLOR is set."""
    return Paint(colours=stream.isatty() and not colourless())
