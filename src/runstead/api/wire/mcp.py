"""MCP servers as JSON, in the shapes of both generations: by id, and by name. Secrets come in and never go out.

An empty text stands for a secret in an answer; sent back, it keeps what there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from typing_extensions import TypedDict

from runstead.domain.mcp_server import McpSecrets, McpServer, OfferedTool, Transport
from runstead.errors import Unprocessable
from runstead.ids import McpServerId, UserId
from runstead.outward.addresses import URL_CHARS_MAX
from runstead.store.mcp_servers import Synced

ENTRIES_MAX = 100  # arguments, headers or variables of one server
TEXT_CHARS_MAX = 8_000
_TOKEN = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"  # noqa: S105 - the letters of a header's name
_PRINTABLE = r"^[\t\x20-\x7e\x80-\xff]*$"

ServerName = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^/\x00-\x1f]+$")]
Url = Annotated[str, Field(max_length=URL_CHARS_MAX)]
Text = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]
Command = Annotated[str, Field(min_length=1, max_length=TEXT_CHARS_MAX)]
CommandArguments = Annotated[list[Text], Field(max_length=ENTRIES_MAX)]
HeaderName = Annotated[str, StringConstraints(max_length=200, pattern=_TOKEN)]
HeaderValue = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX, pattern=_PRINTABLE)]
Headers = Annotated[dict[HeaderName, HeaderValue | None], Field(max_length=ENTRIES_MAX)]
VariableName = Annotated[str, StringConstraints(max_length=200, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
VariableValue = Annotated[str, StringConstraints(max_length=TEXT_CHARS_MAX, pattern=r"^[^\x00]*$")]
Variables = Annotated[dict[VariableName, VariableValue | None], Field(max_length=ENTRIES_MAX)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CreateStdioMcpServer(_Strict):
    """A program that is run on the server, where its operator allowed it."""

    mcp_server_type: Literal["stdio"] = "stdio"
    command: Command
    args: CommandArguments
    env: Variables | None = None


class CreateStreamableHttpMcpServer(_Strict):
    """A server that speaks streamable HTTP."""

    mcp_server_type: Literal["streamable_http"] = "streamable_http"
    server_url: Url
    auth_header: HeaderName | None = None
    auth_token: HeaderValue | None = None
    custom_headers: Headers | None = None


class CreateSseMcpServer(_Strict):
    """A server that speaks HTTP with server-sent events, the older way."""

    mcp_server_type: Literal["sse"] = "sse"
    server_url: Url
    auth_header: HeaderName | None = None
    auth_token: HeaderValue | None = None
    custom_headers: Headers | None = None


class CreateMcpServerRequest(_Strict):
    """A server to be registered."""

    server_name: ServerName
    config: CreateStdioMcpServer | CreateStreamableHttpMcpServer | CreateSseMcpServer


class UpdateMcpServer(_Strict):
    """What of a server shall be changed: the fields that are given. Another type makes another server of it."""

    mcp_server_type: Transport | None = None
    command: Command | None = None
    args: CommandArguments | None = None
    env: Variables | None = None
    server_url: Url | None = None
    auth_header: HeaderName | None = None
    auth_token: HeaderValue | None = None
    custom_headers: Headers | None = None


class UpdateMcpServerRequest(_Strict):
    """A change of a server."""

    server_name: ServerName | None = None
    config: UpdateMcpServer


class StdioServerConfig(BaseModel):
    """A program, as the older generation says it."""

    server_name: ServerName
    type: Literal["stdio"] | None = None
    command: Command
    args: CommandArguments
    env: Variables | None = None


class HttpServerConfig(BaseModel):
    """A server reached over HTTP, as the older generation says it. Without a type it is `sse`, the first of that kind."""

    server_name: ServerName
    type: Literal["sse", "streamable_http"] | None = None
    server_url: Url
    auth_header: HeaderName | None = None
    auth_token: HeaderValue | None = None
    custom_headers: Headers | None = None


ServerConfig = StdioServerConfig | HttpServerConfig


class UpdateServerConfig(_Strict):
    """A change of a server, as the older generation says it. `token` is `auth_token`."""

    server_name: ServerName | None = None
    stdio_config: StdioServerConfig | None = None
    server_url: Url | None = None
    auth_header: HeaderName | None = None
    auth_token: HeaderValue | None = None
    token: HeaderValue | None = None
    custom_headers: Headers | None = None


class StdioMcpServerState(TypedDict):
    """A program that is run on the server."""

    id: str
    server_name: str
    mcp_server_type: Literal["stdio"]
    command: str
    args: list[str]
    env: dict[str, str] | None


class HttpMcpServerState(TypedDict):
    """A server reached over HTTP."""

    id: str
    server_name: str
    mcp_server_type: Literal["sse", "streamable_http"]
    server_url: str
    auth_header: str | None
    auth_token: str | None
    custom_headers: dict[str, str] | None


McpServerState = StdioMcpServerState | HttpMcpServerState


class StdioConfigState(TypedDict):
    """A program, as the older generation is answered."""

    server_name: str
    type: Literal["stdio"]
    command: str
    args: list[str]
    env: dict[str, str] | None


class HttpConfigState(TypedDict):
    """A server reached over HTTP, as the older generation is answered."""

    server_name: str
    type: Literal["sse", "streamable_http"]
    server_url: str
    auth_header: str | None
    auth_token: str | None
    custom_headers: dict[str, str] | None


ConfigState = StdioConfigState | HttpConfigState


class McpToolState(TypedDict):
    """A tool as its server lists it; the names are those of the protocol."""

    name: str
    title: str | None
    description: str | None
    inputSchema: dict[str, object]
    outputSchema: dict[str, object] | None
    annotations: dict[str, object] | None
    _meta: dict[str, object] | None
    health: dict[str, object] | None


class SyncState(TypedDict):
    """The names of the tools that came, changed and went."""

    deleted: list[str]
    updated: list[str]
    added: list[str]


class ProbeState(TypedDict):
    """That a server answered, and what it offers."""

    status: Literal["success"]
    tools: list[McpToolState]


class ConnectEvent(TypedDict, total=False):
    """What a connection that is tried comes to."""

    event: Literal["connection_attempt", "success", "error"]
    server_name: str
    tools: list[McpToolState]
    message: str


class ExecuteState(TypedDict):
    """What came of a call, as the older generation is answered."""

    result: str
    success: bool


def config_fields(config: ServerConfig) -> dict[str, object]:
    """What an older request gives, under the names of the newer one."""
    given = config.model_dump(exclude_unset=True, exclude={"server_name", "type"})
    kind = "stdio" if isinstance(config, StdioServerConfig) else config.type or "sse"
    return {"mcp_server_type": kind, **given}


def update_fields(body: UpdateServerConfig) -> dict[str, object]:
    """What an older request changes, under the names of the newer one."""
    given = body.model_dump(exclude_unset=True, exclude={"server_name", "token", "stdio_config"})
    if "token" in body.model_fields_set:
        given["auth_token"] = body.token
    if body.stdio_config is not None:
        given |= config_fields(body.stdio_config)
    return given


def blank(server_id: McpServerId, user_id: UserId, name: str, kind: str, now: datetime) -> McpServer:
    """A server of which nothing is known but its type."""
    return McpServer(server_id, user_id, name, cast("Transport", kind), now, now)


def applied(
    server: McpServer, secrets: McpSecrets, given: Mapping[str, object]
) -> tuple[McpServer, McpSecrets]:
    """A server and its secrets with what a request gives of them. Raises `Unprocessable` where something is missing."""
    fields = cast("Mapping[str, Any]", given)
    kind = fields.get("mcp_server_type") or server.transport
    if kind != server.transport:
        server = McpServer(server.id, server.user_id, server.name, kind, server.created_at, server.updated_at)
        secrets = McpSecrets()
    if kind == "stdio":
        _only(fields, {"command", "args", "env"}, kind)
        server = replace(
            server,
            command=fields.get("command") or server.command,
            arguments=server.arguments if fields.get("args") is None else tuple(fields["args"]),
        )
        secrets = replace(secrets, environment=_kept(secrets.environment, fields, "env"))
    else:
        _only(fields, {"server_url", "auth_header", "auth_token", "custom_headers"}, kind)
        server = replace(
            server,
            url=fields.get("server_url") or server.url,
            auth_header=fields.get("auth_header", server.auth_header) or None,
        )
        token = fields.get("auth_token", secrets.token)
        secrets = McpSecrets(
            token=secrets.token if token == "" else token,
            headers=_kept(secrets.headers, fields, "custom_headers"),
        )
    if not (server.command if kind == "stdio" else server.url):
        raise Unprocessable(
            f"A server of the type {kind} needs {'command' if kind == 'stdio' else 'server_url'}."
        )
    return server, secrets


def _only(fields: Mapping[str, object], known: set[str], kind: str) -> None:
    foreign = [
        name
        for name, value in fields.items()
        if value is not None and name not in {*known, "mcp_server_type"}
    ]
    if foreign:
        raise Unprocessable(f"A server of the type {kind} has no {', '.join(foreign)}.")


def _kept(before: Mapping[str, str], fields: Mapping[str, Any], name: str) -> dict[str, str]:
    """Secrets by name, as a request wants them: what is empty stays as it is."""
    if name not in fields:
        return dict(before)
    given: Mapping[str, str | None] = fields[name] or {}
    return {each: value or before.get(each, "") for each, value in given.items()}


def server_state(server: McpServer) -> McpServerState:
    """A server as it is answered."""
    if server.transport == "stdio":
        return {
            "id": server.id,
            "server_name": server.name,
            "mcp_server_type": "stdio",
            "command": server.command,
            "args": list(server.arguments),
            "env": _names(server.variable_names),
        }
    return {
        "id": server.id,
        "server_name": server.name,
        "mcp_server_type": server.transport,
        "server_url": server.url,
        "auth_header": server.auth_header,
        "auth_token": "" if server.has_token else None,
        "custom_headers": _names(server.header_names),
    }


def config_state(server: McpServer) -> ConfigState:
    """A server as the older generation is answered."""
    if server.transport == "stdio":
        return {
            "server_name": server.name,
            "type": "stdio",
            "command": server.command,
            "args": list(server.arguments),
            "env": _names(server.variable_names),
        }
    return {
        "server_name": server.name,
        "type": server.transport,
        "server_url": server.url,
        "auth_header": server.auth_header,
        "auth_token": "" if server.has_token else None,
        "custom_headers": _names(server.header_names),
    }


def offered_state(tool: OfferedTool) -> McpToolState:
    """A tool as its server lists it."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": dict(tool.input_schema),
        "outputSchema": None if tool.output_schema is None else dict(tool.output_schema),
        "annotations": None if tool.annotations is None else dict(tool.annotations),
        "_meta": None,
        "health": None,
    }


def sync_state(synced: Synced) -> SyncState:
    """What a comparison came to, as it is answered."""
    return {"deleted": list(synced.deleted), "updated": list(synced.updated), "added": list(synced.added)}


def _names(names: tuple[str, ...]) -> dict[str, str] | None:
    return dict.fromkeys(names, "") or None
