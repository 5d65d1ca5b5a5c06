"""Rows and what they mean: what a newer release wrote is read as far as it is known here."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Table, select, update
from tests.conformance.test_store_lists import step
from tests.store.rows import agent

from runstead.domain.agent import ModelSettings, ToolRule
from runstead.domain.step import ToolTime
from runstead.ids import DEFAULT_USER
from runstead.store import agents, schema, steps
from runstead.store.codec import built, pack, unpack


def said_more(conn: Connection, table: Table, *places: tuple[str | int, ...]) -> None:
    """Let a newer release have written the documents of a table: with one more member at each of these places."""
    for row in conn.execute(select(table.c.id, table.c.document)).all():
        document = unpack(row.document)
        for place in places:
            members: Any = document
            for name in place:
                members = members[name]
            members["of_tomorrow"] = {"a": 1}
        conn.execute(update(table).where(table.c.id == row.id).values(document=pack(document)))


def test_members_of_tomorrow_are_left_out(conn: Connection) -> None:
    """A step and an agent of a newer release are what an older one knows of them, lists within included."""
    done = step(1, tags=("a",), retries=2, tool_times=(ToolTime("call-1", "look", "success", 1, 2),))
    asked = agent(settings=ModelSettings(temperature=0.5), tool_rules=(ToolRule("exit_loop", "look"),))
    agents.insert_agent(conn, asked)
    steps.save_steps(conn, [done])
    said_more(conn, schema.steps, (), ("tool_times", 0))
    said_more(conn, schema.agents, (), ("settings",), ("tool_rules", 0))

    assert done == steps.find_step(conn, DEFAULT_USER, done.id)
    assert asked == agents.find_agent(conn, DEFAULT_USER, asked.id)


def test_what_is_given_beside_the_document_counts() -> None:
    assert ToolRule("exit_loop", "look") == built(ToolRule, {"type": "exit_loop", "x": 1}, tool_name="look")
