"""The application as a whole."""

from __future__ import annotations

from fastapi.routing import APIRoute
from tests.api.conftest import Api

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
