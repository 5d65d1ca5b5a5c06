"""The memory tools: edits of blocks as they are now, with errors that tell the model what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection
from tests.template import put_database

from runstead.clock import ManualClock
from runstead.domain.agent import Agent, Block
from runstead.domain.message import ToolCall
from runstead.domain.tool import ToolOutcome
from runstead.ids import DEFAULT_USER, AgentId, BlockId, RunId
from runstead.store import actors, blocks
from runstead.store.sqlite import SqliteDatabase
from runstead.tools.builtin.conversation import CONVERSATION_TOOLS
from runstead.tools.builtin.memory import MEMORY_TOOLS
from runstead.tools.registry import Toolbox, ToolContext

NOW = ManualClock().now()
NAMES = tuple(tool.spec.name for tool in (*MEMORY_TOOLS, *CONVERSATION_TOOLS))


def block(value: str, **more: object) -> Block:
    """A block labelled `human`."""
    made = Block(BlockId("block-1"), DEFAULT_USER, "human", value, NOW, NOW)
    return Block(**{**{name: getattr(made, name) for name in Block.__slots__}, **more})  # pyright: ignore[reportArgumentType]


class Bench:
    """Calls tools on one block."""

    def __init__(self, db: SqliteDatabase) -> None:
        self.db = db
        self.toolbox = Toolbox(db, (*MEMORY_TOOLS, *CONVERSATION_TOOLS), timeout_s=60)

    async def call(self, name: str, on: Block, arguments: str, tools: tuple[str, ...] = NAMES) -> ToolOutcome:
        """What comes of a call."""
        agent = Agent(
            AgentId("agent-1"), DEFAULT_USER, "a", "letta_v1_agent", "x/y", "", NOW, NOW, tools=tools
        )
        context = ToolContext(DEFAULT_USER, agent, RunId("run-1"), "call-1", (on,), NOW)
        return await self.toolbox.run(ToolCall("call-1", name, arguments), context)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Tools over an empty store."""
    db = SqliteDatabase(put_database(tmp_path / "runstead.db"))
    yield Bench(db)
    await db.close()


@pytest.mark.parametrize(
    ("name", "before", "arguments", "after"),
    [
        ("memory_insert", "a\nb", {"new_str": "c"}, "a\nb\nc"),
        ("memory_insert", "a\nb", {"new_str": "c", "insert_line": 0}, "c\na\nb"),
        ("memory_insert", "a\nb", {"new_str": "c\nd", "insert_line": 1}, "a\nc\nd\nb"),
        ("memory_insert", "", {"new_str": "c"}, "c"),
        ("memory_replace", "a b c", {"old_str": "b", "new_str": "x"}, "a x c"),
        ("memory_replace", "a b c", {"old_str": " b", "new_str": ""}, "a c"),
        ("memory_rethink", "a", {"new_memory": "z"}, "z"),
        ("memory", "a b", {"command": "str_replace", "path": "human", "old_str": "a", "new_str": "c"}, "c b"),
        ("memory", "a b", {"command": "str_replace", "path": "/memories/human", "old_str": "a "}, "b"),
        ("memory", "a", {"command": "insert", "path": "human", "insert_text": "b", "insert_line": 0}, "b\na"),
        ("core_memory_append", "a", {"content": "b"}, "a\nb"),
        ("core_memory_replace", "a b", {"old_content": "a", "new_content": "c"}, "c b"),
    ],
)
async def test_each_tool_edits(
    bench: Bench, name: str, before: str, arguments: dict[str, object], after: str
) -> None:
    """The block's new value is in the outcome, and the model reads it."""
    call = orjson.dumps({"label": "human", **arguments}).decode()

    outcome = await bench.call(name, block(before), call)

    assert ("success", [after]) == (outcome.status, [each.value for each in outcome.blocks])
    assert after in outcome.text


@pytest.mark.parametrize(
    ("name", "on", "arguments", "says"),
    [
        ("memory_insert", block("a"), '{"label": "nowhere", "new_str": "x"}', "Blocks: human"),
        ("memory_insert", block("a", read_only=True), '{"label": "human", "new_str": "x"}', "read-only"),
        ("memory_insert", block("a", limit_chars=3), '{"label": "human", "new_str": "xyz"}', "limit is 3"),
        ("memory_insert", block("a"), '{"label": "human", "new_str": "x", "insert_line": 9}', "from 0 to 1"),
        (
            "memory_insert",
            block("a"),
            '{"label": "human", "new_str": "x", "insert_line": "b"}',
            "whole number",
        ),
        ("memory_insert", block("a"), '{"label": "human"}', "must be a text"),
        ("memory_replace", block("a a"), '{"label": "human", "old_str": "a", "new_str": "b"}', "2 times"),
        (
            "memory_replace",
            block("a"),
            '{"label": "human", "old_str": "z", "new_str": "b"}',
            "does not stand",
        ),
        ("memory_replace", block("a"), '{"label": "human", "old_str": "", "new_str": "b"}', "is empty"),
        ("memory", block("a"), '{"command": "create", "path": "b"}', "str_replace and insert"),
        ("memory_rethink", block("a"), "[1]", "JSON object"),
        ("memory_rethink", block("a"), "{", "no JSON"),
        ("conversation_search", block("a"), '{"query": "x", "limit": 0}', "at least 1"),
        ("conversation_search", block("a"), '{"query": "x", "roles": ["boss"]}', "roles must be"),
    ],
)
async def test_a_wrong_call_learns_what_to_do(
    bench: Bench, name: str, on: Block, arguments: str, says: str
) -> None:
    """An error return, and nothing changed."""
    outcome = await bench.call(name, on, arguments)

    assert ("error", ()) == (outcome.status, outcome.blocks)
    assert says in outcome.text


async def test_a_tool_the_agent_does_not_have_is_not_run(bench: Bench) -> None:
    """Not even one that ships."""
    outcome = await bench.call("memory_rethink", block("a"), '{"label": "human", "new_memory": "z"}', ())

    assert ("error", ()) == (outcome.status, outcome.blocks)


async def test_nothing_found_is_an_answer(bench: Bench) -> None:
    """A search without results succeeds."""
    outcome = await bench.call("conversation_search", block("a"), '{"query": "tea"}')

    assert "success" == outcome.status
    assert "tea" in outcome.text


@pytest.mark.parametrize("change", ["value", "limit", "read-only"])
async def test_what_others_did_to_a_shared_block_counts(bench: Bench, change: str) -> None:
    """A run has seen an older state of a block: a tool changes what stands there now, under its rules of now."""

    def others_write(conn: Connection) -> None:
        actors.ensure_defaults(conn, NOW)
        blocks.insert_blocks(
            conn,
            [block("theirs", limit_chars=7 if change == "limit" else 100, read_only=change == "read-only")],
        )

    await bench.db.write(others_write)

    outcome = await bench.call("memory_insert", block("older"), '{"label": "human", "new_str": "mine"}')

    if change == "value":
        assert [each.value for each in outcome.blocks] == ["theirs\nmine"]
    else:
        assert (outcome.status, outcome.blocks) == ("error", ())
        assert ("its limit is 7" if change == "limit" else "read-only") in outcome.text
