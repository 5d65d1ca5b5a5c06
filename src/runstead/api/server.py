"""The application: routes, errors and limits around a set of parts. It starts and stops nothing: `app.py` does."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

from runstead import __version__
from runstead.api.auth import Access
from runstead.api.middleware import Edge
from runstead.api.openapi import describe
from runstead.api.problems import install_problems
from runstead.api.routes import (
    admin,
    agent_tools,
    agents,
    blocks,
    core_memory,
    health,
    messages,
    metrics,
    models,
    runs,
    steps,
    tools,
)
from runstead.api.services import Services

ROUTERS = (
    health.router,
    metrics.router,
    agents.router,
    agent_tools.router,
    core_memory.router,
    messages.router,
    runs.router,
    steps.router,
    blocks.router,
    tools.router,
    models.router,
    admin.router,
)


class Api(FastAPI):
    """The ASGI application."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_api(services: Services) -> FastAPI:
    """The application that serves these parts."""
    app = Api(
        title="Runstead",
        version=__version__,
        summary="A self-hosted server for AI agents' runs.",
        redoc_url=None,
        docs_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.access = Access(services)
    install_problems(app)
    app.add_middleware(Edge, body_bytes_max=services.settings.body_bytes_max)
    for router in ROUTERS:
        # The routes themselves, not an inclusion of the router: that would match every request twice.
        app.router.routes.extend(router.routes)
    return app
