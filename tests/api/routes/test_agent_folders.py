"""The folders of an agent: given and taken with the tools that look into them, and the files that it has open."""

from __future__ import annotations

from typing import Any

import orjson
from tests.api.conftest import Api
from tests.api.routes.test_folders import ABSENT, NO_FILE, filed, folder

from runstead.domain.folder import FILE_TOOLS

SDK1 = {"x-stainless-package-version": "1.12.1"}


def tools_of(agent: dict[str, Any]) -> set[str]:
    """The names of an agent's tools that look into files."""
    return {tool["name"] for tool in agent["tools"]} & set(FILE_TOOLS)


async def test_tools_come_with_the_first_folder_and_go_with_the_last(api: Api) -> None:
    """Given twice is given once; a 1.0 SDK is answered null; what is not there is 404."""
    agent = await api.agent()
    path = f"/v1/agents/{agent['id']}"
    one, two = await folder(api, "one"), await folder(api, "two")

    for _ in range(2):
        given = await api.json("PATCH", f"{path}/folders/attach/{one['id']}")
        assert tools_of(given) == set(FILE_TOOLS)
        assert [each["id"] for each in given["sources"]] == [one["id"]]
    assert await api.json("PATCH", f"{path}/sources/attach/{two['id']}", headers=SDK1) is None
    held = await api.json("GET", f"{path}/folders?order=asc")
    assert [each["name"] for each in held] == ["one", "two"]
    assert await api.json("GET", f"{path}/sources?order=asc") == held
    assert await api.json("GET", f"/v1/folders/{one['id']}/agents") == [agent["id"]]
    included = await api.json("GET", f"{path}?include=agent.sources", headers=SDK1)
    assert {each["id"] for each in included["sources"]} == {one["id"], two["id"]}
    assert (await api.json("GET", path, headers=SDK1))["sources"] == []
    taken = await api.json("PATCH", f"{path}/folders/detach/{one['id']}")
    assert tools_of(taken) == set(FILE_TOOLS)
    taken = await api.json("PATCH", f"{path}/sources/detach/{two['id']}")
    assert (tools_of(taken), taken["sources"]) == (set(), [])
    assert [t["name"] for t in taken["tools"]] == [t["name"] for t in agent["tools"]]
    for verb in ("attach", "detach"):
        await api.json("PATCH", f"{path}/folders/{verb}/{ABSENT}", 404)


async def test_an_agent_is_made_with_folders(api: Api) -> None:
    """By either name; an unknown one makes no agent; a change says which it holds from then on."""
    one, two = await folder(api, "one"), await folder(api, "two")
    agent = await api.agent(folder_ids=[one["id"]], source_ids=[two["id"]], include_base_tools=False)

    assert [each["name"] for each in agent["sources"]] == ["one", "two"]
    assert tools_of(agent) == set(FILE_TOOLS)
    count = await api.json("GET", "/v1/agents/count")
    await api.json("POST", "/v1/agents/", 404, json={"model": "runstead/demo", "folder_ids": [ABSENT]})
    assert await api.json("GET", "/v1/agents/count") == count
    path = f"/v1/agents/{agent['id']}"
    changed = await api.json("PATCH", path, json={"folder_ids": [two["id"]]})
    assert [each["name"] for each in changed["sources"]] == ["two"]
    changed = await api.json("PATCH", path, json={"name": "x"})
    assert [each["name"] for each in changed["sources"]] == ["two"]
    changed = await api.json("PATCH", path, json={"source_ids": []})
    assert (changed["sources"], tools_of(changed)) == ([], set())


async def test_a_deleted_folder_is_taken_from_its_agents(api: Api) -> None:
    """And with it the tools, where it was the last; a deleted agent leaves its folders."""
    one, two = await folder(api, "one"), await folder(api, "two")
    both = await api.agent(folder_ids=[one["id"], two["id"]])
    only = await api.agent(folder_ids=[one["id"]])

    await api.json("DELETE", f"/v1/folders/{one['id']}")
    both, only = [await api.json("GET", f"/v1/agents/{each['id']}") for each in (both, only)]
    assert ([each["id"] for each in both["sources"]], only["sources"]) == ([two["id"]], [])
    assert (tools_of(both), tools_of(only)) == (set(FILE_TOOLS), set())
    await api.json("DELETE", f"/v1/agents/{both['id']}")
    assert await api.json("GET", f"/v1/folders/{two['id']}/agents") == []


