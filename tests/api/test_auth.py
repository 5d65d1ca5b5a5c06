"""Who calls, as the headers say it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.datastructures import Headers
from tests.api.conftest import Api, Serving

from runstead.api import auth
from runstead.api.auth import BELIEVED_S, check_host, is_sdk1
from runstead.ids import DEFAULT_USER, UserId
from runstead.settings import Secret
from runstead.store import keys

UNKNOWN = "user-11111111-1111-4111-8111-111111111111"


async def _key(api: Api, user_id: str = DEFAULT_USER, *, admin: bool = False) -> str:
    """A key, known to the server."""
    _, text = await api.db.write(
        keys.create_key, UserId(user_id), "k", admin=admin, ids=api.ids, now=api.clock.now()
    )
    api.clock.advance(BELIEVED_S + 1)
    return text


async def _user(api: Api, **options: Any) -> str:
    body = {"name": "b", "organization_id": "org-00000000-0000-4000-8000-000000000000"}
    return (await api.json("POST", "/v1/admin/users/", json=body, **options))["id"]


async def test_open_server_takes_everyone_as_the_default_user(api: Api) -> None:
    agent = await api.agent()
    assert agent["created_by_id"] == DEFAULT_USER


async def test_open_server_is_not_driven_under_a_strange_name(api: Api) -> None:
    for host in ("evil.example", "evil.example:8283", "localhost.evil.example"):
        answer = await api.json("GET", "/v1/agents/", 403, headers={"host": host})
        assert "open to this machine only" in answer["detail"]
    for host in ("127.0.0.1:8283", "[::1]:8283", "[::1]", "LocalHost", "app.localhost:1"):
        await api.json("GET", "/v1/agents/", headers={"host": host})


async def test_open_server_is_not_driven_by_pages_of_other_sites(serving: Serving) -> None:
    """A browser sends a plain POST of any page without asking; only the origin tells whose page it is."""
    async with serving(cors_origins="https://App.example/, *") as api:
        for origin in (
            "https://evil.example",
            "null",
            "http://localhost.evil.example:8283",
            "https://app.example:1",
        ):
            answer = await api.json("POST", "/v1/agents/", 403, headers={"origin": origin})
            assert "RUNSTEAD_CORS_ORIGINS" in answer["detail"]
        for origin in (
            "https://app.example",
            "http://localhost:3000",
            "http://[::1]:5173",
            "http://a.localhost",
        ):
            await api.json("GET", "/v1/agents/", headers={"origin": origin})


async def test_with_a_key_the_page_s_site_does_not_matter(serving: Serving) -> None:
    async with serving(server_password=Secret("pw")) as api:
        headers = {"origin": "https://evil.example", "authorization": "Bearer pw"}
        await api.json("GET", "/v1/agents/", headers=headers)


async def test_who_speaks_an_older_http_names_no_host() -> None:
    check_host(None)


async def test_made_up_keys_do_not_fill_the_memory(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "CACHED_MAX", 2)
    async with serving(server_password=Secret("pw")) as api:
        for number in range(5):
            await api.json("GET", "/v1/agents/", 401, headers={"authorization": f"Bearer {number}"})
        await api.json("GET", "/v1/agents/", headers={"authorization": "Bearer pw"})


async def test_named_user_acts_for_itself(api: Api) -> None:
    user = await _user(api)
    mine = await api.agent()
    theirs = await api.json("POST", "/v1/agents/", json={"model": "runstead/demo"}, headers={"user_id": user})
    assert theirs["created_by_id"] == user
    listed = await api.json("GET", "/v1/agents/", headers={"user_id": user})
    assert [each["id"] for each in listed] == [theirs["id"]]
    await api.json("GET", f"/v1/agents/{mine['id']}", 404, headers={"user_id": user})
    await api.json("PATCH", f"/v1/agents/{mine['id']}", 404, json={}, headers={"user_id": user})
    await api.json("DELETE", f"/v1/agents/{mine['id']}", 404, headers={"user_id": user})


async def test_unknown_and_malformed_users(api: Api) -> None:
    unknown = await api.json("GET", "/v1/agents/", 404, headers={"user_id": UNKNOWN})
    assert unknown == {"detail": f"There is no user {UNKNOWN}."}
    malformed = await api.json("GET", "/v1/agents/", 400, headers={"user_id": "bogus"})
    assert malformed["detail"] == (
        "INVALID_ARGUMENT: Invalid user ID format: bogus. Expected format: 'user-<uuid4>'"
    )


async def test_password_is_asked_for_in_both_spellings(serving: Serving) -> None:
    async with serving(server_password=Secret("pw")) as api:
        for headers in (
            {},
            {"authorization": "Bearer wrong"},
            {"authorization": "Basic pw"},
            {"x-bare-password": "pw"},
        ):
            answer = await api.client.get("/v1/agents/", headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
        for headers in ({"authorization": "Bearer pw"}, {"x-bare-password": "password pw"}):
            await api.json("GET", "/v1/agents/", headers={**headers, "host": "away.example"})
            await api.json("GET", "/v1/admin/users/", headers=headers)


async def test_health_is_open_to_all(serving: Serving) -> None:
    async with serving(server_password=Secret("pw")) as api:
        for path in ("/v1/health", "/v1/health/", "/latest/health/", "/v1/ready", "/latest/ready/"):
            await api.json("GET", path)


async def test_a_key_acts_for_its_user_only(api: Api) -> None:
    user = await _user(api)
    headers = {"authorization": f"Bearer {await _key(api, user)}"}
    made = await api.json("POST", "/v1/agents/", json={"model": "runstead/demo"}, headers=headers)
    assert made["created_by_id"] == user
    await api.json("GET", "/v1/agents/", headers={**headers, "user_id": user})
    await api.json("GET", "/v1/agents/", 403, headers={**headers, "user_id": DEFAULT_USER})
    await api.json("GET", "/v1/agents/", 403, headers={**headers, "user_id": UNKNOWN})
    await api.json("GET", "/v1/admin/users/", 403, headers=headers)
    await api.json("GET", "/v1/agents/", 401)
    await api.json("GET", "/v1/agents/", 401, headers={"authorization": "Bearer rs-unknown"})


async def test_an_admin_key_acts_for_others(api: Api) -> None:
    user = await _user(api)
    headers = {"authorization": f"Bearer {await _key(api, admin=True)}"}
    await api.json("GET", "/v1/agents/", headers={**headers, "user_id": user})
    await api.json("GET", "/v1/agents/", 404, headers={**headers, "user_id": UNKNOWN})


async def test_a_revoked_key_ends_within_the_time_that_it_is_believed(api: Api) -> None:
    await _key(api)
    headers = {"authorization": f"Bearer {await _key(api)}"}
    await api.json("GET", "/v1/agents/", headers=headers)
    stored = (await api.db.read(keys.list_keys))[1]
    assert stored.last_used_at is not None
    await api.db.write(keys.revoke_key, stored.id, api.clock.now())
    await api.json("GET", "/v1/agents/", headers=headers)
    api.clock.advance(BELIEVED_S + 1)
    await api.json("GET", "/v1/agents/", 401, headers=headers)


async def test_a_deleted_user_ends_at_once(api: Api) -> None:
    user = await _user(api)
    await api.json("GET", "/v1/agents/", headers={"user_id": user})
    await api.json("DELETE", "/v1/admin/users/", params={"user_id": user})
    await api.json("GET", "/v1/agents/", 404, headers={"user_id": user})


async def test_a_deleted_users_keys_end(api: Api) -> None:
    user = await _user(api)
    admin = {"authorization": f"Bearer {await _key(api, admin=True)}"}
    headers = {"authorization": f"Bearer {await _key(api, user)}"}
    await api.json("GET", "/v1/agents/", headers=headers)
    await api.json("DELETE", "/v1/admin/users/", params={"user_id": user}, headers=admin)
    await api.json("GET", "/v1/agents/", 401, headers=headers)
    await api.json("GET", "/v1/agents/", 401, headers={**headers, "user_id": user})


async def test_without_keys_a_server_for_all_is_closed(serving: Serving) -> None:
    async with serving(host="0.0.0.0") as api:
        answer = await api.json("GET", "/v1/agents/", 401)
        assert "runstead keys create" in answer["detail"]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, True),
        ({"user-agent": "Letta/Python 1.12.1", "x-stainless-package-version": "1.12.1"}, True),
        ({"user-agent": "letta-client/1.0.0"}, True),
        ({"user-agent": "@letta-ai/letta-client/1.3.1"}, True),
        ({"user-agent": "letta-client/0.1.324"}, False),
        ({"user-agent": "curl/8.5"}, False),
        ({"user-agent": "not-letta-client/1.0"}, False),
    ],
)
async def test_who_is_a_1_0_sdk(headers: dict[str, str], *, expected: bool) -> None:
    assert is_sdk1(Headers(headers)) is expected
