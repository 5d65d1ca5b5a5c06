"""The application: routes, errors and limits around a set of parts. It starts and stops nothing: `app.py` does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from runstead import __version__
from runstead.api import not_offered
from runstead.api.auth import Access
from runstead.api.middleware import Edge
from runstead.api.openapi import describe
from runstead.api.problems import install_problems
from runstead.api.routes import (
    admin,
    agent_files,
    agent_folders,
    agent_tools,
    agents,
    archival_memory,
    archives,
    blocks,
    chat,
    compaction,
    conversations,
    core_memory,
    feed,
    folders,
    generation,
    health,
    identities,
    mcp_servers,
    mcp_servers_by_name,
    messages,
    metrics,
    models,
    previews,
    providers,
    runs,
    steps,
    tags,
    tools,
    traces,
    transcript,
)
from runstead.api.services import Services

# What a process tells that only works on runs.
STATE_ROUTERS = (health.router, metrics.router)
# What is asked most stands first: a request is compared with one route after the other.
ROUTERS = (
    *STATE_ROUTERS,
    feed.router,  # before `runs`, whose paths take any word for an id
    runs.router,
    steps.router,
    agents.router,
    agent_files.router,
    agent_folders.router,
    agent_tools.router,
    core_memory.router,
    messages.router,
    compaction.router,
    previews.router,
    generation.router,
    conversations.router,
    chat.router,
    traces.router,
    blocks.router,
    identities.router,
    tags.router,
    tools.router,
    mcp_servers.router,
    mcp_servers_by_name.router,
    archival_memory.router,
    archives.router,
    folders.router,
    models.router,
    providers.router,
    admin.router,
    not_offered.router,
    transcript.router,  # its /messages/{message_id} would take /messages/batches
)

# A browser may remember for so long that it may ask.
PREFLIGHT_S = 600


class Api(FastAPI):
    """The ASGI application."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for."""
        if self.openapi_schema is None:
            self.openapi_schema = describe(self)
        return self.openapi_schema


def create_api(services: Services) -> FastAPI:
    """The application that serves these parts: the whole API, or only how the process is where it only works."""
    serves = services.settings.serves
    app = Api(
        title="Runstead",
        version=__version__,
        summary="A self-hosted server for AI agents' runs.",
        redoc_url=None,
        docs_url=None,
        openapi_url="/openapi.json" if serves else None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.access = Access(services)
    install_problems(app)
    app.add_middleware(
        Edge,
        body_bytes_max=services.settings.body_bytes_max,
        stopping=lambda: services.lifecycle.stopping,
    )
    if services.settings.origins:
        _let_browsers_ask(app, services.settings.origins)
    for router in ROUTERS if serves else STATE_ROUTERS:
        # The routes themselves, not an inclusion of the router: that would match every request twice.
        app.router.routes.extend(router.routes)
    return app


def _let_browsers_ask(app: FastAPI, origins: Sequence[str]) -> None:
    """Pages of these sites may ask and read answers, errors too. A key is sent by the page, never by the browser."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=list(origins),
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=["retry-after"],
        max_age=PREFLIGHT_S,
    )
