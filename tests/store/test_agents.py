"""Agents in the store; what lists filter by is tested over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection, func, select
from tests.store.rows import NOW, agent, block

from runstead.domain.actor import User
from runstead.domain.agent import ModelSettings, ToolRule
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import Run, RunStatus, RunType, StopReason
from runstead.errors import NotFound
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, MessageId, RunId, UserId
from runstead.store import actors, agents
from runstead.store.agents import AgentFilter
from runstead.store.pages import Page
from runstead.store.schema import agent_tags, messages

OTHER = UserId("user-11111111-1111-4111-8111-111111111111")
SYSTEM = Message(MessageId("message-1"), DEFAULT_USER, agent().id, Role.SYSTEM, NOW, parts=(TextPart("s"),))


@pytest.fixture(autouse=True)
def _two_users(conn: Connection) -> None:
    actors.insert_user(conn, User(OTHER, DEFAULT_ORGANIZATION, "o", NOW, NOW))


def test_an_agent_is_read_as_it_was_written(conn: Connection) -> None:
    whole = agent(
        context_window_tokens=9,
        settings=ModelSettings(max_tokens=1, thinking=False, response_format={"type": "text"}),
        tools=("a",),
        tool_rules=(ToolRule("exit_loop", "a"), ToolRule("conditional", "b", {"x": 1})),
        tags=("t", "u"),
        description="d",
        embedding="e/f",
        timezone="Asia/Tokyo",
        message_buffer_autoclear=True,
        hidden=False,
        metadata={"k": {}},
        extra={"secrets": {"A": "1"}},
    )
    agents.insert_agent(conn, whole)
    assert agents.find_agent(conn, DEFAULT_USER, whole.id) == whole
    bare = agent()
    agents.update_agent(conn, bare)
    assert agents.find_agent(conn, DEFAULT_USER, bare.id) == bare
    assert agents.list_tags(conn, DEFAULT_USER) == []


def test_an_agent_is_nobody_elses(conn: Connection) -> None:
    mine = agent(tags=("t",))
    agents.make_agent(conn, mine, [block()], (), [SYSTEM])
    agents.update_agent(conn, replace(mine, user_id=OTHER, name="stolen", tags=()))
    assert agents.change_agent(conn, OTHER, mine.id, lambda each: each, []) is None
    assert not agents.delete_agent(conn, OTHER, mine.id, NOW)
    assert agents.find_agent(conn, OTHER, mine.id) is None
    assert agents.find_record(conn, OTHER, mine.id) is None
    assert agents.list_records(conn, OTHER, AgentFilter(), Page()) == []
    assert agents.count_agents(conn, OTHER, AgentFilter()) == 0
    assert agents.list_tags(conn, OTHER) == []
    record = agents.find_record(conn, DEFAULT_USER, mine.id)
    assert record is not None
    assert (record.agent, record.blocks) == (mine, [block()])
    assert agents.list_tags(conn, DEFAULT_USER) == ["t"]


def test_an_agent_is_made_with_all_that_belongs_to_it(conn: Connection) -> None:
    held = block(1)
    first = agents.make_agent(conn, agent(1), [held], (), [SYSTEM])
    assert (first.blocks, first.message_ids) == ([held], [SYSTEM.id])
    second = agents.make_agent(conn, agent(2), [block(2)], [held.id], [])
    assert second.blocks == [held, block(2)]
    listed = agents.list_records(conn, DEFAULT_USER, AgentFilter(), Page())
    assert listed == [second, first]
    with pytest.raises(NotFound, match="block-9"):
        agents.make_agent(conn, agent(3), [], ["block-9"], [])


def test_a_change_says_which_blocks_are_held(conn: Connection) -> None:
    agents.make_agent(conn, agent(), [block(1), block(2)], (), [])
    for wanted, held in ((None, [block(1), block(2)]), ([block(2).id], [block(2)]), ([], [])):
        record = agents.change_agent(conn, DEFAULT_USER, agent().id, lambda each: each, wanted)
        assert record is not None
        assert record.blocks == held


def test_a_history_begins_anew(conn: Connection) -> None:
    agents.make_agent(conn, agent(), [], (), [SYSTEM])
    again = replace(SYSTEM, id=MessageId("message-2"))
    assert agents.begin_anew(conn, agent(), [again], NOW).message_ids == [again.id]


def test_a_deleted_agent_leaves_nothing_of_its_own(conn: Connection) -> None:
    agents.make_agent(conn, agent(tags=("t",)), [block()], (), [SYSTEM])
    assert agents.delete_agent(conn, DEFAULT_USER, agent().id, NOW)
    assert not agents.delete_agent(conn, DEFAULT_USER, agent().id, NOW)
    for table in (messages, agent_tags):
        assert conn.scalar(select(func.count()).select_from(table)) == 0


def test_how_a_run_ended_is_written_and_no_change_overwrites_it(conn: Connection) -> None:
    agents.insert_agent(conn, agent())
    ended = NOW + timedelta(seconds=2)
    run = Run(
        RunId("run-1"),
        DEFAULT_USER,
        DEFAULT_ORGANIZATION,
        agent().id,
        RunType.SEND,
        RunStatus.COMPLETED,
        NOW,
        ended,
        stop_reason=StopReason.END_TURN,
        completed_at=ended,
    )
    agents.note_run(conn, run)
    agents.update_agent(conn, agent(name="new"))
    found = agents.find_agent(conn, DEFAULT_USER, agent().id)
    assert found is not None
    assert found.name == "new"
    assert (found.last_run_completion, found.last_run_duration_ms) == (ended, 2000)
    assert found.last_stop_reason == "end_turn"
