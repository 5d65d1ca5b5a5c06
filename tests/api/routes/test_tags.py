"""The tags on agents, listed."""

from __future__ import annotations

from tests.api.conftest import Api


async def test_tags_are_listed_once_and_in_order(api: Api) -> None:
    """In alphabetical order, in pages by tag, filtered by words."""
    for tags in (["b", "alpha"], ["b", "Beta"], []):
        await api.agent(tags=tags)

    async def listed(query: str = "") -> list[str]:
        return await api.json("GET", f"/v1/tags/{query}")

    assert await listed() == ["Beta", "alpha", "b"]
    assert await listed("?order=desc") == ["b", "alpha", "Beta"]
    assert await listed("?limit=1&after=Beta") == ["alpha"]
    assert await listed("?before=b&limit=1") == ["alpha"]
    assert await listed("?order=desc&after=b") == ["alpha", "Beta"]
    assert await listed("?query_text=BET") == ["Beta"]
    assert await listed("?name=alp") == ["alpha"]
    await api.json("GET", "/v1/tags/?limit=0", 422)
