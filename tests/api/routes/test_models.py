"""Models over HTTP."""

from __future__ import annotations

from tests.api.conftest import Api


async def test_models_are_those_of_the_gateway(api: Api) -> None:
    large, demo = await api.json("GET", "/v1/models/")
    assert (large["handle"], large["context_window"], large["max_tokens"]) == (
        "openai/large",
        200_000,
        8_000,
    )
    assert (large["provider_name"], large["provider_type"], large["model_type"]) == (
        "openai",
        "openai",
        "llm",
    )
    assert demo["display_name"] == "demo (demonstration)"


async def test_filters(api: Api) -> None:
    async def listed(query: str) -> list[str]:
        return [model["handle"] for model in await api.json("GET", "/v1/models/?" + query)]

    assert await listed("provider_name=openai") == ["openai/large"]
    assert await listed("provider_type=openai") == ["openai/large"]
    assert await listed("provider_type=letta") == ["runstead/demo"]
    assert await listed("provider_category=byok") == []
    assert len(await listed("provider_category=byok&provider_category=base")) == 2
    await api.json("GET", "/v1/models/?provider_category=odd", 422)


async def test_embedding_models(api: Api) -> None:
    (model,) = await api.json("GET", "/v1/models/embedding")
    assert (model["handle"], model["embedding_dim"]) == ("openai/embed", 768)
