"""An agent's blocks by label."""

from __future__ import annotations

from tests.api.conftest import Api


async def test_blocks_by_label(api: Api) -> None:
    blocks = [{"label": "human", "value": "h"}, {"label": "persona", "value": "p"}]
    agent = await api.agent(memory_blocks=blocks)
    path = f"/v1/agents/{agent['id']}/core-memory"
    memory = await api.json("GET", path)
    assert [block["label"] for block in memory["blocks"]] == ["human", "persona"]
    listed = await api.json("GET", path + "/blocks")
    assert {block["label"] for block in listed} == {"human", "persona"}
    human = await api.json("GET", path + "/blocks/human")
    assert human["value"] == "h"
    missing = await api.json("GET", path + "/blocks/skills", 404)
    assert missing == {"detail": f"No block with label 'skills' found for agent '{agent['id']}'"}
    await api.json("PATCH", path + "/blocks/skills", 404, json={"value": "x"})


async def test_pages_of_blocks(api: Api) -> None:
    agent = await api.agent()
    path = f"/v1/agents/{agent['id']}/core-memory/blocks"
    ids: list[str] = []
    for label in "abc":
        block = await api.block(label)
        await api.json("PATCH", f"{path}/attach/{block['id']}")
        ids.append(block["id"])
    assert [b["label"] for b in await api.json("GET", path)] == ["c", "b", "a"]
    assert [b["label"] for b in await api.json("GET", path + "?order=asc&limit=2")] == ["a", "b"]
    after = await api.json("GET", f"{path}?after={ids[1]}")
    assert [b["label"] for b in after] == ["a"]
    other = await api.block("elsewhere")
    await api.json("GET", f"{path}?after={other['id']}", 404)


async def test_a_change_by_label(api: Api) -> None:
    agent = await api.agent(memory_blocks=[{"label": "human", "value": "h"}])
    path = f"/v1/agents/{agent['id']}/core-memory/blocks"
    changed = await api.json(
        "PATCH", path + "/human", json={"value": "new", "description": "d", "label": "person"}
    )
    assert (changed["value"], changed["description"]) == ("new", "d")
    assert await api.json("GET", path + "/person") == changed
    await api.json("GET", path + "/human", 404)
    over = await api.json("PATCH", path + "/person", 422, json={"value": "xxx", "limit": 2})
    assert "its limit is 2" in over["detail"]
    assert (await api.json("GET", path + "/person"))["value"] == "new"


async def test_a_label_may_be_a_path(api: Api) -> None:
    """A slash in a label is one in the path, sent as it is or encoded."""
    agent = await api.agent(memory_blocks=[{"label": "system/attach/ü b", "value": "h"}])
    path = f"/v1/agents/{agent['id']}/core-memory/blocks"
    for label in ("system/attach/ü b", "system%2Fattach%2F%C3%BC%20b"):
        changed = await api.json("PATCH", f"{path}/{label}", json={"value": label})
        assert await api.json("GET", f"{path}/{label}") == changed
        assert changed["value"] == label
    missing = await api.json("GET", path + "/system/nothing", 404)
    assert "No block with label 'system/nothing'" in missing["detail"]


async def test_attach_and_detach(api: Api) -> None:
    one, two = await api.agent(), await api.agent()
    block = await api.block("human", "shared")
    for agent in (one, two, two):
        path = f"/v1/agents/{agent['id']}/core-memory/blocks"
        held = await api.json("PATCH", f"{path}/attach/{block['id']}")
        assert [each["id"] for each in held["blocks"]] == [block["id"]]
    await api.json("PATCH", f"/v1/blocks/{block['id']}", json={"value": "seen by both"})
    for agent in (one, two):
        path = f"/v1/agents/{agent['id']}/core-memory/blocks"
        assert (await api.json("GET", path + "/human"))["value"] == "seen by both"
    same_label = await api.block("human")
    path = f"/v1/agents/{one['id']}/core-memory/blocks"
    await api.json("PATCH", f"{path}/attach/{same_label['id']}", 409)
    unknown = "block-11111111-1111-4111-8111-111111111111"
    await api.json("PATCH", f"{path}/attach/{unknown}", 404)
    await api.json("PATCH", f"{path}/attach/nope", 422)
    assert (await api.json("PATCH", f"{path}/detach/{block['id']}"))["blocks"] == []
    nobody = "/v1/agents/agent-11111111-1111-4111-8111-111111111111/core-memory/blocks"
    await api.json("PATCH", f"{nobody}/attach/{block['id']}", 404)
    await api.json("PATCH", f"{nobody}/detach/{block['id']}", 404)
    await api.json("GET", f"/v1/blocks/{block['id']}")


async def test_a_label_is_not_taken_twice_by_renaming(api: Api) -> None:
    blocks = [{"label": "a", "value": ""}, {"label": "b", "value": ""}]
    agent = await api.agent(memory_blocks=blocks)
    path = f"/v1/agents/{agent['id']}/core-memory/blocks"
    await api.json("PATCH", path + "/a", 409, json={"label": "b"})
