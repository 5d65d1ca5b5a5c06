"""What Rich draws on a terminal. Loaded only where there is one; everything here goes through `screen` or a view."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
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
_WHOLE = {"ID", "STEP", "STATUS", "STATE", "CHECK"}
NARROW_COLUMNS = 100


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
    tight = terminal.width < NARROW_COLUMNS
    drawn = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0) if tight else (0, 1))
    for at, name in enumerate(head):
        whole = (
            max((cell_len(row[at]) for row in rows), default=0) if name in _WHOLE or name in right else None
        )
        drawn.add_column(
            name,
            justify="right" if name in right else "left",
            no_wrap=True,
            overflow="ellipsis",
            min_width=whole,
        )
    for row in rows:
        drawn.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in row))
    terminal.print(drawn)


@contextmanager
def bar(what: str, total: int | None) -> Generator[Callable[[int], None]]:
    """A bar on standard error that goes when it is done; yields what moves it on to a number."""
    counted = () if total is None else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}"), BarColumn(), *counted, TimeElapsedColumn())
    with Progress(*columns, console=console(sys.stderr), transient=True) as shown:
        task = shown.add_task(what, total=total)
        yield lambda done: shown.update(task, completed=done)
