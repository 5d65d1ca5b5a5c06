"""What a client got of a run: its events in the order they came, and whether anything is missing. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import orjson

Json = dict[str, Any]
DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Event:
    """One frame with a number. Pings that only keep a connection alive have none and are no events."""

    seq: int
    body: Json

    @property
    def kind(self) -> str:
        """The event's `message_type`."""
        return str(self.body.get("message_type"))

    @property
    def text(self) -> str:
        """The piece of the answer's text that it brings, if any."""
        return text_of(self.body) if self.kind == "assistant_message" else ""


@dataclass(slots=True)
class Received:
    """All that came of one run, over as many connections as it took."""

    run_id: str = ""
    events: list[Event] = field(default_factory=list[Event])
    done: bool = False

    @property
    def last_seq(self) -> int:
        """Where to go on from."""
        return self.events[-1].seq if self.events else 0

    def take(self, lines: Iterable[str]) -> Iterator[Event]:
        """Read a connection's lines; yields each event once it is complete. `done` is set by the end of the run."""
        return self.kept(events_in(lines))

    def kept(self, events: Iterable[Event | None]) -> Iterator[Event]:
        """Keep what comes over a connection, and pass it on."""
        for event in events:
            if event is None:
                self.done = True
                return
            self.run_id = str(event.body["run_id"])
            self.events.append(event)
            yield event

    def faults(self) -> list[str]:
        """What is wrong with the sequence, in words; empty where nothing was lost or repeated."""
        wrong: list[str] = []
        for expected, event in enumerate(self.events, start=1):
            if event.seq != expected:
                wrong.append(f"event {expected} was expected, {event.seq} came")
                break
        if not self.done:
            wrong.append("the end of the run did not come")
        return wrong

    def answer(self) -> str:
        """The pieces of the answer, joined; those of attempts that were given up are left out."""
        given_up = {each for event in self.events for each in event.body.get("superseded_message_ids", ())}
        return "".join(event.text for event in self.events if event.body.get("id") not in given_up)

    def errors(self) -> list[str]:
        """What the run said went wrong."""
        return [str(event.body.get("message")) for event in self.events if event.kind == "error_message"]


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A tool call, or the piece of one that an event brings: what it does not bring is empty."""

    id: str
    name: str
    arguments: str


def calls_of(message: Json) -> list[ShownCall]:
    """The calls of a message, or the piece of one."""
    given: object = message.get("tool_calls") or message.get("tool_call") or []
    listed = cast("list[Json]", given if isinstance(given, list) else [given])
    return [
        ShownCall(*(str(each.get(name) or "") for name in ("tool_call_id", "name", "arguments")))
        for each in listed
    ]


def events_in(lines: Iterable[str]) -> Iterator[Event | None]:
    """The events in a connection's lines, each once it is complete; None is the end of the run."""
    number = ""
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "id":
            number = value
        elif name == "data" and value == DONE:
            yield None
            return
        elif name == "data" and number:
            yield Event(int(number), cast("Json", orjson.loads(value)))
            number = ""


def text_of(message: Json) -> str:
    """The text of a message as the API shows it: a string, or parts."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = cast("list[Json]", content or [])
    return "".join(str(part.get("text", "")) for part in parts)
