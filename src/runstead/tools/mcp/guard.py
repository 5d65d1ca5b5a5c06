"""How MCP servers are asked over HTTP: only at addresses that were checked, and never for more than a bounded answer.

An address is looked at for each connection and connected to as it was looked at (`outward.transport`). A failure of the
network becomes an answer that says so, so that one request's failure leaves the others of a connection alone; what was
certainly not seen by the server is told apart from what may have been. Loaded with the SDK, when a server is first needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import orjson

from runstead.outward.transport import NotReached, OutwardTransport
from runstead.tools.mcp.permission import Permission

ANSWER_BYTES_MAX = 8 * 1024 * 1024
CONNECTIONS_MAX = 32  # of one server
# JSON-RPC error codes of our own, in the range that servers do not use.
NOT_SENT = -31_001
LOST = -31_002
REFUSED = -31_003
# Where an answer of ours says why, for those who look at its status only.
WHY = "runstead_why"
_SESSION = "mcp-session-id"
_GONE = 404


class Limited(httpx2.AsyncByteStream):
    """An answer's body, at most so much of it. A longer one is an error, and so is one that ends too soon."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = ANSWER_BYTES_MAX
        try:
            async for chunk in self._stream:
                left -= len(chunk)
                if left < 0:
                    raise httpx2.StreamError(f"the answer has more than {ANSWER_BYTES_MAX} bytes")
                yield chunk
        except httpx2.TransportError as error:
            raise httpx2.StreamError(f"the connection was lost ({type(error).__name__})") from None

    async def aclose(self) -> None:
        """Close what it reads."""
        await self._stream.aclose()


class Guard(httpx2.AsyncBaseTransport):
    """A transport that asks allowed addresses only."""

    def __init__(self, permission: Permission) -> None:
        self._inner = OutwardTransport(permission.reach, connections_max=CONNECTIONS_MAX)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """The answer of the checked address, or one of ours that says why there is none."""
        request.headers["accept-encoding"] = "identity"
        try:
            answer = await self._inner.handle_async_request(request)
        except NotReached as why:
            return _failed(REFUSED, f"its address is not asked: {why}")
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as error:
            return _failed(NOT_SENT, f"it cannot be reached ({type(error).__name__}).")
        except httpx2.TransportError as error:
            return _failed(LOST, f"the connection was lost ({type(error).__name__}).")
        return await _checked(request, answer)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


async def _checked(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
    if answer.headers.get("content-encoding", "identity") != "identity":
        await answer.aclose()
        return _failed(REFUSED, "its answer is compressed, which it was asked not to do.")
    if answer.status_code == _GONE and _SESSION in request.headers:
        await answer.aclose()
        return _failed(NOT_SENT, "it does not know this connection any more.")
    if not answer.headers.get("content-type", "").startswith("text/event"):
        assert isinstance(answer.stream, httpx2.AsyncByteStream), "an asynchronous transport answered"
        answer.stream = Limited(answer.stream)
    return answer


def _failed(code: int, why: str) -> httpx2.Response:
    """An answer that the SDK reads as the request's error."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": why}}
    return httpx2.Response(
        502,
        headers={"content-type": "application/json"},
        content=orjson.dumps(error),
        extensions={WHY: why},
    )


def guarded_client(permission: Permission, headers: dict[str, str]) -> httpx2.AsyncClient:
    """A client for one server."""
    settings = permission.settings
    wait = settings.mcp_connect_timeout_s
    # A call's own limit ends it before, and so does idleness.
    silence = max(settings.mcp_call_timeout_s, settings.mcp_idle_s) + wait
    return httpx2.AsyncClient(
        transport=Guard(permission),
        headers=headers,
        timeout=httpx2.Timeout(wait, read=silence),
        follow_redirects=False,
        trust_env=False,
    )
