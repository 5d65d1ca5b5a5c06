"""What an attempt that died left in the log: said to readers, but part of no commit. It is kept, marked, and disowned.

Reads the log's JSON, because the process that knew the objects is gone: `id`, `message_type` and the text are all it needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from runstead.clock import Clock
from runstead.domain.event import Ping
from runstead.domain.message import Mark, Message, Part, ReasoningPart, Role, TextPart
from runstead.domain.run_machine import Advanced
from runstead.domain.step import Step, StepStatus, Usage
from runstead.events.log import Entry, EventLog, Kind
from runstead.ids import Ids, MessageId, StepId
from runstead.loop.turn import Turn


@dataclass(slots=True)
class _Said:
    """What was said under one message id."""

    step_id: StepId | None
    text: str = ""
    reasoning: str = ""
    pieces: int = 0


async def disown(turn: Turn, log: EventLog, clock: Clock, ids: Ids) -> None:
    """Mark what no commit holds as abandoned, in the transcript and, for readers, in the log. Nothing to do is fine."""
    hold = turn.hold
    if hold.run.last_seq <= hold.committed_seq:
        return
    reader = await log.reader(hold.run.id, hold.committed_seq)
    entries: list[Entry] = []
    while not entries or entries[-1].seq < hold.run.last_seq:
        more = await reader.next(timeout_s=0)
        if not more:
            break
        entries += more
    said = _gather(entries)
    if not said:
        return
    now, run = clock.now(), hold.run
    messages: list[Message] = []
    steps: list[Step] = []
    for message_id, each in said.items():
        step_id = each.step_id or StepId("step-" + ids.uuid())
        parts: list[Part] = [ReasoningPart(each.reasoning)] if each.reasoning else []
        parts += [TextPart(each.text)] if each.text else []
        messages.append(
            Message(
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
        )
        steps.append(
            Step(
                id=step_id,
                run_id=run.id,
                user_id=run.user_id,
                agent_id=run.agent_id,
                created_at=now,
                model_handle=run.request.override_model or turn.agent.model,
                status=StepStatus.FAILED,
                usage=Usage(0, each.pieces),
                error_type="abandoned",
                attempt=run.epoch - 1,
            )
        )
    ping = Ping("ping-" + ids.uuid(), now, tuple(said), run.epoch)
    usage = sum((step.usage for step in steps), Usage())
    await turn.advance(Advanced(usage), messages=tuple(messages), steps=tuple(steps), events=(ping,))


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
