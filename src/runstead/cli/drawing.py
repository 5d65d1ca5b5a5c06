"""What Rich draws on a terminal. Loaded only where there is one; everything here goes through `screen` or a view."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from runstead.settings import colourless

_STYLES = {
    "created": "yellow",
    "running": "cyan",
    "completed": "green",
    "failed": "red",
    "cancelled": "magenta",
    "ok": "green",
    "warn": "yellow",
    "fail": "bold red",
}
_WHOLE = {"ID", "STATUS", "STATE"}
NARROW_COLUMNS = 100
CUT_COLUMNS_MIN = 3
# From this width on, the ids of runs are shown whole.
WIDE_COLUMNS = 130
SHORT_ID = 12


def console(stream: TextIO | None = None) -> Console:
    """A terminal to draw on; nothing that is printed is taken for markup."""
    return Console(
        file=stream or sys.stdout,
        color_system=None if colourless() else "auto",
        highlight=False,
        markup=False,
        emoji=False,
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    """A table; a row is a line, and ids, states and numbers are never cut."""
    terminal = console()
    gap = " " if terminal.width < NARROW_COLUMNS else "  "
    whole = {at for at, name in enumerate(head) if name in _WHOLE or name in right}
    rows = shortened(rows, terminal.width)
    widths = fitted(
        [[cell_len(row[at]) for row in (head, *rows)] for at in range(len(head))],
        whole,
        len(gap),
        terminal.width,
    )
    for row in (head, *rows):
        line = Text()
        for at, text in enumerate(row):
            style = "bold" if row is head else _STYLES.get(text, "")
            line.append(_sized(text, widths[at], to_the_right=head[at] in right), style=style)
            line.append(gap)
        line.rstrip()
        terminal.print(line, soft_wrap=True)


def shortened(rows: Sequence[Sequence[str]], room: int) -> Sequence[Sequence[str]]:
    """Rows with the beginnings of their runs' ids, where there is little room: commands take those, too."""
    ids = [row[0] for row in rows]
    short = [each[:SHORT_ID] for each in ids]
    if room >= WIDE_COLUMNS or not all(each.startswith("run-") for each in ids) or len(set(short)) < len(ids):
        return rows
    return [[each, *row[1:]] for each, row in zip(short, rows, strict=True)]


def fitted(cells: Sequence[Sequence[int]], whole: set[int], gap: int, room: int) -> list[int]:
    """How wide each column may be, given the widths of its cells: the widest that may be cut give way until all fit."""
    widths = [max(column) for column in cells]
    over = sum(widths) + gap * (len(widths) - 1) - room
    for _ in range(over):
        widest = max(
            (at for at in range(len(widths)) if at not in whole), key=lambda at: widths[at], default=None
        )
        if widest is None or widths[widest] <= CUT_COLUMNS_MIN:
            break
        widths[widest] -= 1
    return widths


def _sized(text: str, width: int, *, to_the_right: bool) -> str:
    """A cell of exactly that width."""
    if cell_len(text) > width:
        return set_cell_size(text, width - 1) + "…"
    return " " * (width - cell_len(text)) + text if to_the_right else set_cell_size(text, width)


@contextmanager
def bar(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """A bar on standard error that goes when it is done; yields what moves it on to a number."""
    counted = () if total is None else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *counted, TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)
