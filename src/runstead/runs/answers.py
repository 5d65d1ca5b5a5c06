"""What an answer to an approval means against what is pending: whether it was given before, and what it decides.

An answer is final: the same one again is the run that it made, another one is refused. Makes no run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from runstead.domain.message import Decision, Message, ToolReturn
from runstead.domain.pending import OpenCalls
from runstead.domain.run import Run
from runstead.errors import Conflict, Invalid
from runstead.ids import UserId
from runstead.store import messages, runs

ANSWERS_LOOKED_AT = 10
REASON_CHARS_SHOWN = 200

_NOTHING_PENDING = (
    "Cannot process approval response: No tool call is currently awaiting approval."
    " Please send a regular message to interact with the agent."
)


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer to a pending approval. `request_id` alone (the older form) decides all calls of that message."""

    decisions: tuple[Decision, ...] = ()
    returns: tuple[ToolReturn, ...] = ()
    request_id: str | None = None
    approve_all: bool | None = None
    reason: str | None = None
    otid: str | None = None


def answered_before(
    conn: Connection, user_id: UserId, lane: str, answer: Answered, pending: OpenCalls | None
) -> Run | None:
    """The run that brought the same answer before. Raises `Conflict` where that answer said something else.

    A provider may use a call's id again in a later turn: what is pending now is never taken for what was answered before.
    But a run that was admitted with an answer and has not acted on it yet leaves its call pending for so long.
    """
    if pending is not None and pending.waiting:
        acting = under_way(conn, user_id, lane, pending)
        return None if acting is None else _same_answer(conn, user_id, answer, acting)
    for message in messages.newest_approvals(conn, lane, ANSWERS_LOOKED_AT):
        if (made := _same_answer(conn, user_id, answer, message)) is not None:
            return made
    return None


def under_way(conn: Connection, user_id: UserId, lane: str, pending: OpenCalls) -> Message | None:
    """The answer to what is pending that a run which is not over has brought.

    Also where that run shall end: then it closes what it was to answer.
    """
    for message in messages.newest_approvals(conn, lane, ANSWERS_LOOKED_AT):
        if message.answers == pending.request.id and message.run_id is not None:
            run = runs.find_run(conn, user_id, message.run_id)
            if run is not None and not run.status.final:
                return message
    return None


def _same_answer(conn: Connection, user_id: UserId, answer: Answered, message: Message) -> Run | None:
    """The run of a stored answer; None where it answered other calls. Raises `Conflict` where it said something else."""
    given = _verdicts(message.decisions, message.client_returns)
    asked = _verdicts(answer.decisions, answer.returns)
    if answer.approve_all is not None:
        if answer.request_id != message.answers:
            return None
        asked = dict.fromkeys(given, answer.approve_all)
    if asked.keys() != given.keys() or message.run_id is None:
        return None
    if asked != given:
        reasons = [decision.reason for decision in message.decisions if decision.reason]
        said = f" ({reasons[0][:REASON_CHARS_SHOWN]})" if reasons else ""
        raise Conflict(f"This approval was answered before, the other way{said}; an answer is final.")
    return runs.find_run(conn, user_id, message.run_id)


def _verdicts(decisions: tuple[Decision, ...], returns: tuple[ToolReturn, ...]) -> dict[str, bool | str]:
    """Per call what was said of it: a person's verdict, or the client's return."""
    return {d.call_id: d.approve for d in decisions} | {r.call_id: r.text for r in returns}


def filled(
    inputs: tuple[Message, ...], given: Sequence[object], pending: OpenCalls | None
) -> tuple[Message, ...]:
    """The messages with what each answer decides. Raises `Invalid` where an answer does not fit what is pending."""
    if pending is None or not pending.waiting:
        raise Invalid(_NOTHING_PENDING)
    return tuple(
        replace(message, **_decided(each, pending)) if isinstance(each, Answered) else message
        for message, each in zip(inputs, given, strict=True)
    )


def _decided(answer: Answered, pending: OpenCalls) -> dict[str, Any]:
    waiting = [call.id for call in pending.waiting]
    decisions = answer.decisions
    if answer.approve_all is not None:
        # The older form names the message; where a client puts that id in a call's place, it means the same.
        if answer.request_id != pending.request.id:
            raise Invalid(
                f"Invalid approval request ID. Expected '{pending.request.id}'"
                f" but received '{answer.request_id}'."
            )
        decisions = tuple(Decision(id_, answer.approve_all, answer.reason) for id_ in waiting)
    answered = {each.call_id for each in (*decisions, *answer.returns)}
    if answered != set(waiting):
        raise Invalid(f"Invalid tool call IDs. Expected '{waiting}', but received '{sorted(answered)}'.")
    client = {call.id for call in pending.waiting if call.client}
    if approved := [d.call_id for d in decisions if d.approve and d.call_id in client]:
        raise Invalid(
            f"The client runs {approved[0]} itself: answer it with an item of type 'tool' that brings its return."
        )
    return {
        "decisions": decisions,
        "client_returns": answer.returns,
        "answers": pending.request.id,
    }
