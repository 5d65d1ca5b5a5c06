"""What the model is shown of a history."""

from __future__ import annotations

from datetime import UTC, datetime

from runstead.domain.message import Mark, Message, Role, TextPart
from runstead.domain.shown import conversation
from runstead.ids import AgentId, MessageId, RunId, UserId

RUN = RunId("run-1")


def said(role: Role, text: str, run: RunId | None = RUN, mark: Mark | None = None) -> Message:
    """A message."""
    return Message(
        id=MessageId(f"message-{text}"),
        user_id=UserId("user-1"),
        agent_id=AgentId("agent-1"),
        run_id=run,
        role=role,
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        parts=(TextPart(text),),
        mark=mark,
    )


def test_the_prompt_is_not_shown_what_clients_said_in_its_role_is() -> None:
    history = [
        said(Role.SYSTEM, "prompt", None),
        said(Role.SYSTEM, "first", None),
        said(Role.USER, "hello"),
        said(Role.SYSTEM, "logged in"),
        said(Role.ASSISTANT, "half", mark=Mark.ABANDONED),
        said(Role.ASSISTANT, "hi"),
    ]
    assert [m.text for m in conversation(history)] == ["first", "hello", "logged in", "hi"]
    assert [m.text for m in conversation(history[3:])] == ["logged in", "hi"]


def test_the_newest_summary_stands_first() -> None:
    history = [
        said(Role.SYSTEM, "prompt", None),
        said(Role.USER, "hello"),
        said(Role.SUMMARY, "old"),
        said(Role.SUMMARY, "new"),
        said(Role.USER, "again"),
    ]
    assert [m.text for m in conversation(history)] == ["new", "hello", "again"]
