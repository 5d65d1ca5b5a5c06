"""The tools that look into files, in runs and one call at a time: what is opened, matched and found."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.world import World, wait_for, world

from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import CallDelta, ModelRequest

TEA = "\n".join(f"Tea number {number} is {'green' if number % 10 else 'black'}." for number in range(1, 101))


async def upload(w: World, folder: str, name: str, body: str | bytes) -> str:
    """The id of a file that is read."""
    path = f"/v1/folders/{folder}"
    content = body.encode() if isinstance(body, str) else body
    answer = await w.client.post(f"{path}/upload", files={"file": (name, content)})
    assert answer.status_code == 200, answer.text
    file = answer.json()["id"]

    async def over() -> bool:
        status = (await w.get(f"{path}/files/{file}"))["processing_status"]
        return status in {"completed", "error"}

    await wait_for(over, "the file to be read")
    return file


@asynccontextmanager
async def reading(tmp_path: Path, gateway: ScriptedGateway) -> AsyncGenerator[tuple[World, str, str]]:
    """A server with a folder of two files, and an agent that has it."""
    async with world(tmp_path, gateway) as w:
        folder = (
            await w.client.post("/v1/folders/", json={"name": "drinks", "instructions": "Be kind."})
        ).json()
        await upload(w, folder["id"], "tea.txt", TEA)
        await upload(w, folder["id"], "coffee.md", "# Coffee\n\nAda likes coffee at six.\n")
        agent = await w.agent(folder_ids=[folder["id"]], include_base_tools=False, memory_blocks=[])
        yield w, agent, folder["id"]


async def call(w: World, agent: str, name: str, **arguments: Any) -> tuple[str, str]:
    """The status and text of one call."""
    answer = await w.client.post(f"/v1/agents/{agent}/tools/{name}/run", json={"args": arguments})
    assert answer.status_code == 200, answer.text
    return answer.json()["status"], answer.json()["func_return"]


async def test_an_agent_greps_and_opens_a_file(tmp_path: Path) -> None:
    """The model is told of the folder, finds a line, opens the file there, and sees it with the next question."""

    def speak(request: ModelRequest) -> list[Cue]:
        returned = request.messages[-1].tool_return
        if returned is None:
            return calls(("grep_files", '{"pattern": "number 4[0-9] is black"}'))
        if returned.name == "grep_files":
            wanted = '{"file_requests": [{"file_name": "drinks/tea.txt", "offset": 40, "length": 2}]}'
            return [CallDelta(0, "call-2", "open_files"), CallDelta(0, arguments=wanted)]
        return says("It is black.")

    gateway = ScriptedGateway(speak)
    async with reading(tmp_path, gateway) as (w, agent, _):
        await w.say(agent, "which is black?")

        first, second, third = gateway.requests
        assert '<directory name="drinks" files="2">' in first.system
        assert "<instructions>Be kind.</instructions>" in first.system
        assert '<file name="drinks/tea.txt" status="closed" lines="100"/>' in first.system
        assert {tool.name for tool in first.tools} == {"open_files", "grep_files", "semantic_search_files"}
        grepped = second.messages[-1].tool_return
        assert grepped is not None
        assert "drinks/tea.txt, line 40:" in grepped.text
        assert "> 40: Tea number 40 is black." in grepped.text
        assert "[Viewing lines 40 to 41 (out of 100 lines)]\n40: Tea number 40 is black.\n41:" in third.system
        assert "Tea number 42" not in third.system
        opened = third.messages[-1].tool_return
        assert opened is not None
        assert opened.text == "Opened drinks/tea.txt, lines 40 to 41 of 100."
        assert "tea.txt" in str((await w.get(f"/v1/agents/{agent}"))["memory"]["file_blocks"])


@pytest.mark.slow
async def test_files_are_searched(tmp_path: Path) -> None:
    """By words, by patterns with what stands around, in some files, page by page."""
    async with reading(tmp_path, ScriptedGateway()) as (w, agent, folder):
        status, text = await call(w, agent, "semantic_search_files", query="what does Ada like")
        assert status == "success"
        assert text.startswith("drinks/coffee.md, lines 1 to 3:\n# Coffee")
        assert "Nothing" in (await call(w, agent, "semantic_search_files", query="wine"))[1]
        await w.client.patch(f"/v1/folders/{folder}", json={"name": "cups"})
        _, text = await call(w, agent, "semantic_search_files", query="Ada", limit=1)
        assert text.startswith("cups/coffee.md, lines")
        (passage,) = await w.get(f"/v1/folders/{folder}/passages?limit=1")
        assert passage["file_name"] == "cups/coffee.md"
        await w.client.patch(f"/v1/folders/{folder}", json={"name": "drinks"})
        _, text = await call(w, agent, "grep_files", pattern="Ada", context_lines=0)
        assert text == "drinks/coffee.md, line 3:\n> 3: Ada likes coffee at six."
        _, text = await call(w, agent, "grep_files", pattern="(?i)TEA", include="*.md")
        assert "Nothing in 1 files" in text
        _, text = await call(w, agent, "grep_files", pattern="green", context_lines=0)
        assert text.count(", line ") == 20
        assert "call again with offset 20" in text
        _, text = await call(w, agent, "grep_files", pattern="green", context_lines=0, offset=80)
        assert (text.count(", line "), "offset" in text) == (10, False)
        await w.client.patch(f"/v1/agents/{agent}/folders/detach/{folder}")
        status, text = await call(w, await w.agent(tools=["grep_files"]), "grep_files", pattern="Ada")
        assert (status, "no file" in text) == ("error", True)


async def test_files_are_opened_by_name(tmp_path: Path) -> None:
    """With or without the folder's; others are closed where that is asked for; a window says what it leaves out."""
    async with reading(tmp_path, ScriptedGateway()) as (w, agent, _):
        await w.client.patch(f"/v1/agents/{agent}", json={"per_file_view_window_char_limit": 100})
        status, text = await call(w, agent, "open_files", file_requests=[{"file_name": "tea.txt"}])
        assert (status, text.splitlines()[0]) == ("success", "Opened drinks/tea.txt, lines 1 to 4 of 100.")
        assert "No more than 100 characters" in text
        wanted = [{"file_name": "drinks/coffee.md"}]
        _, text = await call(w, agent, "open_files", file_requests=wanted, close_all_others=True)
        assert text == "Opened drinks/coffee.md, lines 1 to 3 of 3."
        opened = (await w.get(f"/v1/agents/{agent}/files?is_open=true"))["files"]
        assert [each["file_name"] for each in opened] == ["drinks/coffee.md"]


