"""MCP servers as agents and clients use them: what they list, calls of their tools, and their secrets sealed and opened.

It runs tools of the type `external_mcp`. A server that fails is a failure of the call, never more.
"""

from __future__ import annotations

from typing import Any

import orjson

from runstead.domain.mcp_server import McpSecrets, McpServer, OfferedTool, origin_of
from runstead.domain.stored_tool import StoredTool
from runstead.domain.tool import ToolOutcome
from runstead.errors import Forbidden, Invalid, Unavailable
from runstead.ids import McpServerId
from runstead.settings import Settings
from runstead.store import mcp_servers
from runstead.store.database import Database
from runstead.store.vault import CannotOpen, Vault
from runstead.tools.mcp.connections import Connections, wire_module
from runstead.tools.mcp.failure import McpFailure
from runstead.tools.mcp.permission import Permission
from runstead.tools.registry import Arguments, ToolContext, ToolFailure

_SEALED_AS = "mcp server"


class McpServers:
    """The MCP servers that this process can ask."""

    def __init__(self, db: Database, vault: Vault, settings: Settings) -> None:
        self._db = db
        self._vault = vault
        self._permission = Permission(settings)
        self.connections = Connections(self._permission)

    async def run(self, tool: StoredTool, arguments: Arguments, context: ToolContext) -> ToolOutcome:
        """One call of an agent's tool. Raises `ToolFailure` where it could not be carried out."""
        origin = origin_of(tool)
        if origin is None:
            raise ToolFailure("it does not say which MCP server runs it; add it again.")
        server = await self._db.read(mcp_servers.find_server, context.user_id, origin.server_id)
        if server is None:
            raise ToolFailure("its MCP server is not there any more.")
        try:
            return await self.call(server, origin.name, arguments, context.call_id)
        except McpFailure as failure:
            raise ToolFailure(str(failure)) from None
        except (Forbidden, Invalid, Unavailable) as refused:
            raise ToolFailure(refused.detail) from None

    async def call(self, server: McpServer, name: str, arguments: Arguments, call_id: str) -> ToolOutcome:
        """One call of a server's tool, by its name there. Raises `McpFailure`, `Forbidden` and `Invalid`."""
        wire = await wire_module()

        async def ask(client: Any) -> ToolOutcome:
            return await wire.called(client, name, arguments, call_id)

        secrets = await self._allowed(server)
        try:
            return await self.connections.ask(server, lambda: secrets, ask)
        except McpFailure as failure:
            raise _named(server, failure) from None

    async def offered(self, server: McpServer) -> list[OfferedTool]:
        """What a server lists now. Raises `McpFailure`, `Forbidden` and `Invalid`."""
        wire = await wire_module()
        secrets = await self._allowed(server)
        try:
            return await self.connections.ask(server, lambda: secrets, wire.tools_of, again=True)
        except McpFailure as failure:
            raise _named(server, failure) from None

    async def tried(self, server: McpServer, secrets: McpSecrets) -> list[OfferedTool]:
        """What a server lists that need not be registered. Raises `McpFailure`, `Forbidden` and `Invalid`."""
        await self._permission.check(server, secrets)
        wire = await wire_module()
        try:
            return await self.connections.ask_once(server, secrets, wire.tools_of)
        except McpFailure as failure:
            raise _named(server, failure) from None

    async def allow(self, server: McpServer, secrets: McpSecrets) -> None:
        """Raises `Forbidden` or `Invalid` where this server may not be used here."""
        await self._permission.check(server, secrets)

    def sealed(self, server_id: McpServerId, secrets: McpSecrets) -> bytes | None:
        """Secrets as they are kept; None where there are none."""
        if secrets == McpSecrets():
            return None
        document = {
            "token": secrets.token,
            "headers": dict(secrets.headers),
            "environment": dict(secrets.environment),
        }
        return self._vault.seal(server_id, _SEALED_AS, orjson.dumps(document).decode())

    def opened(self, server: McpServer) -> McpSecrets:
        """A server's secrets. Raises `Unavailable` where they cannot be opened."""
        if server.sealed is None:
            return McpSecrets()
        try:
            text = self._vault.open(server.id, _SEALED_AS, server.sealed)
        except CannotOpen:
            raise Unavailable(
                f"The secrets of the MCP server {server.name!r} cannot be opened: the server's key was changed. Give them"
                " anew."
            ) from None
        return McpSecrets(**orjson.loads(text))

    async def _allowed(self, server: McpServer) -> McpSecrets:
        """A server's secrets, where it may be used. Raises `Forbidden` and `Invalid`."""
        secrets = self.opened(server)
        await self._permission.check(server, secrets)
        return secrets


def _named(server: McpServer, failure: McpFailure) -> McpFailure:
    return type(failure)(f"The MCP server {server.name!r} failed: {failure}")
