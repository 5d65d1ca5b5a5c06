"""An agent's archival memory, as its clients see it."""

from __future__ import annotations

from typing import Any

from tests.api.conftest import Api

ABSENT = "passage-00000000-0000-4000-8000-00000000dead"


async def remember(api: Api, agent_id: str, text: str, **fields: Any) -> dict[str, Any]:
    """A passage in an agent's memory, a second after the last."""
    api.clock.advance(1)
    body = {"text": text, **fields}
    (stored,) = await api.json("POST", f"/v1/agents/{agent_id}/archival-memory", json=body)
    return stored


async def test_the_first_passage_makes_the_archive(api: Api) -> None:
    """One archive, whatever is written down; it is the agent's."""
    agent = await api.agent(name="Ada's")
    first, second = await remember(api, agent["id"], "one"), await remember(api, agent["id"], "two")

    (archive,) = await api.json("GET", f"/v1/archives/?agent_id={agent['id']}")
    assert {first["archive_id"], second["archive_id"]} == {archive["id"]}
    assert archive["name"] == "Ada's's archive"


async def test_an_agent_writes_into_its_first_archive(api: Api) -> None:
    """And reads all that it holds."""
    agent = await api.agent()
    given = [await api.json("POST", "/v1/archives/", json={"name": name}) for name in "ab"]
    for archive in given:
        api.clock.advance(1)
        await api.json("PATCH", f"/v1/agents/{agent['id']}/archives/attach/{archive['id']}")
    stored = await remember(api, agent["id"], "alpha")
    shared = {"text": "alpha too"}
    await api.json("POST", f"/v1/archives/{given[1]['id']}/passages", json=shared)

    assert stored["archive_id"] == given[0]["id"]
    found = await api.json("GET", f"/v1/agents/{agent['id']}/archival-memory/search?query=alpha")
    assert found["count"] == 2


async def test_passages_are_listed_in_pages(api: Api) -> None:
    """Oldest first unless asked otherwise; `search` keeps what holds a text."""
    agent = await api.agent()
    ids = [(await remember(api, agent["id"], f"word {n}"))["id"] for n in range(3)]
    path = f"/v1/agents/{agent['id']}/archival-memory"

    async def listed(query: str) -> list[str]:
        return [each["id"] for each in await api.json("GET", f"{path}{query}")]

    assert await listed("") == ids
    assert await listed("?ascending=false") == ids[::-1]
    assert await listed(f"?after={ids[0]}&limit=1") == ids[1:2]
    assert await listed(f"?before={ids[2]}") == ids[:2]
    assert await listed("?search=ORD 1") == ids[1:2]
    await api.json("GET", f"{path}?after={ABSENT}", 404)


async def test_a_search_answers_results_and_their_count(api: Api) -> None:
    """By words, tags and time."""
    agent = await api.agent()
    await remember(api, agent["id"], "tea in the morning", tags=["drinks"])
    await remember(api, agent["id"], "tea at night", tags=["drinks", "late"])
    path = f"/v1/agents/{agent['id']}/archival-memory/search"

    found = await api.json("GET", f"{path}?query=tea&tags=drinks&tags=late&tag_match_mode=all")
    assert [r["content"] for r in found["results"]] == ["tea at night"]
    assert found["results"][0]["tags"] == ["drinks", "late"]
    assert (await api.json("GET", f"{path}?query=tea&top_k=1"))["count"] == 1
    assert (await api.json("GET", f"{path}?query=tea&end_datetime=2001-01-01"))["count"] == 0
    await api.json("GET", path, 422)


async def test_what_is_taken_out_is_gone(api: Api) -> None:
    """200 null; only what is in the agent's memory can be taken out of it."""
    agent, other = await api.agent(), await api.agent()
    stored = await remember(api, agent["id"], "alpha")

    await api.json("DELETE", f"/v1/agents/{other['id']}/archival-memory/{stored['id']}", 404)
    path = f"/v1/agents/{agent['id']}/archival-memory/{stored['id']}"
    assert await api.json("DELETE", path) is None
    await api.json("DELETE", path, 404)
    found = await api.json("GET", f"/v1/agents/{agent['id']}/archival-memory/search?query=alpha")
    assert found == {"results": [], "count": 0}
