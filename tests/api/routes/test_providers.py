"""Providers over HTTP: the server's as its clients see them, and those that an actor brings."""

from __future__ import annotations

from typing import Any

import pytest
from tests.api.conftest import Api, Serving
from tests.provider_server import ProviderServer

from runstead.settings import ProviderSettings, Secret

ADDRESS = "http://127.0.0.1:9/v1"
KEY = "sk-brought-0123456789"


def brought(server: ProviderServer | None = None, **fields: object) -> dict[str, Any]:
    """The request that brings a provider."""
    address = ADDRESS if server is None else server.base_url("chat")
    return {"name": "mine", "provider_type": "vllm", "api_key": KEY, "base_url": address, **fields}


async def test_those_of_the_server_are_listed_without_their_secrets(serving: Serving) -> None:
    """By name, in pages; neither a key nor an address is told. Changing them is refused, and says where it is done."""
    providers = tuple(
        ProviderSettings(name, "chat", ADDRESS, Secret("hushed")) for name in ("openai", "groq", "a")
    )
    async with serving(providers=providers) as api:
        listed = await api.json("GET", "/v1/providers/")
        assert [each["name"] for each in listed] == ["a", "groq", "openai"]
        assert "hushed" not in str(listed)
        assert ADDRESS not in str(listed)
        path = f"/v1/providers/{listed[1]['id']}"
        assert await api.json("GET", path) == listed[1]
        await api.json("GET", "/v1/providers/provider-x", 404)

        async def names(query: str) -> list[str]:
            return [each["name"] for each in await api.json("GET", f"/v1/providers/{query}")]

        assert await names("?name=groq") == ["groq"]
        assert await names("?provider_type=openai&name=openai") == ["openai"]
        assert await names(f"?limit=1&after={listed[0]['id']}") == ["groq"]
        assert await names(f"?limit=1&before={listed[2]['id']}") == ["groq"]
        await api.json("GET", "/v1/providers/?after=x", 404)
        for method, below, body in (
            ("DELETE", "", None),
            ("PATCH", "", {"api_key": KEY}),
            ("POST", "/check", None),
        ):
            refused = await api.json(method, path + below, 409, json=body)
            assert "environment" in refused["detail"]


async def test_a_provider_is_brought_read_and_taken_away(api: Api) -> None:
    """Its list is read at once; no answer ever holds its key, and the database does not hold it in the clear."""
    async with ProviderServer(models=("large", "tiny")) as server:
        server.key = KEY
        made = await api.json("POST", "/v1/providers/", json=brought(server, region="eu", api_version="2"))
        assert (made["name"], made["provider_type"], made["provider_category"]) == ("mine", "vllm", "byok")
        assert (made["base_url"], made["region"], made["api_version"]) == (server.base_url("chat"), "eu", "2")
        assert made["last_synced"] is not None
        assert {made[name] for name in ("api_key", "api_key_enc", "access_key", "access_key_enc")} == {None}
        assert await api.json("GET", f"/v1/providers/{made['id']}") == made
        names = [each["name"] for each in await api.json("GET", "/v1/providers/")]
        assert names == ["mine", "openai"]
        models = await api.json("GET", "/v1/models/?provider_category=byok")
        assert [(each["handle"], each["provider_type"]) for each in models] == [
            ("mine/large", "vllm"),
            ("mine/tiny", "vllm"),
        ]
        assert [each["provider_category"] for each in models] == ["byok", "byok"]
        assert KEY.encode() not in b"".join(each.read_bytes() for each in api.folder.glob("api.db*"))
        agent = await api.agent(model="mine/large")
        assert (agent["model"], agent["llm_config"]["provider_category"]) == ("mine/large", "byok")
        assert await api.json("DELETE", f"/v1/providers/{made['id']}")
        await api.json("GET", f"/v1/providers/{made['id']}", 404)
        assert await api.json("GET", "/v1/models/?provider_category=byok") == []
        refused = await api.json("POST", "/v1/agents/", 404, json={"model": "mine/large"})
        assert "POST /v1/providers/" in refused["detail"]


@pytest.mark.parametrize("name", ["openai", "openai-proxy", "runstead", "letta"])
async def test_the_servers_names_are_taken(api: Api, name: str) -> None:
    refused = await api.json("POST", "/v1/providers/", 409, json=brought(name=name))
    assert "another name" in refused["detail"]


