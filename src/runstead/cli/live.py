"""A run as it happens, drawn on a terminal: text as it is said, thoughts dimmed, calls and what came of them in panels.

Text is written where the cursor is, never redrawn, so that scrolling back shows all of it. Loaded only where there is a
terminal.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from rich.panel import Panel
from rich.status import Status
from rich.text import Text

from runstead.cli.drawing import console
from runstead.cli.received import Event, ShownCall
from runstead.cli.screen import printable
from runstead.cli.telling import SAID, THOUGHT, Telling

PANEL_CHARS_MAX = 4000
_STYLES = {SAID: "", THOUGHT: "dim italic"}


class Live(Telling):
    """Draws on standard output."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        super().__init__(names)
        self._console = console()
        self._waiting: Status | None = None
        self._wait("waiting for the first word")

    def event(self, event: Event) -> None:
        """Show what an event brings."""
        super().event(event)
        if event.kind == "stop_reason":
            self._go_on()

    def close(self) -> None:
        """Leave the screen as a next line wants it."""
        self._go_on()
        super().close()

    def begun(self, kind: str) -> None:
        """A message begins."""
        self._go_on()

    def said(self, kind: str, text: str) -> None:
        """The next piece of it."""
        self._console.print(Text(printable(text), style=_STYLES[kind]), end="", soft_wrap=True)

    def ended(self, kind: str) -> None:
        """It is complete."""
        self._console.print()

    def called(self, call: ShownCall, *, asks: bool) -> None:
        """A tool is called, or asks to be."""
        title = f"{call.name} wants your approval" if asks else f"calls {call.name}"
        self._panel(title, _indented(call.arguments), "yellow" if asks else "cyan", call.id if asks else "")
        if not asks:
            self._wait(f"waiting for {call.name}")

    def returned(self, name: str, text: str, *, failed: bool) -> None:
        """What came of a call."""
        self._panel(f"{name} failed" if failed else f"{name} answered", text, "red" if failed else "green")
        self._wait("waiting for the next word")

    def heard(self, text: str) -> None:
        """What the user said."""
        self._console.print(Text(printable(f"you > {text}"), style="bold"))

    def failed(self, text: str) -> None:
        """What went wrong."""
        self._panel("the run failed", text, "red")

    def line(self, text: str) -> None:
        """Something else that happened."""
        self._console.print(Text(printable(f"— {text}"), style="yellow"))

    def _panel(self, title: str, text: str, colour: str, below: str = "") -> None:
        self._go_on()
        more = len(text) - PANEL_CHARS_MAX
        shown = (
            text if more <= 0 else f"{text[:PANEL_CHARS_MAX]}\n… {more} more characters; `runs show` has them"
        )
        self._console.print(
            Panel(
                Text(printable(shown)),
                title=Text(printable(title)),
                title_align="left",
                subtitle=Text(printable(below)) if below else None,
                subtitle_align="right",
                border_style=colour,
            )
        )

    def _wait(self, text: str) -> None:
        self._go_on()
        self._waiting = self._console.status(Text(printable(text), style="dim"))
        self._waiting.start()

    def _go_on(self) -> None:
        if self._waiting is not None:
            self._waiting.stop()
            self._waiting = None


def _indented(arguments: str) -> str:
    """A call's arguments as one reads them; what is no JSON stays as it is."""
    try:
        return orjson.dumps(orjson.loads(arguments), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        return arguments
