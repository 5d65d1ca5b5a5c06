"""An HTTP client that connects only where it may: for addresses that an actor gave, of providers and of callbacks.

It follows no redirect and uses no proxy, for both would connect elsewhere. It loads httpx2: import it lazily.
"""

from __future__ import annotations

import httpx2

from runstead.llm.provider import CONNECT_S_MAX, READ_S_MAX
from runstead.outward.addresses import Reach, Refused

CONNECTIONS_MAX = 1000
_PORTS = {"http": 80, "https": 443}


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Puts an address that was looked at in the place of the host's name; the certificate must still be the name's."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        limits = httpx2.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX)
        self._inner = httpx2.AsyncHTTPTransport(limits=limits, trust_env=False)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send it to the first address that takes a connection."""
        host, port = request.url.host, request.url.port or _PORTS.get(request.url.scheme, 0)
        try:
            addresses = await self._reach(host, port)
        except Refused as why:
            raise httpx2.ConnectError(str(why), request=request) from None
        request.extensions = {**request.extensions, "sni_hostname": host}
        failure = httpx2.ConnectError("it has no address", request=request)
        for address in addresses:
            request.url = request.url.copy_with(host=address)
            try:
                return await self._inner.handle_async_request(request)
            except httpx2.ConnectError as error:
                failure = error
        raise failure

    async def aclose(self) -> None:
        """Let go of every connection."""
        await self._inner.aclose()


def guarded_client(reach: Reach | None) -> httpx2.AsyncClient | None:
    """A client that connects where `reach` says; None where that is anywhere: the library then makes its own."""
    if reach is None:
        return None
    return httpx2.AsyncClient(
        transport=GuardedTransport(reach),
        timeout=httpx2.Timeout(READ_S_MAX, connect=CONNECT_S_MAX),
        follow_redirects=False,
        trust_env=False,
    )
