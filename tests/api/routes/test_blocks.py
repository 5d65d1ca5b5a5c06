"""Blocks over HTTP, whoever holds them."""

from __future__ import annotations

from tests.api.conftest import Api

UNKNOWN = "block-11111111-1111-4111-8111-111111111111"


async def test_make_read_change_delete(api: Api) -> None:
    block = await api.block(
        "human",
        "v",
        description="d",
        tags=["x", "x"],
        metadata={"a": 1},
        template_name="n",
        project_id="p",
        preserve_on_migration=True,
        unheard_of=1,
    )
    assert (block["limit"], block["tags"], block["metadata"]) == (100_000, ["x"], {"a": 1})
    assert (block["name"], block["template_name"], block["project_id"]) == ("n", "n", "p")
    assert block["preserve_on_migration"] is True
    path = f"/v1/blocks/{block['id']}"
    assert await api.json("GET", path) == block
    changes = {"value": "w", "tags": [], "name": None, "hidden": True, "entity_id": "e", "limit": 7}
    changed = await api.json("PATCH", path, json=changes)
    expected = {**block, **changes, "template_name": None}
    assert changed == expected
    deleted = await api.json("DELETE", path)
    assert deleted == {"message": f"Block id={block['id']} successfully deleted"}
    for method in ("GET", "DELETE"):
        missing = await api.json(method, path, 404)
        assert missing == {"detail": f"Block with ID {block['id']} not found"}


async def test_values_stay_within_their_limit(api: Api) -> None:
    body = {"label": "human", "value": "12345", "limit": 4}
    over = await api.json("POST", "/v1/blocks/", 422, json=body)
    assert over == {"detail": "Block 'human' has 5 characters; its limit is 4."}
    block = await api.block(value="1234", limit=4)
    path = f"/v1/blocks/{block['id']}"
    await api.json("PATCH", path, 422, json={"value": "12345"})
    await api.json("PATCH", path, 422, json={"limit": 3})
    await api.json("PATCH", path, 422, json={"limit": -1})
    assert (await api.json("GET", path))["value"] == "1234"


async def test_filters_are_applied_before_the_limit(api: Api) -> None:
    first = await api.block("human", "Ada likes tea", description="Who", name="n1", tags=["x", "y"])
    second = await api.block("persona", "100% sure", is_template=True, tags=["x"], project_id="p")
    agent = await api.agent(block_ids=[first["id"]])
    ids = {first["id"]: "1", second["id"]: "2"}

    async def listed(query: str) -> str:
        return "".join(ids[b["id"]] for b in await api.json("GET", "/v1/blocks/?" + query))

    assert await listed("") == "12"
    assert await listed("order=desc") == "21"
    assert await listed("limit=1&label=persona") == "2"
    assert await listed("label=human") == "1"
    assert await listed("name=n1") == "1"
    assert await listed("templates_only=true") == "2"
    assert await listed("tags=x") == "12"
    assert await listed("tags=x&tags=y&match_all_tags=true") == "1"
    assert await listed("label_search=SON") == "2"
    assert await listed("value_search=TEA") == "1"
    assert await listed("value_search=100%25") == "2"
    assert await listed("value_search=0%25%20") == "2"
    assert await listed("value_search=1%25") == ""
    assert await listed("description_search=who") == "1"
    assert await listed("connected_to_agents_count_gt=0") == "1"
    assert await listed("connected_to_agents_count_lt=1") == "2"
    assert await listed("connected_to_agents_count_eq=0&connected_to_agents_count_eq=1") == "12"
    assert await listed("connected_to_agents_count_eq=1") == "1"
    assert await listed("project_id=p") == "2"
    assert await listed("identity_id=i") == ""
    assert await listed("identifier_keys=k") == ""
    assert await listed(f"after={first['id']}") == "2"
    assert await listed(f"before={second['id']}") == "1"
    assert await api.json("GET", "/v1/blocks/count?tags=x&tags=y&match_all_tags=true") == 1
    await api.json("GET", f"/v1/blocks/?after={UNKNOWN}", 404)
    await api.json("DELETE", f"/v1/agents/{agent['id']}")
    assert await listed("connected_to_agents_count_eq=0") == "12"


async def test_who_holds_a_block(api: Api) -> None:
    block = await api.block()
    one = await api.agent(block_ids=[block["id"]])
    await api.agent()
    two = await api.agent(block_ids=[block["id"]], tags=["t"])
    path = f"/v1/blocks/{block['id']}/agents"
    assert [agent["id"] for agent in await api.json("GET", path)] == [two["id"], one["id"]]
    after = await api.json("GET", f"{path}?after={two['id']}&order_by=created_at")
    assert [agent["id"] for agent in after] == [one["id"]]
    bare = await api.json("GET", path + "?include_relationships=tools")
    assert bare[0]["tags"] == []
    await api.json("GET", f"/v1/blocks/{UNKNOWN}/agents", 404)
    await api.json("DELETE", f"/v1/blocks/{block['id']}")
    assert (await api.json("GET", f"/v1/agents/{one['id']}"))["blocks"] == []


async def test_another_actors_blocks_are_not_there(api: Api) -> None:
    body = {"name": "b", "organization_id": "org-00000000-0000-4000-8000-000000000000"}
    other = {"user_id": (await api.json("POST", "/v1/admin/users/", json=body))["id"]}
    block = await api.block()
    agent = await api.agent()
    path = f"/v1/blocks/{block['id']}"
    for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/agents")):
        options = {"json": {"value": "x"}} if method == "PATCH" else {}
        await api.json(method, path + tail, 404, headers=other, **options)
    assert await api.json("GET", "/v1/blocks/", headers=other) == []
    await api.json("GET", f"/v1/blocks/?after={block['id']}", 404, headers=other)
    theirs = {"model": "runstead/demo", "block_ids": [block["id"]]}
    await api.json("POST", "/v1/agents/", 404, json=theirs, headers=other)
    held = f"/v1/agents/{agent['id']}/core-memory/blocks/attach/{block['id']}"
    await api.json("PATCH", held, 404, headers=other)
