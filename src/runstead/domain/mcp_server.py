"""MCP servers as an actor registered them, what they offer, and what becomes of it as tools. Pure data.

Secrets are sealed in the registration; opened, they are a value of their own that shows nothing of itself.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Literal, cast

from runstead.domain.stored_tool import StoredTool
from runstead.ids import McpServerId, ToolId, UserId

EXTERNAL_MCP = "external_mcp"
TOOL_NAME_CHARS_MAX = 64
DEFAULT_AUTH_HEADER = "Authorization"
# Where a stored tool says which server runs it, and how that one calls it.
ORIGIN = "mcp"
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")

Transport = Literal["stdio", "sse", "streamable_http"]


@dataclass(frozen=True, slots=True)
class McpSecrets:
    """What a server is shown or given that nobody else may see."""

    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    environment: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)


@dataclass(frozen=True, slots=True)
class McpServer:
    """One registered server. `url` is for servers reached over HTTP, `command` and `arguments` for programs run here.

    `header_names` and `variable_names` say of which headers and variables there are sealed values.
    """

    id: McpServerId
    user_id: UserId
    name: str
    transport: Transport
    created_at: datetime
    updated_at: datetime
    url: str = ""
    command: str = ""
    arguments: tuple[str, ...] = ()
    auth_header: str | None = None
    has_token: bool = False
    header_names: tuple[str, ...] = ()
    variable_names: tuple[str, ...] = ()
    sealed: bytes | None = field(default=None, repr=False)

    def with_secrets(self, secrets: McpSecrets, sealed: bytes | None) -> McpServer:
        """The registration with these secrets, which were sealed so."""
        return replace(
            self,
            has_token=secrets.token is not None,
            header_names=tuple(secrets.headers),
            variable_names=tuple(secrets.environment),
            sealed=sealed,
        )


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool as its server lists it."""

    name: str
    description: str
    input_schema: Mapping[str, object]
    title: str | None = None
    output_schema: Mapping[str, object] | None = None
    annotations: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class ToolOrigin:
    """Whose a stored tool is: the server, and the name that it has there."""

    server_id: McpServerId
    name: str


def request_headers(server: McpServer, secrets: McpSecrets) -> dict[str, str]:
    """The headers that a server reached over HTTP is shown."""
    headers = dict(secrets.headers)
    if secrets.token is not None:
        value = secrets.token
        if server.auth_header is None and " " not in value:
            value = f"Bearer {value}"
        headers[server.auth_header or DEFAULT_AUTH_HEADER] = value
    return headers


def origin_of(tool: StoredTool) -> ToolOrigin | None:
    """Which server runs a tool; None where it is no tool of an MCP server's."""
    told = tool.metadata.get(ORIGIN)
    if tool.tool_type != EXTERNAL_MCP or not isinstance(told, Mapping):
        return None
    origin = cast("Mapping[str, object]", told)
    return ToolOrigin(McpServerId(str(origin.get("server_id"))), str(origin.get("tool_name")))


def free_name(server: McpServer, offered: str, taken: Container[str]) -> str:
    """The name under which a server's tool is stored: its own, or with the server's before it where that is taken."""
    plain = _NOT_IN_NAMES.sub("_", offered)[:TOOL_NAME_CHARS_MAX]
    if plain not in taken:
        return plain
    longer = _NOT_IN_NAMES.sub("_", f"{server.name}__{offered}")[:TOOL_NAME_CHARS_MAX]
    number = 2
    name = longer
    while name in taken:
        name = f"{longer[: TOOL_NAME_CHARS_MAX - 5]}_{number}"
        number += 1
    return name


def as_stored(
    server: McpServer, offered: OfferedTool, tool_id: ToolId, name: str, now: datetime
) -> StoredTool:
    """A server's tool as a tool of its actor's."""
    return StoredTool(
        id=tool_id,
        user_id=server.user_id,
        name=name,
        created_at=now,
        updated_at=now,
        description=offered.description,
        tool_type=EXTERNAL_MCP,
        source_type="json",
        json_schema=_schema(name, offered),
        tags=(f"mcp:{server.name}",),
        metadata={
            ORIGIN: {"server_id": server.id, "server_name": server.name, "tool_name": offered.name},
        },
    )


def as_offered_now(tool: StoredTool, offered: OfferedTool, now: datetime) -> StoredTool:
    """A stored tool as its server lists it now; what its actor said of it stays."""
    described = replace(tool, description=offered.description, json_schema=_schema(tool.name, offered))
    return tool if described == tool else replace(described, updated_at=now)


def _schema(name: str, offered: OfferedTool) -> dict[str, object]:
    return {"name": name, "description": offered.description, "parameters": dict(offered.input_schema)}
