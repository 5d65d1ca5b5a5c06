"""What a run says, told to whom it is watched by: put together from its events, then shown in one of three ways.

`Telling` knows what belongs together (pieces of one message, pieces of one call); `PlainText` writes it for pipes,
`JsonLines` passes every event on, and `live.Live` draws it on a terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from runstead.cli.measures import duration_of, times, tokens_of
from runstead.cli.received import Event, ShownCall, calls_of, text_of
from runstead.cli.screen import cell, json_line, note, printable
from runstead.clock import SystemClock

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

Json = dict[str, Any]
SAID, THOUGHT = "assistant_message", "reasoning_message"
_CALLS = {"tool_call_message": False, "approval_request_message": True}


class View(Protocol):
    """Who is told."""

    def event(self, event: Event) -> None:
        """Show what an event brings."""
        ...

    def close(self) -> None:
        """Leave the screen as a next line wants it."""
        ...


class Telling:
    """Puts together what belongs together. The methods at the end are what each way of showing writes itself."""

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._open: tuple[str, str] | None = None
        self._calls: dict[str, ShownCall] = {}
        self._asks = False
        self._names = dict(names or {})

    def event(self, event: Event) -> None:
        """Show what an event brings."""
        kind, body = event.kind, event.body
        if kind in _CALLS:
            self._collect(body, asks=_CALLS[kind])
        elif kind in {SAID, THOUGHT}:
            self._piece(
                kind, str(body.get("id")), text_of(body) if kind == SAID else str(body.get("reasoning") or "")
            )
        elif kind != "ping":
            self.close()
            self._other(kind, body)
        elif body.get("superseded_message_ids"):
            self.close()
            attempt = body.get("attempt")
            self.line(f"the server was interrupted here; attempt {attempt} begins this step again")

    def close(self) -> None:
        """End what is open: a piece of text, or calls whose pieces were collected."""
        if self._open is not None:
            self.ended(self._open[0])
            self._open = None
        calls, self._calls = self._calls, {}
        for call in calls.values():
            self.called(call, asks=self._asks)

    def _piece(self, kind: str, message_id: str, text: str) -> None:
        if self._open != (kind, message_id):
            if not text:
                return
            self.close()
            self._open = (kind, message_id)
            self.begun(kind)
        self.said(kind, text)

    def _collect(self, body: Json, *, asks: bool) -> None:
        """Add a call, or the piece of one, to those that are being said."""
        for piece in calls_of(body):
            key = piece.id or next(reversed(self._calls), "")
            known = self._calls.get(key)
            if known is None:
                if self._open is not None or self._asks != asks:
                    self.close()
                self._calls[key] = piece
            else:
                self._calls[key] = ShownCall(key, known.name or piece.name, known.arguments + piece.arguments)
            self._asks = asks
            self._names[key] = self._calls[key].name

    def _other(self, kind: str, body: Json) -> None:
        if kind == "tool_return_message":
            name = self._names.get(str(body.get("tool_call_id")), "the tool")
            self.returned(name, str(body.get("tool_return") or ""), failed=body.get("status") == "error")
        elif kind == "error_message":
            parts = (body.get("error_type"), body.get("message"), body.get("detail"))
            self.failed(": ".join(dict.fromkeys(str(part) for part in parts if part)))
        elif kind == "user_message":
            self.heard(text_of(body))
        elif kind == "approval_response_message":
            self.line("approved" if body.get("approve") else "denied")
        elif kind == "summary_message":
            self.line("what was said before is summarised from here on")

    def begun(self, kind: str) -> None:
        """A message begins."""
        raise NotImplementedError

    def said(self, kind: str, text: str) -> None:
        """The next piece of it."""
        raise NotImplementedError

    def ended(self, kind: str) -> None:
        """It is complete."""
        raise NotImplementedError

    def called(self, call: ShownCall, *, asks: bool) -> None:
        """A tool is called, or asks to be."""
        raise NotImplementedError

    def returned(self, name: str, text: str, *, failed: bool) -> None:
        """What came of a call."""
        raise NotImplementedError

    def heard(self, text: str) -> None:
        """What the user said."""
        raise NotImplementedError

    def failed(self, text: str) -> None:
        """What went wrong."""
        raise NotImplementedError

    def line(self, text: str) -> None:
        """Something else that happened."""
        raise NotImplementedError


class PlainText(Telling):
    """For pipes. `brief`: the agent's answers alone on standard output, and what went wrong on standard error."""

    _HEADS = {SAID: "agent> ", THOUGHT: "thinks> "}

    def __init__(self, names: Mapping[str, str] | None = None, *, brief: bool = False) -> None:
        super().__init__(names)
        self._brief = brief

    def begun(self, kind: str) -> None:
        """A message begins."""
        if not self._brief:
            self._write(self._HEADS[kind])

    def said(self, kind: str, text: str) -> None:
        """The next piece of it."""
        if kind == SAID or not self._brief:
            self._write(printable(text))

    def ended(self, kind: str) -> None:
        """It is complete."""
        if kind == SAID or not self._brief:
            self._write("\n")

    def called(self, call: ShownCall, *, asks: bool) -> None:
        """A tool is called, or asks to be."""
        self.line(f"{'asks' if asks else 'calls'}> {call.name}({call.arguments}) {call.id}")

    def returned(self, name: str, text: str, *, failed: bool) -> None:
        """What came of a call."""
        self.line(f"{'failed' if failed else 'got'}> {name}: {text}")

    def heard(self, text: str) -> None:
        """What the user said."""
        self.line(f"you> {text}")

    def failed(self, text: str) -> None:
        """What went wrong."""
        if self._brief:
            note(cell(text))
        else:
            self.line(f"error> {text}")

    def line(self, text: str) -> None:
        """Something else that happened."""
        if not self._brief:
            self._write(cell(text) + "\n")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


class JsonLines:
    """Every event as a line of JSON, as it came."""

    def event(self, event: Event) -> None:
        """Pass it on."""
        json_line(event.body)

    def close(self) -> None:
        """Nothing is ever open."""


def view_for(*, as_json: bool, brief: bool = False, names: Mapping[str, str] | None = None) -> View:
    """The right way for where it goes. `names`: the tools of calls that earlier runs made, by the calls' ids."""
    if as_json:
        return JsonLines()
    if sys.stdout.isatty():
        return cast("View", import_module("runstead.cli.live").Live(names))
    return PlainText(names, brief=brief)


def ending(run: RunState, *, asks: bool) -> str:
    """How a run ended, in one line. `asks`: a person can still answer what it asked."""
    took = duration_of(run, SystemClock().now())
    why = f" ({run['stop_reason']})" if run["stop_reason"] else ""
    next_ = ""
    if asks:
        since = "; ".join(filter(None, ("", times(run, SystemClock().now()))))
        next_ = f"{since}; answer it with `runstead runs approve {run['id']}` or deny"
    return f"{run['id']} {run['status']}{why} after {took}, {tokens_of(run)} tokens{next_}"
