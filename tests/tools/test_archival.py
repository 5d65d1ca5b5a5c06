"""The tools of archival memory in a run: written once whatever happens, found by what was said."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import orjson
import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW, agent
from tests.template import put_database
from tests.world import world

from runstead.domain.message import ToolCall
from runstead.domain.tool import ToolOutcome
from runstead.ids import DEFAULT_USER, RunId
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import CallDelta, ModelRequest
from runstead.memory.archival import ArchivalMemory
from runstead.store import actors, agents
from runstead.store.sqlite import SqliteDatabase
from runstead.tools.builtin.archival import archival_tools
from runstead.tools.registry import Toolbox, ToolContext

AGENT = agent(tools=("archival_memory_insert", "archival_memory_search"))


@pytest.fixture
async def db(tmp_path: Path) -> AsyncGenerator[SqliteDatabase]:
    """A store with an agent."""
    made = SqliteDatabase(put_database(tmp_path / "tools.db"))

    def fill(conn: Connection) -> None:
        actors.ensure_defaults(conn, NOW)
        agents.insert_agent(conn, AGENT)

    await made.write(fill)
    yield made
    await made.close()


async def use(db: SqliteDatabase, name: str, **arguments: object) -> ToolOutcome:
    """Run one call."""
    toolbox = Toolbox(db, archival_tools(ArchivalMemory()), timeout_s=60)
    context = ToolContext(DEFAULT_USER, AGENT, RunId("run-1"), "call-1", (), NOW)
    return await toolbox.run(ToolCall("call-1", name, orjson.dumps(arguments).decode()), context)


async def test_a_call_that_is_run_again_writes_once(db: SqliteDatabase) -> None:
    """The same call after a crash; another text under the same id is another passage."""
    for _ in range(2):
        assert (await use(db, "archival_memory_insert", content="tea at five")).status == "success"
    await use(db, "archival_memory_insert", content="coffee at six", tags=["drinks"])

    found = await use(db, "archival_memory_search", query="tea coffee")

    assert sorted(line.partition("] ")[2] for line in found.text.splitlines()) == [
        "coffee at six (tags: drinks)",
        "tea at five",
    ]


async def test_what_does_not_fit_is_not_found(db: SqliteDatabase) -> None:
    """By tags and time; an empty answer says what was asked."""
    await use(db, "archival_memory_insert", content="tea", tags=["a"])
    today = f"{NOW:%Y-%m-%d}"

    async def found(**arguments: object) -> str:
        return (await use(db, "archival_memory_search", query="tea", **arguments)).text

    assert "tea" in (await found(tags=["a", "b"])).splitlines()[0]
    assert "Nothing" in await found(tags=["a", "b"], tag_match_mode="all")
    assert "Nothing" not in await found(start_datetime=today, end_datetime=today)
    assert "Nothing" in await found(end_datetime="2001-01-01")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("archival_memory_insert", {"content": " "}),
        ("archival_memory_insert", {"content": "x", "tags": "a"}),
        ("archival_memory_search", {"query": "x", "top_k": 0}),
        ("archival_memory_search", {"query": "x", "tag_match_mode": "most"}),
        ("archival_memory_search", {"query": "x", "start_datetime": "yesterday"}),
    ],
)
async def test_a_call_that_makes_no_sense_says_so(
    db: SqliteDatabase, name: str, arguments: dict[str, object]
) -> None:
    """The model reads what to do instead."""
    outcome = await use(db, name, **arguments)
    assert outcome.status == "error"
    assert "must" in outcome.text


async def test_an_agent_remembers_beyond_its_history(tmp_path: Path) -> None:
    """Written down in one run, found in another, seen by its clients."""

    def speak(request: ModelRequest) -> list[Cue]:
        last = request.messages[-1]
        if last.role.value != "user":
            return says("Yes.")
        if "keep" in last.text:
            return calls(("archival_memory_insert", '{"content": "Ada likes tea"}'))
        return [CallDelta(0, "call-9", "archival_memory_search"), CallDelta(0, arguments='{"query": "tea"}')]

    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        made = await w.agent(tools=["archival_memory_insert", "archival_memory_search"])
        await w.say(made, "keep it")
        await w.say(made, "what does Ada like?")

        returned = gateway.requests[-1].messages[-1].tool_return
        assert returned is not None
        assert "Ada likes tea" in returned.text
        (stored,) = await w.get(f"/v1/agents/{made}/archival-memory")
        assert stored["text"] == "Ada likes tea"
