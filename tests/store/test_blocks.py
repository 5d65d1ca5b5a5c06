"""Blocks in the store; what lists filter by is tested over HTTP."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent, block

from runstead.domain.actor import User
from runstead.errors import Conflict
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, BlockId, UserId
from runstead.store import actors, agents, blocks
from runstead.store.blocks import BlockFilter
from runstead.store.pages import Page

OTHER = UserId("user-11111111-1111-4111-8111-111111111111")


@pytest.fixture(autouse=True)
def _two_users(conn: Connection) -> None:
    actors.insert_user(conn, User(OTHER, DEFAULT_ORGANIZATION, "o", NOW, NOW))


def test_a_block_is_read_as_it_was_written(conn: Connection) -> None:
    whole = block(
        limit_chars=5,
        description="d",
        read_only=True,
        is_template=True,
        name="n",
        hidden=False,
        tags=("a", "b"),
        metadata={"k": [1]},
        extra={"project_id": "p"},
    )
    blocks.insert_blocks(conn, [whole, block(2)])
    assert blocks.find_block(conn, DEFAULT_USER, whole.id) == whole
    changed = replace(whole, value="w", label="x", tags=("c",), metadata={}, extra={}, hidden=None)
    blocks.update_block(conn, changed)
    assert blocks.find_block(conn, DEFAULT_USER, whole.id) == changed
    assert blocks.count_blocks(conn, DEFAULT_USER, BlockFilter(tags=("a",))) == 0
    assert blocks.count_blocks(conn, DEFAULT_USER, BlockFilter(tags=("c",))) == 1


def test_a_written_value_changes_nothing_else(conn: Connection) -> None:
    before = block(tags=("a",))
    blocks.insert_blocks(conn, [before])
    later = replace(before, value="w", description="not written", updated_at=NOW + timedelta(seconds=1))
    blocks.write_value(conn, later)
    assert blocks.find_block(conn, DEFAULT_USER, before.id) == replace(
        before, value="w", updated_at=later.updated_at
    )


def test_a_block_is_nobody_elses(conn: Connection) -> None:
    mine = block(tags=("t",))
    blocks.insert_blocks(conn, [mine])
    agents.insert_agent(conn, agent())
    blocks.attach(conn, agent().id, mine)
    theirs = replace(mine, user_id=OTHER, value="stolen", label="stolen", tags=())
    blocks.update_block(conn, theirs)
    blocks.write_value(conn, theirs)
    assert blocks.change_block(conn, OTHER, mine.id, lambda each: theirs) is None
    blocks.delete_block(conn, OTHER, mine.id)
    blocks.detach(conn, OTHER, agent().id, mine.id)
    assert blocks.find_block(conn, DEFAULT_USER, mine.id) == mine
    assert blocks.count_blocks(conn, DEFAULT_USER, BlockFilter(tags=("t",))) == 1
    assert blocks.find_by_label(conn, DEFAULT_USER, agent().id, mine.label) == mine
    assert blocks.blocks_of_agent(conn, DEFAULT_USER, agent().id) == [mine]
    for found in (
        blocks.find_block(conn, OTHER, mine.id),
        blocks.find_by_label(conn, OTHER, agent().id, mine.label),
    ):
        assert found is None
    assert blocks.keep_blocks(conn, OTHER, [mine.id]) == []
    assert blocks.list_blocks(conn, OTHER, BlockFilter(), Page()) == []
    assert blocks.blocks_of_agent(conn, OTHER, agent().id) == []
    assert blocks.blocks_of_agents(conn, OTHER, [agent().id]) == {agent().id: []}
    assert blocks.list_agent_blocks(conn, OTHER, agent().id, Page()) == []
    assert not blocks.attach_to(conn, OTHER, agent().id, mine.id)


def test_a_block_of_one_user_goes_to_no_other_users_agent(conn: Connection) -> None:
    blocks.insert_blocks(conn, [block(1), block(2, user_id=OTHER)])
    agents.insert_agent(conn, agent(1))
    assert not blocks.attach_to(conn, DEFAULT_USER, agent(1).id, BlockId("block-02"))
    assert not blocks.attach_to(conn, OTHER, agent(1).id, BlockId("block-02"))
    assert blocks.attach_to(conn, DEFAULT_USER, agent(1).id, BlockId("block-01"))


def test_an_agent_holds_one_block_of_a_label(conn: Connection) -> None:
    one, two = block(1, label="a"), block(2, label="a")
    blocks.insert_blocks(conn, [one, two])
    agents.insert_agent(conn, agent())
    blocks.attach(conn, agent().id, one)
    blocks.attach(conn, agent().id, one)
    with pytest.raises(Conflict):
        blocks.attach(conn, agent().id, two)
    renamed = replace(two, label="b")
    blocks.update_block(conn, renamed)
    blocks.attach(conn, agent().id, renamed)
    with pytest.raises(Conflict):
        blocks.update_block(conn, two)
    blocks.detach_all(conn, agent().id)
    assert blocks.blocks_of_agent(conn, DEFAULT_USER, agent().id) == []
