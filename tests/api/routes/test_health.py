"""Health over HTTP."""

from __future__ import annotations

from tests.api.conftest import Api

from runstead import __version__


async def test_health_and_readiness(api: Api) -> None:
    expected = {"version": __version__, "status": "ok"}
    assert await api.json("GET", "/v1/health/") == expected
    assert await api.json("GET", "/v1/ready/") == expected
    api.lifecycle.stopping = True
    assert await api.json("GET", "/v1/health/") == expected
    await api.json("GET", "/v1/ready/", 503)
