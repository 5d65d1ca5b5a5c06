"""Reading server-sent events as a client does: lines of a response become frames. It knows nothing of runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

DONE = "[DONE]"


@dataclass(frozen=True, slots=True)
class Frame:
    """One event: its data, its name (`message` where none is given) and its number (0 where it has no `id`)."""

    data: str
    name: str = "message"
    seq: int = 0

    @property
    def done(self) -> bool:
        """Whether this is the end of the stream."""
        return self.data == DONE

    @property
    def json(self) -> dict[str, Any]:
        """The data of an event that is not the end."""
        return cast("dict[str, Any]", json.loads(self.data))

    @property
    def type(self) -> str:
        """The event's `message_type`, or `[DONE]`."""
        return DONE if self.done else str(self.json["message_type"])


def parse(lines: Iterable[str]) -> Iterator[Frame]:
    """The frames in lines without their ends, as the standard splits them."""
    data: list[str] = []
    name, seq = "message", 0
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                yield Frame("\n".join(data), name, seq)
            data, name, seq = [], "message", 0
        elif field == "data":
            data.append(value)
        elif field == "event":
            name = value
        elif field == "id":
            seq = int(value)
