"""MCP servers by id: register, list, read, change, delete, bring their tools up to date, run one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import Path, Response

from runstead.api import stream
from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import find_record
from runstead.api.routes.tools import ToolPath, no_tool
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.mcp import (
    ConnectEvent,
    CreateMcpServerRequest,
    McpServerState,
    SyncState,
    UpdateMcpServerRequest,
    applied,
    blank,
    offered_state,
    server_state,
    sync_state,
)
from runstead.api.wire.tools import (
    ToolExecuteRequest,
    ToolExecutionResult,
    ToolState,
    execution_result,
    stored_state,
)
from runstead.domain.mcp_server import McpSecrets, McpServer, OfferedTool, origin_of
from runstead.domain.stored_tool import StoredTool
from runstead.domain.tool import ToolOutcome
from runstead.errors import Invalid, NotFound, RunsteadError
from runstead.ids import McpServerId, ToolId, UserId
from runstead.store import mcp_servers as store
from runstead.store import tools as tool_store
from runstead.store.mcp_servers import Synced, ToolOffer
from runstead.telemetry import log
from runstead.tools.catalog import BUILTINS
from runstead.tools.mcp.failure import McpFailure
from runstead.tools.registry import limited

router = v1_router("mcp-servers")

ServerPath = Annotated[str, Path(pattern=f"^mcp_server-{UUID4_PATTERN}$")]
# How long the answer to a registration waits for the server's tools. Later ones come with a refresh.
FIRST_LOOK_S = 15.0

_log = log("mcp")


@router.post("/mcp-servers/")
@answers(McpServerState)
async def create_mcp_server(body: CreateMcpServerRequest, caller: Caller, parts: Parts) -> Response:
    """Register a server. Its tools become tools of the caller's at once where it answers, else with a refresh."""
    given = body.config.model_dump(exclude_unset=True)
    kind = body.config.mcp_server_type
    server = await registered(parts, caller.user.id, body.server_name, kind, given)
    try:
        async with asyncio.timeout(FIRST_LOOK_S):
            await synced(parts, server)
    except (RunsteadError, TimeoutError) as error:
        _log.info("an MCP server did not answer at its registration", server_id=server.id, why=str(error))
    return Json(server_state(server))


@router.get("/mcp-servers/")
@answers(list[McpServerState])
async def list_mcp_servers(caller: Caller, parts: Parts) -> Response:
    """List the servers, oldest first."""
    found = await parts.db.read(store.list_servers, caller.user.id)
    return Json([server_state(each) for each in found])


@router.get("/mcp-servers/connect/{mcp_server_id}")
@answers(ConnectEvent)
async def connect_mcp_server(mcp_server_id: ServerPath, caller: Caller, parts: Parts) -> Response:
    """Connect to a server and tell as server-sent events what comes of it. One that wants OAuth is an error."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    return stream.messages(connecting(server.name, partial(parts.workshop.mcp.offered, server)))


@router.get("/mcp-servers/{mcp_server_id}")
@answers(McpServerState)
async def retrieve_mcp_server(mcp_server_id: ServerPath, caller: Caller, parts: Parts) -> Response:
    """Read a server."""
    return Json(server_state(await find_server(parts, caller.user.id, mcp_server_id)))


@router.patch("/mcp-servers/{mcp_server_id}")
@answers(McpServerState)
async def update_mcp_server(
    mcp_server_id: ServerPath, body: UpdateMcpServerRequest, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of a server. An empty secret keeps what there is."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    given = body.config.model_dump(exclude_unset=True)
    return Json(server_state(await changed(parts, server, body.server_name, given)))


@router.delete("/mcp-servers/{mcp_server_id}", status_code=204)
@answers(type(None))
async def delete_mcp_server(mcp_server_id: ServerPath, caller: Caller, parts: Parts) -> Response:
    """Delete a server and its tools; agents that have them go on without."""
    await find_server(parts, caller.user.id, mcp_server_id)
    await deleted(parts, caller.user.id, McpServerId(mcp_server_id))
    return Response(status_code=204)


@router.patch("/mcp-servers/{mcp_server_id}/refresh")
@answers(SyncState)
async def refresh_mcp_server_tools(
    mcp_server_id: ServerPath, caller: Caller, parts: Parts, agent_id: str | None = None
) -> Response:
    """Make the stored tools of a server what it lists now: new ones come, changed ones change, missing ones go."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    if agent_id is not None:
        await find_record(parts, caller.user.id, agent_id)
    return Json(sync_state(await synced(parts, server)))


@router.get("/mcp-servers/{mcp_server_id}/tools")
@answers(list[ToolState])
async def list_tools_for_mcp_server(mcp_server_id: ServerPath, caller: Caller, parts: Parts) -> Response:
    """List the stored tools of a server."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    found = await parts.db.read(store.tools_of, caller.user.id, server.id)
    return Json([stored_state(each) for each in found.values()])


@router.get("/mcp-servers/{mcp_server_id}/tools/{tool_id}")
@answers(ToolState)
async def retrieve_mcp_tool(
    mcp_server_id: ServerPath, tool_id: ToolPath, caller: Caller, parts: Parts
) -> Response:
    """Read one of a server's stored tools."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    tool, _ = await _tool_of(parts, server, tool_id)
    return Json(stored_state(tool))


