"""What is not offered says so: 501, by name, on every path that the table has, and only there."""

from __future__ import annotations

import re

import pytest
from fastapi.routing import APIRoute
from tests.api.conftest import Api

from runstead.api.not_offered import OPERATIONS, NotOffered
from runstead.api.server import ROUTERS


def filled(path: str) -> str:
    """A path with something in the place of each of its parameters."""
    return re.sub(r"\{\w+\}", "some-id", path)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: f"{each.method} {each.path}")
async def test_it_is_answered_501_by_name(api: Api, operation: NotOffered) -> None:
    """With or without a closing slash, whatever the body; the detail names the operation and says why."""
    path = filled(operation.path)
    for spelled in (path.rstrip("/"), path.rstrip("/") + "/"):
        answer = await api.client.request(operation.method, spelled)
        assert answer.status_code == 501
        detail = answer.json()["detail"]
        assert detail.startswith(f"{operation.method} {operation.path} is not offered")
        assert detail.endswith(operation.reason)


def test_nothing_is_served_and_refused() -> None:
    """An operation that is offered does not stand in the table of those that are not."""
    refused = {(each.method, filled(each.path).rstrip("/")) for each in OPERATIONS}
    assert len(refused) == len(OPERATIONS)
    served = [
        (method, route.path)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.include_in_schema
        for method in route.methods or ()
        if (method, filled(route.path).rstrip("/")) in refused
    ]
    assert served == []


async def test_what_nobody_knows_is_404(api: Api) -> None:
    """Also what only a hosted service has: clients expect so."""
    for path in ("/v1/nothing", "/v1/templates/", "/v1/projects", "/v1/_internal_runs/"):
        assert (await api.client.get(path)).status_code == 404, path
