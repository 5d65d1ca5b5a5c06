"""A conversation in the order that providers insist on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from runstead.domain.message import Mark, Message, Role, TextPart, ToolCall, ToolReturn
from runstead.ids import DEFAULT_USER, AgentId, MessageId
from runstead.llm.transcript import INTERRUPTED, Item, arguments_object, ordered

AT = datetime(2026, 1, 2, tzinfo=UTC)


def said(role: Role, text: str = "") -> Message:
    """A message."""
    parts = (TextPart(text),) if text else ()
    return Message(MessageId("message-1"), DEFAULT_USER, AgentId("agent-1"), role, AT, parts)


def called(*ids: str) -> Message:
    """A message that calls a tool once for each id."""
    return replace(said(Role.ASSISTANT), tool_calls=tuple(ToolCall(one, "t", "{}") for one in ids))


def returned(call_id: str) -> Message:
    """A stored result."""
    return replace(said(Role.TOOL), tool_return=ToolReturn(call_id, "t", "success", "ok"))


def shape(items: list[Item]) -> list[str]:
    """Roles, and for results their call and whether they were made up."""
    shown: list[str] = []
    for item in items:
        result = item if isinstance(item, ToolReturn) else item.tool_return
        if result is not None:
            shown.append(f"{result.call_id}{'!' if result.text == INTERRUPTED else ''}")
        elif isinstance(item, Message):
            shown.append(item.role.value)
    return shown


def test_what_is_said_between_a_call_and_its_result_comes_after_it() -> None:
    order = ordered([called("a", "b"), returned("b"), said(Role.USER, "?"), returned("a")])
    assert shape(order) == ["assistant", "b", "a", "user"]


def test_a_missing_result_is_made_up_in_its_place() -> None:
    order = ordered([called("a", "b"), returned("a"), said(Role.USER, "?"), said(Role.ASSISTANT, "!")])
    assert shape(order) == ["assistant", "a", "b!", "user", "assistant"]


def test_a_result_is_given_once_and_only_for_a_call() -> None:
    assert shape(ordered([returned("x"), called("a"), returned("a"), returned("a")])) == ["assistant", "a"]


def test_the_clients_own_result_counts_and_the_approval_is_not_shown() -> None:
    answer = replace(said(Role.APPROVAL), client_returns=(ToolReturn("a", "t", "success", "mine"),))
    assert shape(ordered([called("a"), answer])) == ["assistant", "a"]


def test_what_was_abandoned_or_is_empty_is_not_shown() -> None:
    given_up = replace(said(Role.ASSISTANT, "no"), mark=Mark.ABANDONED)
    assert shape(ordered([given_up, said(Role.ASSISTANT), said(Role.USER, "?")])) == ["user"]


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ("", "{}"),
        ("[1]", '{"malformed_arguments":"[1]"}'),
        ("{", '{"malformed_arguments":"{"}'),
    ],
)
def test_arguments_are_always_an_object(text: str, sent: str) -> None:
    assert arguments_object(text) == sent
