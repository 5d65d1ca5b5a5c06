"""Archives and what is in them: made, filled, given to agents, searched and emptied."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

ABSENT = "archive-00000000-0000-4000-8000-00000000dead"


async def archive(api: Api, name: str = "notes", **fields: Any) -> dict[str, Any]:
    """An archive, made a second after the last."""
    api.clock.advance(1)
    return await api.json("POST", "/v1/archives/", json={"name": name, **fields})


async def put(api: Api, archive_id: str, text: str, **fields: Any) -> dict[str, Any]:
    """A passage, put there a second after the last."""
    api.clock.advance(1)
    body = {"text": text, **fields}
    return await api.json("POST", f"/v1/archives/{archive_id}/passages", json=body)


async def test_an_archive_is_made_read_changed_and_deleted(api: Api) -> None:
    """What is given is changed; a deleted one is gone with its passages."""
    made = await archive(api, description="of Ada", embedding="openai/embed")
    path = f"/v1/archives/{made['id']}"

    assert (made["name"], made["description"]) == ("notes", "of Ada")
    assert await api.json("GET", path) == made
    changed = await api.json("PATCH", path, json={"name": "more"})
    assert (changed["name"], changed["description"]) == ("more", "of Ada")
    changed = await api.json("PATCH", path, json={"description": None})
    assert (changed["name"], changed["description"]) == ("more", None)
    passage = await put(api, made["id"], "alpha")
    assert (await api.client.delete(path)).status_code == 204
    await api.json("GET", path, 404)
    await api.json("PATCH", path, 404, json={"name": "x"})
    await api.json("DELETE", path, 404)
    found = await api.json("POST", "/v1/passages/search", json={"query": "alpha"})
    assert found == []
    await api.json("DELETE", f"{path}/passages/{passage['id']}", 404)


async def test_archives_are_listed(api: Api) -> None:
    """By name, by agent, in pages."""
    agent = await api.agent()
    made = [await archive(api, name) for name in ("a", "b", "c")]
    ids = [each["id"] for each in made]
    await api.json("PATCH", f"/v1/agents/{agent['id']}/archives/attach/{ids[1]}")

    assert [a["id"] for a in await api.json("GET", "/v1/archives/")] == ids[::-1]
    assert [a["id"] for a in await api.json("GET", "/v1/archives/?name=a")] == ids[:1]
    assert [a["id"] for a in await api.json("GET", f"/v1/archives/?agent_id={agent['id']}")] == ids[1:2]
    assert [a["id"] for a in await api.json("GET", f"/v1/archives/?limit=1&after={ids[2]}")] == ids[1:2]


async def test_agents_hold_archives(api: Api) -> None:
    """Given twice is given once; what is taken away stays; what is not there is 404."""
    agent, made = await api.agent(), await archive(api)
    path = f"/v1/agents/{agent['id']}/archives"
    for _ in range(2):
        assert await api.json("PATCH", f"{path}/attach/{made['id']}") is None
    held = await api.json("GET", f"/v1/archives/{made['id']}/agents")
    assert [each["id"] for each in held] == [agent["id"]]
    assert await api.json("PATCH", f"{path}/detach/{made['id']}") is None
    assert await api.json("GET", f"/v1/archives/{made['id']}/agents") == []
    await api.json("PATCH", f"{path}/attach/{ABSENT}", 404)
    await api.json("PATCH", f"{path}/detach/{ABSENT}", 404)
    other = f"/v1/agents/{ABSENT.replace('archive', 'agent')}/archives"
    await api.json("PATCH", f"{other}/attach/{made['id']}", 404)


async def test_passages_are_found_by_their_words(api: Api) -> None:
    """The one that fits best first; letter case and accents aside; nothing of the query is read as a command."""
    made = await archive(api)
    await put(api, made["id"], "Ada likes Café au lait and long walks.")
    await put(api, made["id"], "Bob likes tea.")
    await put(api, made["id"], "東京で会議がある")

    async def found(query: str | None, **more: object) -> list[str]:
        answer = await api.json("POST", "/v1/passages/search", json={"query": query, **more})
        return [each["passage"]["text"][:3] for each in answer]

    assert await found("who likes cafe") == ["Ada", "Bob"]
    assert await found("TEA") == ["Bob"]
    assert await found("会議") == ["東京で"]
    assert await found(None) == ["東京で", "Bob", "Ada"]
    assert await found("likes", limit=1) == ["Bob"]
    for trick in ('"', "likes OR NOT", "NEAR(", "text:tea*", "'; DROP TABLE passages", "%", "(", "tea AND"):
        assert "東京で" not in await found(trick)
    assert await found("xylophone") == []


async def test_passages_are_filtered(api: Api) -> None:
    """By tags, any or all; by time; by archive."""
    made, other = await archive(api), await archive(api)
    old = "2020-01-02T00:00:00Z"
    await put(api, made["id"], "alpha one", tags=["a", "b"], created_at=old)
    await put(api, made["id"], "alpha two", tags=["b"], metadata={"page": 2})
    await put(api, other["id"], "alpha three", tags=["a"])

    async def found(**filters: object) -> set[str]:
        answer = await api.json("POST", "/v1/passages/search", json={"query": "alpha", **filters})
        return {each["passage"]["text"].removeprefix("alpha ") for each in answer}

    assert await found(tags=["a", "b"]) == {"one", "two", "three"}
    assert await found(tags=["a", "b"], tag_match_mode="all") == {"one"}
    assert await found(end_date="2021-01-01T00:00:00Z") == {"one"}
    assert await found(start_date="2021-01-01T00:00:00Z", archive_id=made["id"]) == {"two"}
    await api.json("POST", "/v1/passages/search", 404, json={"archive_id": ABSENT})
    await api.json("POST", "/v1/passages/search", 404, json={"agent_id": "agent-x"})


async def test_a_batch_is_put_whole(api: Api) -> None:
    """All of it, in order; nothing, where one is malformed."""
    made = await archive(api)
    path = f"/v1/archives/{made['id']}/passages/batch"
    body = {"passages": [{"text": "one", "metadata": {"n": 1}}, {"text": "two", "tags": ["x", "x"]}]}

    stored = await api.json("POST", path, json=body)

    assert [each["text"] for each in stored] == ["one", "two"]
    assert [each["metadata"] for each in stored] == [{"n": 1}, {}]
    assert stored[1]["tags"] == ["x"]
    await api.json("POST", path, 422, json={"passages": [{"text": "three"}, {"text": ""}]})
    assert len(await api.json("POST", "/v1/passages/search", json={})) == 2
    assert await api.json("POST", path, json={"passages": []}) == []
    gone = await api.client.delete(f"/v1/archives/{made['id']}/passages/{stored[0]['id']}")
    assert gone.status_code == 204
    assert len(await api.json("POST", "/v1/passages/search", json={})) == 1
    await api.json("POST", f"/v1/archives/{ABSENT}/passages", 404, json={"text": "x"})
