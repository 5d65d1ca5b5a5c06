"""Users and organizations over HTTP."""

from __future__ import annotations

from tests.api.conftest import Api

from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER

UNKNOWN = "user-11111111-1111-4111-8111-111111111111"


async def test_users(api: Api) -> None:
    api.clock.advance(1)
    body = {"name": "b", "organization_id": DEFAULT_ORGANIZATION}
    user = await api.json("POST", "/v1/admin/users/", json=body)
    listed = await api.json("GET", "/v1/admin/users/")
    assert [each["id"] for each in listed] == [DEFAULT_USER, user["id"]]
    assert await api.json("GET", f"/v1/admin/users/?after={DEFAULT_USER}&limit=1") == [user]
    org = await api.json("POST", "/v1/admin/orgs/", json={"name": "o"})
    change = {"id": user["id"], "name": "c", "organization_id": org["id"]}
    changed = await api.json("PUT", "/v1/admin/users/", json=change)
    assert (changed["name"], changed["organization_id"]) == ("c", org["id"])
    api.clock.advance(1)
    same = await api.json("PUT", "/v1/admin/users/", json={"id": user["id"]})
    assert (same["name"], same["organization_id"]) == ("c", org["id"])
    gone = await api.json("DELETE", "/v1/admin/users/", params={"user_id": user["id"]})
    assert gone["is_deleted"] is True
    assert len(await api.json("GET", "/v1/admin/users/")) == 1
    await api.json("DELETE", "/v1/admin/users/", 404, params={"user_id": user["id"]})


async def test_organizations(api: Api) -> None:
    api.clock.advance(1)
    org = await api.json("POST", "/v1/admin/orgs/", json={})
    assert org["privileged_tools"] is False
    body = {"name": "n", "privileged_tools": True}
    assert await api.json("PATCH", f"/v1/admin/orgs/?org_id={org['id']}", json={}) == org
    changed = await api.json("PATCH", f"/v1/admin/orgs/?org_id={org['id']}", json=body)
    assert changed == {**org, **body}
    listed = await api.json("GET", "/v1/admin/orgs/")
    assert [each["id"] for each in listed] == [DEFAULT_ORGANIZATION, org["id"]]
    user = {"name": "b", "organization_id": org["id"]}
    await api.json("POST", "/v1/admin/users/", json=user)
    await api.json("DELETE", f"/v1/admin/orgs/?org_id={org['id']}", 409)
    empty = await api.json("POST", "/v1/admin/orgs/", json={"name": "e"})
    await api.json("DELETE", f"/v1/admin/orgs/?org_id={empty['id']}")
    await api.json("DELETE", f"/v1/admin/orgs/?org_id={empty['id']}", 404)


async def test_refused(api: Api) -> None:
    await api.json("DELETE", f"/v1/admin/orgs/?org_id={DEFAULT_ORGANIZATION}", 409)
    await api.json("DELETE", "/v1/admin/users/", 409, params={"user_id": DEFAULT_USER})
    await api.json("DELETE", "/v1/admin/users/", 404, params={"user_id": UNKNOWN})
    await api.json("DELETE", "/v1/admin/users/", 422, params={"user_id": "nope"})
    await api.json("DELETE", "/v1/admin/users/", 422)
    await api.json("PUT", "/v1/admin/users/", 404, json={"id": UNKNOWN})
    await api.json("POST", "/v1/admin/users/", 404, json={"name": "x", "organization_id": "org-1"})
    body = {"name": "x", "organization_id": DEFAULT_ORGANIZATION, "odd": 1}
    await api.json("POST", "/v1/admin/users/", 422, json=body)
    await api.json("GET", f"/v1/admin/users/?after={UNKNOWN}", 404)
    await api.json("GET", "/v1/admin/users/?limit=0", 422)
