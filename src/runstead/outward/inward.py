"""Where others may make this server go, to providers, callbacks, MCP servers and pages: public addresses, and inward what
the operator names. One rule, and one way to write places down, for every setting that names some.

A server that is open (to this machine only, without a key) lets its one user name this machine too, as a provider or for
callbacks: a model on one's own machine is the usual case, and nobody else can ask. As soon as there is a key or a password,
only those inward places are allowed that a setting names.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from runstead.errors import Invalid
from runstead.outward.addresses import Address, NotPublic, addresses_of, public

# As a setting would name it.
EVERYWHERE = "0.0.0.0/0, ::/0"
# The settings that name places.
PROVIDERS = "RUNSTEAD_PROVIDER_ALLOW_HOSTS"
CALLBACKS = "RUNSTEAD_CALLBACK_ALLOW_HOSTS"
MCP_SERVERS = "RUNSTEAD_MCP_ALLOW_HOSTS"
PLACES_MAX = 200
_NAME = re.compile(r"^[a-z0-9_]([a-z0-9_.-]{0,252})$")
_WITH_PORT = re.compile(r"^(?:\[(?P<six>[^\]]+)\]|(?P<host>[^:\[\]]+))(?::(?P<port>\d{1,5}))?$")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class InwardPlace:
    """What the operator allows: a name with all addresses that it has, or a network; at one port, or (None) at any."""

    name: str | None
    network: Network | None
    port: int | None

    def holds(self, host: str, address: Address, port: int) -> bool:
        """Whether this address, found under this name, is the place or in it."""
        if self.port not in {None, port}:
            return False
        if self.network is None:
            return host.rstrip(".").lower() == self.name
        return address.version == self.network.version and address in self.network


class Inward:
    """Looks at an address before it is connected to. `setting` is the variable that gave `allowed`: refusals name it.

    `open_here` says whether the server is open to this machine only; without it that makes no difference.
    """

    def __init__(
        self, allowed: str, setting: str, open_here: Callable[[], Awaitable[bool]] | None = None
    ) -> None:
        self._places = places_in(allowed, setting)
        self._open_here = open_here
        self._setting = setting

    async def reach(self, host: str, port: int) -> Sequence[str]:
        """The addresses of a name, all of which may be connected to. Raises `Refused`, `NotPublic` for an inward one."""
        addresses = await addresses_of(host, port)
        for text in addresses:
            if not (public(text) or await self._allowed(host, text, port)):
                raise NotPublic(
                    f"{host!r} is not on the public internet; the server's operator can allow it in {self._setting}."
                )
        return addresses

    async def _allowed(self, host: str, text: str, port: int) -> bool:
        address = _bare(text)
        if any(place.holds(host, address, port) for place in self._places):
            return True
        return self._open_here is not None and address.is_loopback and await self._open_here()


def places_in(text: str, setting: str) -> tuple[InwardPlace, ...]:
    """What the setting names: names, addresses and networks, each with a port or without. Raises `Invalid`."""
    entries = [entry.strip().lower() for entry in text.split(",") if entry.strip()]
    if len(entries) > PLACES_MAX:
        raise Invalid(
            f"{setting} names {len(entries)} places; at most {PLACES_MAX} are read. Name their network."
        )
    return tuple(_place(entry, setting) for entry in entries)


def _place(entry: str, setting: str) -> InwardPlace:
    bare = _network(entry)
    if bare is not None:
        return InwardPlace(None, bare, None)
    match = _WITH_PORT.match(entry)
    if match is not None:
        host, port = match["six"] or match["host"], int(match["port"]) if match["port"] else None
        network = _network(host)
        if network is not None or (match["six"] is None and _NAME.match(host)):
            return InwardPlace(None if network else host.rstrip("."), network, port)
    raise Invalid(
        f"{setting} must be hosts, addresses or networks with commas between them, like"
        f" ollama.lan:11434,10.0.0.0/8, not {entry[:100]!r}."
    )


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _bare(text: str) -> Address:
    """The address, without the clothes of the other protocol."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