async def test_files_are_opened_and_closed(api: Api) -> None:
    """No more than may be; the one that was opened first is closed. What is seen stands in the memory."""
    made = await folder(api)
    agent = await api.agent(folder_ids=[made["id"]], max_files_open=2, per_file_view_window_char_limit=12)
    path = f"/v1/agents/{agent['id']}"
    files = [(await filed(api, made["id"], f"{n}.txt", f"{n}\n" * 10))["id"] for n in "abc"]

    for number, file in enumerate(files):
        api.clock.advance(1)
        closed = await api.json("PATCH", f"{path}/files/{file}/open")
        assert closed == (["notes/a.txt"] if number == 2 else [])
    state = await api.json("GET", path)
    assert [each["label"] for each in state["memory"]["file_blocks"]] == ["notes/c.txt", "notes/b.txt"]
    first = state["memory"]["file_blocks"][0]
    assert first["value"].splitlines()[:2] == ["[Viewing lines 1 to 6 (out of 10 lines)]", "1: c"]
    assert (await api.json("GET", f"{path}/core-memory"))["file_blocks"] == state["memory"]["file_blocks"]
    page = await api.json("GET", f"{path}/files?limit=2")
    assert (len(page["files"]), page["has_more"]) == (2, True)
    assert [each["is_open"] for each in page["files"]] == [True, True]
    assert (page["files"][0]["start_line"], page["files"][0]["end_line"]) == (1, 6)
    for cursor in ("after", "cursor"):
        rest = await api.json("GET", f"{path}/files?{cursor}={page['next_cursor']}")
        assert [each["file_id"] for each in rest["files"]] == files[:1]
        assert (rest["has_more"], rest["next_cursor"]) == (False, None)
    shut = await api.json("GET", f"{path}/files?is_open=false")
    assert [each["file_id"] for each in shut["files"]] == files[:1]
    context = await api.json("GET", f"{path}/context")
    assert "notes/c.txt" in context["directories"]
    assert context["num_tokens_directories"] > 0
    assert "1: c" in await api.json("POST", f"{path}/recompile")
    await api.json("PATCH", f"{path}/files/{files[2]}/close")
    assert await api.json("PATCH", f"{path}/files/close-all") == ["notes/b.txt"]
    assert (await api.json("GET", path))["memory"]["file_blocks"] == []


async def test_only_files_that_it_holds_are_opened(api: Api) -> None:
    """And that are read; taking the folder away closes them."""
    made, other = await folder(api), await folder(api, "other")
    agent = await api.agent(folder_ids=[made["id"]])
    path = f"/v1/agents/{agent['id']}"
    mine = (await filed(api, made["id"], "a.txt", "alpha"))["id"]
    strange = (await filed(api, other["id"], "b.txt", "beta"))["id"]
    broken = (await filed(api, made["id"], "c.bin", bytes(9)))["id"]

    for verb in ("open", "close"):
        for file in (strange, NO_FILE):
            await api.json("PATCH", f"{path}/files/{file}/{verb}", 404)
    refused = await api.json("PATCH", f"{path}/files/{broken}/open", 400)
    assert "no text" in refused["detail"]
    await api.json("PATCH", f"{path}/files/{mine}/open")
    await api.json("PATCH", f"{path}/folders/detach/{made['id']}")
    await api.json("PATCH", f"{path}/folders/attach/{made['id']}")
    assert (await api.json("GET", f"{path}/files?is_open=true"))["files"] == []


async def test_an_exported_agent_leaves_its_folders(api: Api) -> None:
    """And the tools for them; so does one that is imported from a server that keeps them in the file."""
    made = await folder(api)
    agent = await api.agent(folder_ids=[made["id"]], tools=["web_search"], include_base_tools=False)
    file = await api.json("GET", f"/v1/agents/{agent['id']}/export")
    assert [tool["name"] for tool in file["tools"]] == ["web_search"]
    file["agents"][0]["tools"] += FILE_TOOLS
    file["agents"][0]["source_ids"] = ["source-0"]

    content = orjson.dumps(file)
    ids = await api.json("POST", "/v1/agents/import", files={"file": ("a.af", content)})
    imported = await api.json("GET", f"/v1/agents/{ids['agent_ids'][0]}")
    assert ([tool["name"] for tool in imported["tools"]], imported["sources"]) == (["web_search"], [])
