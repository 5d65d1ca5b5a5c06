"""What the journeys of both SDKs share; standard library and pydantic only, for it runs in the SDKs' own environments.

A journey is a list of operations, each a function that asserts. Its report is JSON on standard output: per operation `ok`
or the traceback. Nothing here knows either SDK.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterable
from typing import Any

Operation = Callable[[Any], None]
OPERATIONS: list[Operation] = []
DEADLINE_S = 60.0
RUNS = 120


def operation(function: Operation) -> Operation:
    """Make a function a step of the journey."""
    OPERATIONS.append(function)
    return function


def travel(world: object) -> None:
    """Do every operation, also after one failed, and print the report."""
    warnings.simplefilter("error")
    report: dict[str, str] = {}
    for each in OPERATIONS:
        try:
            each(world)
        except Exception:  # noqa: BLE001 - the report says what failed; the next operation still runs
            report[each.__name__] = traceback.format_exc()
        else:
            report[each.__name__] = "ok"
    json.dump(report, sys.stdout)


def story(*turns: dict[str, Any]) -> str:
    """A message that tells the story model what to answer."""
    return json.dumps({"turns": turns})


def tokens(count: int, pause_ms: float = 0) -> list[Any]:
    """Distinct tokens, with pauses where asked for."""
    acts: list[Any] = []
    for number in range(count):
        acts += [f"t{number} ", {"pause_ms": pause_ms}] if pause_ms else [f"t{number} "]
    return acts


def halved(count: int, gate: str) -> list[Any]:
    """The same tokens; in the middle the model waits until the gate is opened."""
    return [*tokens(count // 2), {"gate": gate}, *tokens(count)[count // 2 :]]


def opening(gate: str) -> str:
    """A message, to another agent, at which the story model opens a gate."""
    return story({"text": [{"open": gate}, "open"]})


def joined(count: int) -> str:
    """What `tokens` come to."""
    return "".join(f"t{number} " for number in range(count))


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def valid(thing: Any) -> None:
    """Assert that an SDK's object fits its own type: the SDKs build objects without looking, pydantic looks."""
    type(thing).model_validate(thing.model_dump(mode="json", by_alias=True))


def all_valid(things: Iterable[Any]) -> None:
    """The same of many."""
    for thing in things:
        valid(thing)


def kinds(events: Iterable[Any]) -> list[str]:
    """The message types of events, pings left out and repetitions folded."""
    found: list[str] = []
    for event in events:
        kind = event.message_type
        if kind != "ping" and found[-1:] != [kind]:
            found.append(kind)
    return found


def numbers(events: Iterable[Any]) -> list[int]:
    """The sequence numbers of events. A ping that fills silence has none of its own: it repeats the one before it."""
    found: list[int] = []
    for event in events:
        if event.message_type != "ping" or found[-1:] != [event.seq_id]:
            found.append(event.seq_id)
    return found


def in_order(events: list[Any]) -> bool:
    """Whether these are all events from the first one on, each once."""
    return numbers(events) == list(range(1, events[-1].seq_id + 1))
