"""How HTTP is spoken to places that others named: a connection is opened only to an address that was looked at just before.

The look is at the opening of the connection, below everything that HTTP does: a request is sent as it is, to the name that
it names, so the certificate must be the name's, connections are shared by name, and a redirect that a client follows is
looked at as any other. It uses no proxy, for that would connect elsewhere. It loads httpx2: import it lazily.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Iterable
from contextlib import contextmanager
from typing import Any, cast

import httpcore2
import httpx2

from runstead.outward.addresses import Reach, Refused

CONNECTIONS_MAX = 1000
KEPT_S = 5.0  # a connection that nothing is asked of

_FAILURES = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.ProxyError,
    httpcore2.UnsupportedProtocol,
)


class NotReached(httpx2.ConnectError):
    """No connection was tried: the place is not one where this server may go. The text says why."""


class OutwardTransport(httpx2.AsyncBaseTransport):
    """Connects where `reach` says, to the first address that takes a connection."""

    def __init__(self, reach: Reach, *, connections_max: int = CONNECTIONS_MAX) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=KEPT_S,
            network_backend=_LookingFirst(reach),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it. Raises what httpx2 raises, `NotReached` where it must not be sent."""
        url = request.url
        asked = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        with _as_httpx2():
            answer = await self._pool.handle_async_request(asked)
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer.stream),
            extensions=cast("Any", answer).extensions,
        )

    async def aclose(self) -> None:
        """Let go of every connection."""
        await self._pool.aclose()


class _LookingFirst(httpcore2.AsyncNetworkBackend):
    """Opens connections; whatever else a backend may do, this one cannot."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner: httpcore2.AsyncNetworkBackend = cast("Any", httpcore2.AnyIOBackend)()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A connection to an address of this name. `timeout` is each address's own."""
        failure = httpcore2.ConnectError("it has no address")
        for address in await self._reach(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except httpcore2.ConnectError as error:
                failure = error
        raise failure


class _Body(httpx2.AsyncByteStream):
    """An answer's body."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _as_httpx2():
            async for part in self._inner:
                yield part

    async def aclose(self) -> None:
        """Let go of its connection, or give it back."""
        await self._inner.aclose()


@contextmanager
def _as_httpx2() -> Generator[None]:
    """The errors of the lower library have the names of the upper one's."""
    try:
        yield
    except Refused as why:
        raise NotReached(str(why)) from None
    except _FAILURES as error:
        raise getattr(httpx2, type(error).__name__)(str(error)) from error


def outward_client(
    reach: Reach, timeout: httpx2.Timeout | float, *, headers: dict[str, str] | None = None
) -> httpx2.AsyncClient:
    """A client that connects where `reach` says, and follows no redirect by itself."""
    return httpx2.AsyncClient(
        transport=OutwardTransport(reach),
        headers=headers,
        timeout=timeout,
        follow_redirects=False,
        trust_env=False,
    )
