"""Is the server there, and does it take work? Open to everyone: whoever starts a server must be able to ask."""

from __future__ import annotations

from fastapi import Response

from runstead import __version__
from runstead.api.auth import Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.health import Health
from runstead.errors import Unavailable

router = v1_router("health", open_to_all=True)


@router.get("/health/")
@answers(Health)
async def check_health() -> Response:
    """Whether the server is there."""
    return Json(Health(version=__version__, status="ok"))


@router.get("/ready/")
@answers(Health)
async def check_readiness(parts: Parts) -> Response:
    """Whether the server takes work: 503 while it is stopping."""
    if parts.lifecycle.stopping:
        raise Unavailable("The server is stopping; ask again in a moment.")
    return Json(Health(version=__version__, status="ok"))