@pytest.mark.parametrize(
    ("name", "arguments", "says_"),
    [
        ("open_files", {}, "must be a list"),
        ("open_files", {"file_requests": [{"name": "x"}]}, "must have a file_name"),
        ("open_files", {"file_requests": ["wine.txt"]}, "Files: drinks/coffee.md, drinks/tea.txt."),
        ("open_files", {"file_requests": [{"file_name": "tea.txt", "offset": 101}]}, "no line 101, only 100"),
        ("open_files", {"file_requests": [{"file_name": "tea.txt", "length": 0}]}, "at least 1"),
        ("grep_files", {"pattern": ""}, "from 1 to"),
        ("grep_files", {"pattern": "("}, "no regular expression"),
        ("grep_files", {"pattern": "x", "include": "*.pdf"}, "fits '*.pdf'"),
        ("semantic_search_files", {"query": "x", "limit": 0}, "at least 1"),
    ],
)
async def test_a_call_that_makes_no_sense_says_so(
    tmp_path: Path, name: str, arguments: dict[str, Any], says_: str
) -> None:
    """The model reads what to do instead."""
    async with reading(tmp_path, ScriptedGateway()) as (w, agent, _):
        status, text = await call(w, agent, name, **arguments)
        assert status == "error"
        assert says_ in text