async def test_a_name_is_brought_once(api: Api) -> None:
    await api.json("POST", "/v1/providers/", json=brought())
    refused = await api.json("POST", "/v1/providers/", 409, json=brought())
    assert "already" in refused["detail"]
    assert KEY not in str(refused)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"name": "a/b"}, 422),
        ({"name": ""}, 422),
        ({"api_key": "two\r\nx-admin: 1"}, 422),
        ({"base_url": "http://127.0.0.1/a b"}, 422),
        ({"base_url": "ftp://127.0.0.1/"}, 422),
        ({"base_url": "http://me:hushed@127.0.0.1/"}, 400),
        ({"base_url": "http://169.254.169.254/latest"}, 400),
        ({"base_url": "http://10.1.2.3:8000"}, 400),
        ({"base_url": "http://nobody.invalid"}, 400),
        ({"base_url": None}, 400),
        ({"provider_type": "bedrock"}, 501),
        ({"provider_type": "odd"}, 422),
        ({"odd": 1}, 422),
    ],
)
async def test_what_cannot_be_a_provider_is_refused(api: Api, fields: dict[str, Any], status: int) -> None:
    """Nothing of it is kept, and no answer repeats the key."""
    refused = await api.json("POST", "/v1/providers/", status, json=brought(**fields))
    assert KEY not in str(refused)
    assert "hushed" not in str(refused)
    assert [each["name"] for each in await api.json("GET", "/v1/providers/")] == ["openai"]
    if status == 400:
        checked = {name: value for name, value in brought(**fields).items() if name != "name"}
        await api.json("POST", "/v1/providers/check", 400, json=checked)


async def test_with_a_password_this_machine_is_inward_too(serving: Serving) -> None:
    """Who has the key is perhaps not who owns the machine; the operator says what may be reached."""
    headers = {"authorization": "Bearer word"}
    async with serving(server_password=Secret("word")) as api:
        refused = await api.json("POST", "/v1/providers/", 400, json=brought(), headers=headers)
        assert "RUNSTEAD_PROVIDER_ALLOW_HOSTS" in refused["detail"]


async def test_what_the_operator_allows_is_reached(serving: Serving) -> None:
    headers = {"authorization": "Bearer word"}
    async with serving(server_password=Secret("word"), provider_allow_hosts="127.0.0.1:9") as api:
        await api.json("POST", "/v1/providers/", json=brought(), headers=headers)


async def test_a_check_asks_the_provider(api: Api) -> None:
    """With a key that is given, or the one that is kept; what it says of a wrong one is the answer."""
    async with ProviderServer(models=("large",)) as server:
        server.key = KEY
        check = {name: value for name, value in brought(server).items() if name != "name"}
        assert "Valid" in (await api.json("POST", "/v1/providers/check", json=check))["message"]
        refused = await api.json(
            "POST", "/v1/providers/check", 401, json={**check, "api_key": "sk-wrong-999999"}
        )
        assert "did not accept the key" in refused["detail"]
        assert "sk-wrong" not in str(refused)

        made = await api.json("POST", "/v1/providers/", json=brought(server, api_key="sk-wrong-999999"))
        assert made["last_synced"] is None
        path = f"/v1/providers/{made['id']}"
        await api.json("POST", path + "/check", 401)
        await api.json("PATCH", path + "/refresh", 401)
        changed = await api.json("PATCH", path, json={"api_key": KEY})
        assert changed["base_url"] == server.base_url("chat")
        await api.json("POST", path + "/check")
        assert (await api.json("PATCH", path + "/refresh"))["last_synced"] is not None
        server.models = ("other",)
        await api.json("PATCH", path + "/refresh")
        models = await api.json("GET", "/v1/models/?provider_name=mine")
        assert [each["handle"] for each in models] == ["mine/other"]
    gone = await api.json("POST", path + "/check", 502)
    assert "cannot be reached" in gone["detail"]
    await api.json("PATCH", path, 400, json={"api_key": KEY, "base_url": "http://169.254.169.254"})


async def test_a_key_of_another_server_is_asked_for_again(serving: Serving) -> None:
    """The database moved without its secrets' key: said as such, not as an error of the provider's."""
    async with serving(secrets_key=Secret("a" * 40)) as api:
        made = await api.json("POST", "/v1/providers/", json=brought())
    async with serving(secrets_key=Secret("b" * 40)) as api:
        refused = await api.json("POST", f"/v1/providers/{made['id']}/check", 401)
        assert "give it again" in refused["detail"]
