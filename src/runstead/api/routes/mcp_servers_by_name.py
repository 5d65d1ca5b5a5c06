"""MCP servers by name, as the older generation of clients speaks of them: views of the same rows as those by id."""

from __future__ import annotations

from functools import partial

from fastapi import Response

from runstead.api import stream
from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import find_record
from runstead.api.routes.mcp_servers import (
    called,
    changed,
    connecting,
    deleted,
    described,
    listed,
    offer,
    registered,
    synced,
)
from runstead.api.services import Services
from runstead.api.wire.mcp import (
    ConfigState,
    ConnectEvent,
    ExecuteState,
    McpToolState,
    ProbeState,
    ServerConfig,
    SyncState,
    UpdateServerConfig,
    config_fields,
    config_state,
    offered_state,
    sync_state,
    update_fields,
)
from runstead.api.wire.tools import ToolExecuteRequest, ToolState, stored_state
from runstead.domain.mcp_server import McpSecrets, McpServer
from runstead.errors import Invalid, NotFound
from runstead.ids import UserId
from runstead.store import mcp_servers as store
from runstead.tools.mcp.failure import McpFailure

router = v1_router("tools")


@router.get("/tools/mcp/servers")
@answers(dict[str, ConfigState])
async def list_mcp_servers_by_name(caller: Caller, parts: Parts) -> Response:
    """The servers by their names."""
    found = await parts.db.read(store.list_servers, caller.user.id)
    return Json({each.name: config_state(each) for each in found})


@router.put("/tools/mcp/servers")
@answers(list[ConfigState])
async def add_mcp_server(body: ServerConfig, caller: Caller, parts: Parts) -> Response:
    """Register a server, or change the one of that name; answers all of them. Its tools are added one by one."""
    given = config_fields(body)
    before = await parts.db.read(store.find_by_name, caller.user.id, body.server_name)
    if before is None:
        kind = str(given["mcp_server_type"])
        await registered(parts, caller.user.id, body.server_name, kind, given)
    else:
        await changed(parts, before, None, given)
    return await _all(parts, caller.user.id)


@router.post("/tools/mcp/servers/connect")
@answers(ConnectEvent)
async def connect_mcp_server_once(body: ServerConfig, caller: Caller, parts: Parts) -> Response:
    """Try to connect and tell as server-sent events what comes of it; nothing is kept. OAuth is not spoken."""
    server, secrets = _described(parts, caller.user.id, body)
    return stream.messages(connecting(server.name, partial(parts.workshop.mcp.tried, server, secrets)))


@router.post("/tools/mcp/servers/test")
@answers(ProbeState)
async def test_mcp_server(body: ServerConfig, caller: Caller, parts: Parts) -> Response:
    """Connect once and list what the server offers; nothing is kept."""
    server, secrets = _described(parts, caller.user.id, body)
    try:
        tools = await parts.workshop.mcp.tried(server, secrets)
    except McpFailure as failure:
        raise Invalid(str(failure)) from None
    return Json({"status": "success", "tools": [offered_state(each) for each in tools]})


@router.patch("/tools/mcp/servers/{mcp_server_name}")
@answers(ConfigState)
async def update_mcp_server_by_name(
    mcp_server_name: str, body: UpdateServerConfig, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of a server. An empty secret keeps what there is."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    return Json(config_state(await changed(parts, server, body.server_name, update_fields(body))))


@router.delete("/tools/mcp/servers/{mcp_server_name}")
@answers(list[ConfigState])
async def delete_mcp_server_by_name(mcp_server_name: str, caller: Caller, parts: Parts) -> Response:
    """Delete a server and its tools; answers those that are left."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    await deleted(parts, caller.user.id, server.id)
    return await _all(parts, caller.user.id)


@router.get("/tools/mcp/servers/{mcp_server_name}/tools")
@answers(list[McpToolState])
async def list_mcp_tools_by_server(mcp_server_name: str, caller: Caller, parts: Parts) -> Response:
    """List what a server offers now."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    return Json([offered_state(each) for each in await listed(parts, server)])


@router.post("/tools/mcp/servers/{mcp_server_name}/resync")
@answers(SyncState)
async def resync_mcp_server_tools(
    mcp_server_name: str, caller: Caller, parts: Parts, agent_id: str | None = None
) -> Response:
    """Make the stored tools of a server what it lists now."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    if agent_id is not None:
        await find_record(parts, caller.user.id, agent_id)
    return Json(sync_state(await synced(parts, server)))


@router.post("/tools/mcp/servers/{mcp_server_name}/tools/{tool_name}/execute")
@answers(ExecuteState)
async def execute_mcp_tool(
    mcp_server_name: str, tool_name: str, body: ToolExecuteRequest, caller: Caller, parts: Parts
) -> Response:
    """Call a server's tool once, by its name there; it need not be stored."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    outcome = await called(parts, server, tool_name, body.args)
    return Json({"result": outcome.text, "success": outcome.status == "success"})


@router.post("/tools/mcp/servers/{mcp_server_name}/{mcp_tool_name}")
@answers(ToolState)
async def add_mcp_tool(mcp_server_name: str, mcp_tool_name: str, caller: Caller, parts: Parts) -> Response:
    """Make one of a server's tools a tool of the caller's."""
    server = await _named(parts, caller.user.id, mcp_server_name)
    offered = await listed(parts, server)
    wanted = next((each for each in offered if each.name == mcp_tool_name), None)
    if wanted is None:
        there = ", ".join(each.name for each in offered)[:1000] or "none"
        raise NotFound(
            f"The MCP server {server.name!r} offers no tool named {mcp_tool_name[:100]!r}. Its tools: {there}."
        )
    return Json(stored_state(await parts.db.write(store.add_tool, server, wanted, offer(parts, offered))))


async def _named(parts: Services, user_id: UserId, name: str) -> McpServer:
    """The caller's server of that name. Raises `NotFound`."""
    found = await parts.db.read(store.find_by_name, user_id, name)
    if found is None:
        raise NotFound(f"There is no MCP server named {name[:100]!r}.")
    return found


async def _all(parts: Services, user_id: UserId) -> Response:
    return Json([config_state(each) for each in await parts.db.read(store.list_servers, user_id)])


def _described(parts: Services, user_id: UserId, body: ServerConfig) -> tuple[McpServer, McpSecrets]:
    """A server that a request describes and that is not registered."""
    given = config_fields(body)
    return described(parts, user_id, body.server_name, str(given["mcp_server_type"]), given)
