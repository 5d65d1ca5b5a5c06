"""Messages in the store: editing one, and knowing whether what is in memory still holds."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent

from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import Run, RunStatus, RunType
from runstead.errors import Busy
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, AgentId, MessageId, RunId, UserId
from runstead.store import agents, messages, runs

LANE = AgentId("agent-01")


def said(conn: Connection) -> list[Message]:
    """Three messages of an agent, as they are stored."""
    agents.insert_agent(conn, agent())
    made = [
        Message(MessageId(f"message-{n}"), DEFAULT_USER, LANE, Role.USER, NOW, (TextPart(f"{n}"),))
        for n in range(3)
    ]
    messages.insert_messages(conn, made)
    return messages.in_context(conn, LANE)


def edit(conn: Connection, number: int, text: str, user_id: UserId = DEFAULT_USER) -> Message | None:
    """Give one of them other words."""
    return messages.edit_message(
        conn, user_id, LANE, f"message-{number}", lambda m: replace(m, parts=(TextPart(text),)), NOW
    )


def test_what_is_in_memory_holds_until_something_of_it_is_edited(conn: Connection) -> None:
    """Whichever it is, each time anew, at one moment of the clock; what is newer than it does not count."""
    known = said(conn)
    assert messages.is_whole(conn, LANE, known, 0)
    assert messages.is_whole(conn, LANE, known[:2], 1)
    assert not messages.is_whole(conn, LANE, known[:2], 0)
    for number in (1, 0, 1, 1):
        assert edit(conn, number, "new") is not None
        assert not messages.is_whole(conn, LANE, known, 0)
        known = messages.in_context(conn, LANE)
        assert messages.is_whole(conn, LANE, known, 0)

    edit(conn, 2, "newest")

    assert messages.is_whole(conn, LANE, known[:2], 1)
    assert not messages.is_whole(conn, LANE, known, 0)
    assert ["new", "new", "newest"] == [message.text for message in messages.in_context(conn, LANE)]


def test_only_who_said_it_edits_and_never_under_a_run(conn: Connection) -> None:
    """Another actor finds nothing; while a run is not over it is refused and nothing changes."""
    said(conn)
    assert edit(conn, 0, "mine", UserId("user-other")) is None
    assert edit(conn, 9, "nothing") is None
    run = Run(
        id=RunId("run-1"),
        user_id=DEFAULT_USER,
        organization_id=DEFAULT_ORGANIZATION,
        agent_id=LANE,
        type=RunType.SEND,
        status=RunStatus.CREATED,
        created_at=NOW,
        updated_at=NOW,
    )
    runs.insert_run(conn, run)

    with pytest.raises(Busy, match="run-1"):
        edit(conn, 0, "under it")

    assert ["0", "1", "2"] == [message.text for message in messages.in_context(conn, LANE)]
