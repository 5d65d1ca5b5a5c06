"""The providers that a server was set up with, as its clients see them."""

from __future__ import annotations

from tests.api.conftest import Serving

from runstead.settings import ProviderSettings, Secret

ADDRESS = "http://127.0.0.1:9/v1"


async def test_providers_are_listed_without_their_secrets(serving: Serving) -> None:
    """By name, in pages; neither a key nor an address is told. Changing them is 501, and says where it is done."""
    providers = tuple(
        ProviderSettings(name, "chat", ADDRESS, Secret("hushed")) for name in ("openai", "groq", "a")
    )
    async with serving(providers=providers) as api:
        listed = await api.json("GET", "/v1/providers/")
        assert [each["name"] for each in listed] == ["a", "groq", "openai"]
        assert "hushed" not in str(listed)
        assert ADDRESS not in str(listed)
        assert await api.json("GET", f"/v1/providers/{listed[1]['id']}") == listed[1]
        await api.json("GET", "/v1/providers/provider-x", 404)

        async def names(query: str) -> list[str]:
            return [each["name"] for each in await api.json("GET", f"/v1/providers/{query}")]

        assert await names("?name=groq") == ["groq"]
        assert await names("?provider_type=openai&name=openai") == ["openai"]
        assert await names(f"?limit=1&after={listed[0]['id']}") == ["groq"]
        assert await names(f"?limit=1&before={listed[2]['id']}") == ["groq"]
        await api.json("GET", "/v1/providers/?after=x", 404)
        refused = await api.json("POST", "/v1/providers/", 501, json={})
        assert "environment" in refused["detail"]
