"""What an attempt that died left behind: said to readers, but part of no commit. It is kept, marked, and disowned.

Reads the log's JSON, because the process that knew the objects is gone: `id`, `message_type` and the text are all it needs.
Where the hot log was lost together with the owner, words are lost, but no number is used twice: what may have been read is
filled with pings, and the attempt is named by the id that it must have had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from runstead.clock import Clock
from runstead.domain.event import Ping
from runstead.domain.message import Mark, Message, Part, ReasoningPart, Role, TextPart
from runstead.domain.run_machine import Advanced
from runstead.domain.step import Step, StepStatus, Usage
from runstead.events.log import Entry, Kind
from runstead.ids import Ids, MessageId, StepId, attempt_message_id
from runstead.loop.turn import Turn

FILLED_AT_ONCE = 256
ATTEMPTS_NAMED_MAX = 100


@dataclass(slots=True)
class _Said:
    """What was said under one message id."""

    step_id: StepId | None
    text: str = ""
    reasoning: str = ""
    pieces: int = 0


async def disown(turn: Turn, clock: Clock, ids: Ids) -> None:
    """Mark what no commit holds as abandoned, in the transcript and, for readers, in the log. Nothing to do is fine."""
    journal = turn.hold.journal
    said = _gather(journal.inherited)
    void = journal.void
    if not said and not void:
        return
    for number in range(void):
        journal.emit(Ping("ping-" + ids.uuid(), clock.now()))
        if number % FILLED_AT_ONCE == 0:
            await journal.room()
    now, run = clock.now(), turn.run
    superseded = list(said)
    if void:  # whose events they were is not known: an owner before may have died while it filled them
        first = max(1, run.epoch - ATTEMPTS_NAMED_MAX)
        unheard = (attempt_message_id(run.id, epoch, run.step_count) for epoch in range(first, run.epoch))
        superseded += [each for each in unheard if each not in said]
    steps = [_step(turn, each.step_id or StepId("step-" + ids.uuid()), each, now) for each in said.values()]
    messages = [
        _message(turn, message_id, step.id, each, now)
        for (message_id, each), step in zip(said.items(), steps, strict=True)
    ]
    ping = Ping("ping-" + ids.uuid(), now, tuple(superseded), run.epoch)
    usage = sum((step.usage for step in steps), Usage())
    await turn.advance(Advanced(usage), messages=tuple(messages), steps=tuple(steps), events=(ping,))


def _message(turn: Turn, message_id: MessageId, step_id: StepId, said: _Said, now: datetime) -> Message:
    """What an attempt said, as the transcript keeps it: marked, and not shown to the model."""
    run = turn.run
    parts: list[Part] = [ReasoningPart(said.reasoning)] if said.reasoning else []
    parts += [TextPart(said.text)] if said.text else []
    return Message(
        id=message_id,
        user_id=run.user_id,
        agent_id=run.agent_id,
        conversation_id=run.conversation_id,
        run_id=run.id,
        step_id=step_id,
        role=Role.ASSISTANT,
        created_at=now,
        parts=tuple(parts),
        mark=Mark.ABANDONED,
        in_context=False,
    )


def _step(turn: Turn, step_id: StepId, said: _Said, now: datetime) -> Step:
    """The step that an attempt was, with what is known of its cost: a piece a token."""
    run = turn.run
    return Step(
        id=step_id,
        run_id=run.id,
        user_id=run.user_id,
        agent_id=run.agent_id,
        created_at=now,
        model_handle=run.request.override_model or turn.agent.model,
        status=StepStatus.FAILED,
        usage=Usage(0, said.pieces),
        error_type="abandoned",
        attempt=run.epoch - 1,
    )


def _gather(entries: Sequence[Entry]) -> dict[MessageId, _Said]:
    found: dict[MessageId, _Said] = {}
    for entry in entries:
        if entry.kind is not Kind.MESSAGE:
            continue
        body: dict[str, Any] = orjson.loads(entry.data)
        said = found.setdefault(MessageId(body["id"]), _Said(body.get("step_id")))
        said.pieces += 1
        if body["message_type"] == "assistant_message":
            said.text += body["content"]
        elif body["message_type"] == "reasoning_message":
            said.reasoning += body["reasoning"]
    return found
