"""Archival memory by meaning, in a whole server on each store: found at once by words, soon by meaning, and alike by all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.provider_server import ProviderServer, embed_colours
from tests.world import WAIT_S, Place, World, wait_for, world

from runstead.ids import DEFAULT_ORGANIZATION
from runstead.llm.scripted import ScriptedGateway, calls, says
from runstead.memory import archival
from runstead.settings import ProviderSettings, Settings

MODEL = "it/text-embed"
ROSES, SEA, LAWN = "crimson roses", "the navy at sea", "an olive lawn"


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search waits for what its words mean: a slow machine would find by words alone, which is another test's."""
    monkeypatch.setattr(archival, "QUESTION_S", WAIT_S)


@asynccontextmanager
async def serving(
    folder: Path, store_url: str, server: ProviderServer, gateway: ScriptedGateway | None = None, **more: Any
) -> AsyncGenerator[World]:
    """A server whose embedding model is asked at `server`."""
    provider = ProviderSettings("it", "chat", server.base_url("chat"))
    settings = Settings(drain_s=0.0, reconcile_s=0.05, providers=(provider,), **more)
    place = Place(store_url if store_url.startswith("postgres") else "")
    async with world(folder, gateway or ScriptedGateway(), settings=settings, place=place) as made:
        yield made


async def write(w: World, agent: str, *texts: str, **more: object) -> None:
    """Write passages into an agent's memory."""
    for text in texts:
        path = f"/v1/agents/{agent}/archival-memory"
        answer = await w.client.post(path, json={"text": text, **more})
        assert answer.status_code == 200, answer.text


async def search(w: World, agent: str, words: str, **more: Any) -> list[str]:
    """What the agent's search finds."""
    path = f"/v1/agents/{agent}/archival-memory/search"
    found = await w.client.get(path, params={"query": words, "top_k": 3, **more})
    assert found.status_code == 200, found.text
    return [each["content"] for each in found.json()["results"]]


async def search_all(w: World, body: Mapping[str, object], **more: Any) -> list[str]:
    """What the search over all archives finds."""
    found = await w.client.post("/v1/passages/search", json=body, **more)
    assert found.status_code == 200, found.text
    return [each["passage"]["text"] for each in found.json()]


async def meant(w: World, agent: str, words: str, text: str) -> None:
    """Wait until a search whose words stand in no passage finds this text first."""

    async def found() -> bool:
        return (await search(w, agent, words))[:1] == [text]

    await wait_for(found, f"{text!r} for {words!r}")


@pytest.mark.slow
async def test_it_is_found_by_words_and_by_meaning(tmp_path: Path, store_url: str) -> None:
    """The tool, the agent's search and the search over all find the same, and both ways count."""
    script = [calls(("archival_memory_search", orjson.dumps({"query": "azure"}).decode())), says("Seen.")]
    async with (
        ProviderServer() as server,
        serving(tmp_path, store_url, server, ScriptedGateway(script)) as w,
    ):
        agent = await w.agent(embedding=MODEL, tools=["archival_memory_search"])
        await write(w, agent, ROSES, SEA, LAWN)
        await meant(w, agent, "azure", SEA)

        await meant(w, agent, "scarlet", ROSES)
        # By words alone the lawn is found, by meaning the sea: what both find comes first.
        await write(w, agent, "a blue lawn")
        await meant(w, agent, "azure lawn", "a blue lawn")
        found = await search(w, agent, "azure lawn")
        assert found == await search_all(w, {"query": "azure lawn", "agent_id": agent, "limit": 3})
        assert await search(w, agent, "scarlet", end_datetime="2001-01-01") == []
        told = (await w.say(agent, "look")).json()["messages"]
        returned = next(each for each in told if each["message_type"] == "tool_return_message")
        assert SEA in returned["tool_return"]
        (archive,) = await w.get("/v1/archives/")
        assert archive["embedding_config"]["handle"] == MODEL


@pytest.mark.slow
async def test_a_model_that_is_away_stops_nothing(tmp_path: Path, store_url: str) -> None:
    """Passages are written and found by their words; a server that starts when the model is back makes the vectors."""
    async with ProviderServer() as server:

        def away(text: str) -> list[float]:
            raise ConnectionError(text)

        server.embed = away
        async with serving(tmp_path, store_url, server, embedding_model=MODEL) as w:
            agent = await w.agent()
            await write(w, agent, ROSES, SEA)
            assert await search(w, agent, "roses") == [ROSES]
            assert await search(w, agent, "azure") == []
        server.embed = embed_colours
        async with serving(tmp_path, store_url, server, embedding_model=MODEL) as w:
            await meant(w, agent, "azure", SEA)
            # Another model, whose vectors are longer: nothing breaks meanwhile, and soon all is there again.
            server.embed = lambda text: [*embed_colours(text), 0.5, 0.5]
            await w.client.patch(f"/v1/agents/{agent}", json={"embedding": "it/longer-embed"})
            # By words alone the roses are all that is found, by meaning the rest comes after them.
            assert (await search(w, agent, "roses"))[:1] == [ROSES]
            await meant(w, agent, "azure", SEA)


@pytest.mark.slow
async def test_actors_share_a_model_and_nothing_else(tmp_path: Path, store_url: str) -> None:
    """What lies nearest of all is not found by who may not see it."""
    async with ProviderServer() as server, serving(tmp_path, store_url, server, embedding_model=MODEL) as w:
        made = (
            await w.client.post(
                "/v1/admin/users/", json={"name": "B", "organization_id": DEFAULT_ORGANIZATION}
            )
        ).json()
        mine, body = await w.agent(), {"query": "azure", "tags": ["sea"]}
        await write(w, mine, SEA, tags=["sea"])
        await meant(w, mine, "azure", SEA)

        assert await search_all(w, body) == [SEA]
        assert await search_all(w, body, headers={"user_id": made["id"]}) == []
