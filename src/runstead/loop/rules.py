"""An agent's tool rules in a run: what was called so far comes from the transcript, so a run that another process goes on
with knows it too. Decides nothing: that is `domain/tool_rules.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from json import JSONDecodeError, dumps, loads
from typing import cast

from runstead.domain.message import Message, Role, ToolCall
from runstead.domain.tool_rules import Called
from runstead.ids import RunId


def returned_in(messages: Sequence[Message], run_id: RunId) -> list[Called]:
    """The calls of a run that have a return, in their order; those before an approval that it answers are its own too."""
    ids = chain_of(messages, run_id)
    return [
        Called(m.tool_return.name or "", m.tool_return.text)
        for m in messages
        if m.tool_return is not None and m.run_id in ids
    ]


def with_arguments(call: ToolCall, given: Mapping[str, object]) -> ToolCall:
    """The call with these arguments over the model's own. What is no JSON object is left for the tool to refuse."""
    if not given:
        return call
    try:
        own: object = loads(call.arguments or "{}")
    except JSONDecodeError:
        return call
    if not isinstance(own, dict):
        return call
    return replace(call, arguments=dumps({**cast("dict[str, object]", own), **given}, ensure_ascii=False))


def chain_of(messages: Sequence[Message], run_id: RunId) -> set[RunId]:
    """The run, the run whose question it answers, and so on: all that belongs to one turn of the conversation."""
    asked = {m.id: m.run_id for m in messages if m.awaits_approval}
    begins: dict[RunId, Message] = {}
    for message in messages:
        if message.run_id is not None:
            begins.setdefault(message.run_id, message)
    found: set[RunId] = set()
    now: RunId | None = run_id
    while now is not None and now not in found:
        found.add(now)
        first = begins.get(now)
        answers = first.answers if first is not None and first.role is Role.APPROVAL else None
        now = None if answers is None else asked.get(answers)
    return found
