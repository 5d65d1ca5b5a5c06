"""Identities: made, changed by id and by key, on agents and blocks, and gone without them."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

ABSENT = "identity-00000000-0000-4000-8000-00000000dead"


async def identity(api: Api, key: str = "ada", status: int = 200, **fields: Any) -> dict[str, Any]:
    """An identity, made a second after the last."""
    api.clock.advance(1)
    body = {"identifier_key": key, "name": key.title(), "identity_type": "user", **fields}
    return await api.json("POST", "/v1/identities/", status, json=body)


async def test_an_identity_is_made_read_changed_and_deleted(api: Api) -> None:
    """What is given is changed; a deleted one is gone, its agents and blocks stay."""
    agent, block = await api.agent(), await api.block()
    age = {"key": "age", "value": 36, "type": "number"}
    made = await identity(api, agent_ids=[agent["id"]], block_ids=[block["id"]], properties=[age])
    path = f"/v1/identities/{made['id']}"

    assert (made["agent_ids"], made["block_ids"]) == ([agent["id"]], [block["id"]])
    assert made["properties"] == [age]
    assert await api.json("GET", path) == made
    changed = await api.json("PATCH", path, json={"name": "Countess", "agent_ids": []})
    assert (changed["name"], changed["identifier_key"], changed["agent_ids"]) == ("Countess", "ada", [])
    assert changed["block_ids"] == [block["id"]]
    assert await api.json("DELETE", path) is None
    for method, body in (("GET", None), ("PATCH", {"name": "x"}), ("DELETE", None)):
        await api.json(method, path, 404, json=body)
    await api.json("GET", f"/v1/agents/{agent['id']}")
    await api.json("GET", f"/v1/blocks/{block['id']}")


async def test_a_key_is_one_identitys(api: Api) -> None:
    """Taken: 409; put again: that one is changed."""
    made, other = await identity(api), await identity(api, "bob")
    await identity(api, status=409)
    await api.json("PATCH", f"/v1/identities/{other['id']}", 409, json={"identifier_key": "ada"})

    body = {"identifier_key": "ada", "name": "Lovelace", "identity_type": "other"}
    put = await api.json("PUT", "/v1/identities/", json=body)
    assert (put["id"], put["name"], put["identity_type"]) == (made["id"], "Lovelace", "other")
    new = await api.json("PUT", "/v1/identities/", json={**body, "identifier_key": "eve"})
    assert new["id"] not in {made["id"], other["id"]}
    assert await api.json("GET", "/v1/identities/count") == 3


async def test_identities_are_listed(api: Api) -> None:
    """By name, key, type and project, in pages."""
    made = [await identity(api, key, project_id="p-1" if key == "b" else None) for key in ("a", "b", "c")]
    await api.json("PATCH", f"/v1/identities/{made[2]['id']}", json={"identity_type": "org"})
    ids = [each["id"] for each in made]

    async def listed(query: str = "") -> list[str]:
        return [each["id"] for each in await api.json("GET", f"/v1/identities/{query}")]

    assert await listed() == ids[::-1]
    assert await listed("?identifier_key=a") == ids[:1]
    assert await listed("?name=B") == ids[1:2]
    assert await listed("?identity_type=org") == ids[2:]
    assert await listed("?project_id=p-1") == ids[1:2]
    assert await listed(f"?limit=1&after={ids[2]}") == ids[1:2]


async def test_properties_are_written_one_by_one(api: Api) -> None:
    """The named ones are replaced, others stay."""
    old = [{"key": "a", "value": 1, "type": "number"}, {"key": "b", "value": "x", "type": "string"}]
    made = await identity(api, properties=old)
    new = [{"key": "b", "value": {"c": [True]}, "type": "json"}]

    assert await api.json("PUT", f"/v1/identities/{made['id']}/properties", json=new) is None

    found = await api.json("GET", f"/v1/identities/{made['id']}")
    assert found["properties"] == [old[0], new[0]]
    await api.json("PUT", f"/v1/identities/{ABSENT}/properties", 404, json=new)


async def test_agents_and_blocks_are_for_identities(api: Api) -> None:
    """Given and taken from either side; found by identity and by its key."""
    made, agent, block = await identity(api), await api.agent(), await api.block()
    path = f"/v1/identities/{made['id']}"
    for kind, one in (("agents", agent), ("blocks", block)):
        for _ in range(2):
            attach = f"/v1/{kind}/{one['id']}/identities/attach/{made['id']}"
            assert await api.json("PATCH", attach) is None
        assert [each["id"] for each in await api.json("GET", f"{path}/{kind}")] == [one["id"]]
    for query in (f"identity_id={made['id']}", "identifier_keys=ada&identifier_keys=eve"):
        assert [a["id"] for a in await api.json("GET", f"/v1/agents/?{query}")] == [agent["id"]]
    assert await api.json("GET", "/v1/agents/?identifier_keys=eve") == []
    state = await api.json("GET", f"/v1/agents/{agent['id']}")
    assert state["identity_ids"] == [made["id"]]
    assert [(each["name"], each["agent_ids"]) for each in state["identities"]] == [("Ada", [agent["id"]])]
    assert (await api.json("GET", "/v1/agents/"))[0]["identities"] == state["identities"]
    for kind, one in (("agents", agent), ("blocks", block)):
        assert await api.json("PATCH", f"/v1/{kind}/{one['id']}/identities/detach/{made['id']}") is None
        assert await api.json("GET", f"{path}/{kind}") == []
        await api.json("PATCH", f"/v1/{kind}/{one['id']}/identities/attach/{ABSENT}", 404)
    await identity(api, "eve", 404, agent_ids=["agent-x"])
    await identity(api, "eve", 404, block_ids=["block-x"])
    assert await api.json("GET", "/v1/identities/count") == 1
