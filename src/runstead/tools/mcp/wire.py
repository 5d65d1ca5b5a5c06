"""The SDK, as it is used here: open one connection, list tools, call one. The only file that imports it; loaded by name.

Errors of the SDK and of the network leave it as `McpFailure`; nothing of what a server prints or of a request's headers is
in their text, and the SDK's own logs are off, for they show requests.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import httpx2
import orjson
from mcp.client import Client
from mcp.client._transport import ReadStream, Transport, TransportStreams
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CONNECTION_CLOSED,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    Implementation,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)
from pydantic import ValidationError

from runstead import __version__
from runstead.domain.mcp_server import McpSecrets, McpServer, OfferedTool, request_headers
from runstead.domain.tool import ToolOutcome
from runstead.tools.mcp.failure import McpFailure, McpLost, McpNotSent
from runstead.tools.mcp.guard import LOST, NOT_SENT, WHY, guarded_client
from runstead.tools.mcp.permission import Permission
from runstead.tools.mcp.program import program_transport

TOOLS_MAX = 500  # of one server
PAGES_MAX = 50  # of a list of tools
SCHEMA_BYTES_MAX = 64 * 1024
DESCRIPTION_CHARS_MAX = 8_000
ERROR_CHARS_MAX = 2_000
TEXT_CHARS_MAX = 1_000_000  # of one outcome
CALL_ID = "runstead/tool_call_id"
T = TypeVar("T")

# They show requests, and what servers answer.
logging.getLogger("mcp").setLevel(logging.CRITICAL + 1)


class Watched(ReadStream[SessionMessage | Exception]):
    """What comes from a server; its end is told."""

    def __init__(self, inner: ReadStream[SessionMessage | Exception], ended: Callable[[], None]) -> None:
        self._inner = inner
        self._ended = ended

    async def receive(self) -> SessionMessage | Exception:
        """The next message."""
        return await self._inner.receive()

    async def aclose(self) -> None:
        """Close it."""
        await self._inner.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionMessage | Exception:
        try:
            return await self._inner.__anext__()
        except BaseException:  # also its ordinary end: it goes on to who reads
            self._ended()
            raise

    async def __aenter__(self) -> Self:
        await self._inner.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> bool | None:
        return await self._inner.__aexit__(exc_type, exc_val, exc_tb)


@asynccontextmanager
async def connected(
    server: McpServer, secrets: McpSecrets, permission: Permission, ended: Callable[[], None]
) -> AsyncGenerator[Client]:
    """A connection to a server, until the block is left; a server that is a program runs as long.

    `ended` is called when nothing more comes from the server.
    """
    us = Implementation(name="runstead", version=__version__)
    transport = _watched(server, secrets, permission, ended)
    async with Client(transport, client_info=us, cache=None) as client:
        yield client


async def tools_of(client: Client) -> list[OfferedTool]:
    """The tools that a server lists; those whose schema is too large are left out. Raises `McpFailure`."""
    found: dict[str, OfferedTool] = {}
    cursor: str | None = None
    for _ in range(PAGES_MAX):
        page = await _asked(client.list_tools(cursor=cursor))
        for tool in page.tools:
            if len(found) < TOOLS_MAX and len(orjson.dumps(tool.input_schema)) <= SCHEMA_BYTES_MAX:
                found[tool.name] = _offered(tool)
        cursor = page.next_cursor
        if cursor is None:
            break
    return list(found.values())


async def called(client: Client, name: str, arguments: Mapping[str, object], call_id: str) -> ToolOutcome:
    """What comes of one call of a server's tool. Raises `McpFailure`."""
    result = await _asked(client.call_tool(name, dict(arguments), meta={CALL_ID: call_id}))
    return _outcome(result)


def why(error: BaseException) -> str:
    """What went wrong, in one line: the first error of a group, without anything that could be secret."""
    first = error
    while isinstance(first, BaseExceptionGroup):
        first = cast("BaseExceptionGroup[BaseException]", first).exceptions[0]
    if isinstance(first, MCPError | McpFailure):
        return str(first)[:ERROR_CHARS_MAX]
    if isinstance(first, httpx2.HTTPStatusError):
        if (reason := first.response.extensions.get(WHY)) is not None:
            return str(reason)
        return f"it answered with the status {first.response.status_code}."
    if isinstance(first, OSError) and first.strerror:
        return f"{first.strerror}."
    return f"{type(first).__name__}."


async def _asked(answer: Awaitable[T]) -> T:
    """The answer to a request. Raises `McpFailure`."""
    try:
        return await answer
    except MCPError as error:
        text = error.message[:ERROR_CHARS_MAX]
        if error.code == NOT_SENT:
            raise McpNotSent(text) from None
        if error.code in {LOST, CONNECTION_CLOSED}:
            raise McpLost(text) from None
        raise McpFailure(text) from None
    except (ValidationError, RuntimeError) as error:
        # The SDK's words for what breaks the protocol, or the tool's own schema of its answer.
        text = (
            "what it answered is not of the protocol." if isinstance(error, ValidationError) else str(error)
        )
        raise McpFailure(text[:ERROR_CHARS_MAX]) from None


@asynccontextmanager
async def _watched(
    server: McpServer, secrets: McpSecrets, permission: Permission, ended: Callable[[], None]
) -> AsyncGenerator[TransportStreams]:
    async with AsyncExitStack() as stack:
        transport = _transport(server, secrets, permission, stack)
        read, write = await stack.enter_async_context(transport)
        yield Watched(read, ended), write


def _transport(
    server: McpServer, secrets: McpSecrets, permission: Permission, stack: AsyncExitStack
) -> Transport:
    if server.transport == "stdio":
        command = permission.program(server, secrets)
        return program_transport(command, secrets.environment)
    headers = request_headers(server, secrets)
    if server.transport == "sse":

        def made(*_given: Any, **_named: Any) -> httpx2.AsyncClient:
            return guarded_client(permission, headers)

        return sse_client(server.url, httpx_client_factory=made)
    client = guarded_client(permission, headers)
    stack.push_async_exit(client)
    return streamable_http_client(server.url, http_client=client)


def _offered(tool: Tool) -> OfferedTool:
    annotations = tool.annotations
    return OfferedTool(
        name=tool.name,
        description=(tool.description or tool.title or "")[:DESCRIPTION_CHARS_MAX],
        input_schema=tool.input_schema,
        title=tool.title,
        output_schema=tool.output_schema,
        annotations=None if annotations is None else annotations.model_dump(by_alias=True, exclude_none=True),
    )


def _outcome(result: CallToolResult) -> ToolOutcome:
    """A result as text: images and sounds are named, not shown."""
    texts = [_text(block) for block in result.content]
    if not texts and result.structured_content is not None:
        texts = [orjson.dumps(result.structured_content).decode()]
    text = "\n".join(texts)
    if len(text) > TEXT_CHARS_MAX:
        text = f"{text[:TEXT_CHARS_MAX]}… [cut: {len(text)} characters]"
    return ToolOutcome("error" if result.is_error else "success", text)


def _text(block: ContentBlock) -> str:
    if isinstance(block, TextContent):
        return block.text
    if isinstance(block, EmbeddedResource):
        held = block.resource
        if isinstance(held, TextResourceContents):
            return held.text
        return f"[{held.uri}: {held.mime_type or 'data'}, {len(held.blob)} characters of base64]"
    if isinstance(block, ResourceLink):
        return f"[{block.uri}: {block.name}]"
    return f"[{block.type}: {block.mime_type}, {len(block.data)} characters of base64]"
