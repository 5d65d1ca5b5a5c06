"""What a URL names and which addresses a name has, and which of those are of the public internet.

What is inside of this server's own network is not told to anybody, unless its operator says so: that is `inward`'s.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import SplitResult, urljoin, urlsplit

URL_CHARS_MAX = 4_000
RESOLVE_S = 5.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PORTS = {"http": 80, "https": 443}

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# The addresses of a host and port, each one that may be connected to. Raises `Refused` where one may not be. What was looked
# at is what is connected to: a name is not resolved a second time.
Reach = Callable[[str, int], Awaitable[Sequence[str]]]


class Refused(Exception):
    """This address is not asked; the text says why."""


class NoAddress(Refused):
    """The name has no address now."""


class NotPublic(Refused):
    """The address is not one of the public internet."""


async def addresses_of(host: str, port: int) -> list[str]:
    """All addresses that a name has now; at least one. Raises `Refused`."""
    try:
        async with asyncio.timeout(RESOLVE_S):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError):
        raise NoAddress(f"the name {host!r} cannot be resolved.") from None
    addresses = list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))
    if not addresses:
        raise NoAddress(f"the name {host!r} has no address.")
    return addresses


def host_and_port(url: str) -> tuple[str, int]:
    """Which server a URL names. Raises `Refused` where it is none, or holds a user or a password."""
    parts = _parts(url)
    return parts.hostname or "", parts.port or _PORTS[parts.scheme]


def joined(url: str, location: str) -> str:
    """Where a redirect from `url` leads."""
    return urljoin(url, location)


def public(text: str) -> bool:
    """Whether an address is one of the public internet."""
    address: Address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or _nat64(address)
        if inner is not None:
            return public(str(inner))
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _nat64(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The address behind a gateway between the two protocols."""
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None


def _parts(url: str) -> SplitResult:
    if len(url) > URL_CHARS_MAX:
        raise Refused(f"the URL has {len(url)} characters; at most {URL_CHARS_MAX} are taken.")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise Refused("that is no URL.") from None
    if parts.scheme not in _PORTS:
        raise Refused("the URL must begin with http:// or https://.")
    if not parts.hostname or port == 0:
        raise Refused("the URL names no server.")
    if parts.username is not None or parts.password is not None:
        raise Refused("the URL must not hold a user or a password.")
    return parts
