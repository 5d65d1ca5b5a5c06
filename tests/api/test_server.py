"""The application as a whole."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from tests.api.conftest import Api, Serving

from runstead.api.auth import principal
from runstead.api.router import answer_of
from runstead.settings import Secret

OPEN = {"/v1/health/", "/v1/ready/"}


async def test_every_route_asks_who_calls_but_health(api: Api) -> None:
    routes = [route for route in api.app.routes if isinstance(route, APIRoute)]
    assert len(routes) > 20
    for route in routes:
        asks = any(each.call is principal for each in route.dependant.dependencies)
        assert asks is (route.path not in OPEN), route.path


async def test_every_route_says_what_it_answers(api: Api) -> None:
    for route in api.app.routes:
        if isinstance(route, APIRoute):
            assert answer_of(route.endpoint) is not None, route.path


async def test_who_only_works_tells_how_it_is_and_nothing_else(serving: Serving) -> None:
    async with serving(role="worker") as worker:
        assert await worker.json("GET", "/v1/health/")
        assert await worker.json("GET", "/v1/ready/")
        metrics = await worker.client.get("/metrics")
        assert metrics.status_code == 200
        for path in ("/v1/agents/", "/v1/runs/", "/openapi.json"):
            assert (await worker.client.get(path)).status_code == 404, path


@pytest.mark.parametrize(
    ("allowed", "origin", "told"),
    [
        ("", "https://app.example", None),
        ("https://app.example", "https://app.example", "https://app.example"),
        ("https://app.example", "https://other.example", None),
        ("*", "https://other.example", "*"),
    ],
)
async def test_browsers_are_told_whose_pages_may_ask(
    serving: Serving, allowed: str, origin: str, told: str | None
) -> None:
    """Before a request with a key, and with its answer, an error's too."""
    asks = {"origin": origin, "access-control-request-method": "PATCH"}
    asks["access-control-request-headers"] = "authorization,x-stainless-lang"
    async with serving(cors_origins=allowed, server_password=Secret("pw")) as api:
        before = await api.client.options("/v1/agents/", headers=asks)
        refused = await api.client.get("/v1/agents/", headers={"origin": origin})
        lost = await api.client.get("/v1/nothing", headers={"origin": origin})

    assert told == before.headers.get("access-control-allow-origin")
    assert [(401, told), (404, told)] == [
        (each.status_code, each.headers.get("access-control-allow-origin")) for each in (refused, lost)
    ]
    if told is not None:
        assert (200, True) == (before.status_code, "PATCH" in before.headers["access-control-allow-methods"])
        assert "x-stainless-lang" in before.headers["access-control-allow-headers"]


@pytest.mark.slow
async def test_who_only_serves_has_the_whole_api(serving: Serving, api: Api) -> None:
    async with serving(role="api") as other:
        assert {route.path for route in other.app.routes if isinstance(route, APIRoute)} == {
            route.path for route in api.app.routes if isinstance(route, APIRoute)
        }
        assert (await other.client.get("/openapi.json")).status_code == 200
