"""The application as a whole."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute
from tests.api.conftest import Api, Serving

from runstead.api.auth import principal
from runstead.api.router import answer_of

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


@pytest.mark.slow
async def test_who_only_serves_has_the_whole_api(serving: Serving, api: Api) -> None:
    async with serving(role="api") as other:
        assert {route.path for route in other.app.routes if isinstance(route, APIRoute)} == {
            route.path for route in api.app.routes if isinstance(route, APIRoute)
        }
        assert (await other.client.get("/openapi.json")).status_code == 200