@router.post("/mcp-servers/{mcp_server_id}/tools/{tool_id}/run")
@answers(ToolExecutionResult)
async def run_mcp_tool(
    mcp_server_id: ServerPath,
    tool_id: ToolPath,
    caller: Caller,
    parts: Parts,
    body: ToolExecuteRequest | None = None,
) -> Response:
    """Call one of a server's stored tools once. A server that fails is an error of the call."""
    server = await find_server(parts, caller.user.id, mcp_server_id)
    tool, name = await _tool_of(parts, server, tool_id)
    outcome = await called(parts, server, name, {} if body is None else body.args)
    outcome = limited(outcome, tool.return_limit_chars)
    return Json(execution_result(outcome))


async def find_server(parts: Services, user_id: UserId, server_id: str) -> McpServer:
    """One of the caller's servers. Raises `NotFound`."""
    found = await parts.db.read(store.find_server, user_id, server_id)
    if found is None:
        raise NotFound(f"MCP server with ID {server_id} not found")
    return found


async def _tool_of(parts: Services, server: McpServer, tool_id: ToolId) -> tuple[StoredTool, str]:
    """One of a server's stored tools, and its name there. Raises `NotFound`."""
    tool = await parts.db.read(tool_store.find_tool, server.user_id, tool_id)
    origin = None if tool is None else origin_of(tool)
    if tool is None or origin is None or origin.server_id != server.id:
        raise no_tool(tool_id)
    return tool, origin.name


async def registered(
    parts: Services, user_id: UserId, name: str, kind: str, given: dict[str, object]
) -> McpServer:
    """A new server, stored. Raises `Forbidden` and `Invalid` where it may not be used here, `Conflict` for its name."""
    server = await _sealed(parts, *described(parts, user_id, name, kind, given))
    await parts.db.write(store.insert_server, server)
    return server


def described(
    parts: Services, user_id: UserId, name: str, kind: str, given: dict[str, object]
) -> tuple[McpServer, McpSecrets]:
    """A server as a request describes it, with its secrets. It is not stored."""
    new_id = McpServerId("mcp_server-" + parts.ids.uuid())
    return applied(blank(new_id, user_id, name, kind, parts.clock.now()), McpSecrets(), given)


async def changed(
    parts: Services, before: McpServer, name: str | None, given: dict[str, object]
) -> McpServer:
    """A server as a request wants it, stored. Raises as `registered` does."""
    mcp = parts.workshop.mcp
    wanted, secrets = applied(before, mcp.opened(before), given)
    after = await _sealed(parts, wanted, secrets)

    def change(stored: McpServer) -> McpServer:
        return replace(after, name=name or stored.name, updated_at=parts.clock.now())

    found = await parts.db.write(store.change_server, before.user_id, before.id, change)
    if found is None:
        raise NotFound(f"MCP server with ID {before.id} not found")
    mcp.connections.forget(before.id)
    return found


async def deleted(parts: Services, user_id: UserId, server_id: McpServerId) -> None:
    """Delete a server, its tools and its connection."""
    await parts.db.write(store.delete_server, user_id, server_id)
    parts.workshop.mcp.connections.forget(server_id)


async def listed(parts: Services, server: McpServer) -> list[OfferedTool]:
    """What a server offers now. Raises `Invalid` where it fails."""
    try:
        return await parts.workshop.mcp.offered(server)
    except McpFailure as failure:
        raise Invalid(str(failure)) from None


async def synced(parts: Services, server: McpServer) -> Synced:
    """Make the stored tools of a server what it lists now. Raises `Invalid` where it fails."""
    offered = await listed(parts, server)
    return await parts.db.write(store.sync_tools, server, offer(parts, offered))


def offer(parts: Services, offered: list[OfferedTool]) -> ToolOffer:
    """What the store needs to make tools of what a server lists."""
    return ToolOffer(
        offered, frozenset(BUILTINS), lambda: ToolId("tool-" + parts.ids.uuid()), parts.clock.now()
    )


async def called(parts: Services, server: McpServer, name: str, arguments: dict[str, object]) -> ToolOutcome:
    """One call of a server's tool; a server that fails is an error of the call."""
    try:
        return await parts.workshop.mcp.call(server, name, arguments, "call_" + parts.ids.uuid())
    except McpFailure as failure:
        return ToolOutcome("error", str(failure))


async def connecting(
    name: str, look: Callable[[], Coroutine[Any, Any, list[OfferedTool]]]
) -> AsyncIterator[bytes | None]:
    """What becomes of connecting, event by event."""
    yield _event({"event": "connection_attempt", "server_name": name})
    try:
        tools = await look()
    except McpFailure as failure:
        yield _event({"event": "error", "message": str(failure)})
    except RunsteadError as error:
        yield _event({"event": "error", "message": error.detail})
    else:
        yield _event({"event": "success", "tools": [offered_state(each) for each in tools]})


def _event(event: ConnectEvent) -> bytes:
    return orjson.dumps(event)


async def _sealed(parts: Services, server: McpServer, secrets: McpSecrets) -> McpServer:
    """A server with its secrets sealed, where it may be used here. Raises `Forbidden` and `Invalid`."""
    mcp = parts.workshop.mcp
    await mcp.allow(server, secrets)
    return server.with_secrets(secrets, mcp.sealed(server.id, secrets))
