"""What people see: tables, notes, questions, progress. Colours and movement on a terminal only; pipes get plain text.

Whatever comes from a server may come from a model: no control character of it reaches a terminal. Rich draws, and is
loaded only where there is a terminal to draw on, for it costs a tenth of a second.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from typing import Protocol, cast

import orjson

from runstead.errors import Invalid

_SHOWN_CONTROLS = (
    {code: 0x2400 + code for code in range(32) if code not in {9, 10}}
    | {0x7F: 0x2421}
    | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
)
_IN_A_CELL = {9: " ", 10: " "}


class _Drawing(Protocol):
    """What is used of `drawing`, which is loaded only for a terminal."""

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None: ...
    def bar(self, what: str, total: int | None) -> AbstractContextManager[Callable[[int], None]]: ...


def printable(text: str) -> str:
    """Text without what could steer a terminal: control characters are shown as pictures of themselves."""
    return text.translate(_SHOWN_CONTROLS)


def cell(value: object) -> str:
    """A value in one line."""
    return printable(str(value).translate(_IN_A_CELL))


def json_line(value: object) -> None:
    """Write a line of JSON."""
    sys.stdout.write(orjson.dumps(value, default=str).decode() + "\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Tell the person, not the pipe."""
    print(f"runstead: {text}", file=sys.stderr, flush=True)


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Show rows: as a table on a terminal, else as lines of columns separated by tabs."""
    lines = [[cell(each) for each in row] for row in rows]
    if not sys.stdout.isatty():
        for line in (list(head), *lines):
            print("\t".join(line))
        return
    _drawing().table(head, lines, right)


def confirmed(question: str, *, yes: bool) -> bool:
    """Whether a person said yes. Raises `Invalid` where there is nobody to ask."""
    if yes:
        return True
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Invalid("This cannot be undone, and there is nobody to ask: say --yes.")
    print(f"{cell(question)} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def progress(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """A bar on standard error while something takes its time; yields what moves it on to a number."""
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    with _drawing().bar(what, total) as move:
        yield move


def _drawing() -> _Drawing:
    return cast("_Drawing", import_module("runstead.cli.drawing"))
