"""Connections to places that others named: only where they may go, to the very address that was looked at, as the name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpcore2
import httpx2
import pytest

from runstead.outward.addresses import NotPublic
from runstead.outward.transport import NotReached, outward_client

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CUT_SHORT = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\nok"
ELSEWHERE = b"HTTP/1.1 307 Go\r\nlocation: http://elsewhere.example/\r\ncontent-length: 0\r\n\r\n"
WAIT_S = 30.0


@dataclass
class Origin:
    """A server on this machine that says one thing, and remembers who was asked for on which connection."""

    answer: bytes = ANSWER
    port: int = 0
    hosts: list[list[str]] = field(default_factory=list[list[str]])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        asked: list[str] = []
        self.hosts.append(asked)
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                asked.append(head.lower().partition("host: ")[2].partition("\r\n")[0])
                writer.write(self.answer)
                if self.answer is CUT_SHORT:
                    break
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def origin(answer: bytes = ANSWER) -> AsyncGenerator[Origin]:
    """A server on a port of its own."""
    made = Origin(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with server:
        made.port = server.sockets[0].getsockname()[1]
        yield made


class Map:
    """Where names lead; each look is noted."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses
        self.looks: list[str] = []

    async def reach(self, host: str, port: int) -> Sequence[str]:
        """The addresses, whatever the name."""
        del port
        self.looks.append(host)
        if not self.addresses:
            raise NotPublic(f"{host!r} is not on the public internet.")
        return self.addresses


async def test_the_first_address_that_takes_a_connection_is_asked_by_the_name() -> None:
    """Nobody listens at the first one; the server hears the name, not an address."""
    names = Map("127.0.0.2", "127.0.0.1")
    async with origin() as server, outward_client(names.reach, WAIT_S) as client:
        answer = await client.get(f"http://tools.internal:{server.port}/x?y=z")
        assert (answer.status_code, answer.text) == (200, "ok")
        assert server.hosts == [[f"tools.internal:{server.port}"]]


async def test_what_was_looked_at_is_what_is_connected_to() -> None:
    """A name is looked at once a connection, so one that leads elsewhere a moment later leads nowhere."""
    names = Map("127.0.0.1")
    async with origin() as server, outward_client(names.reach, WAIT_S) as client:
        url = f"http://rebound.example:{server.port}/"
        assert (await client.get(url)).status_code == 200
        names.addresses = ("127.0.0.2",)
        assert (await client.get(url)).status_code == 200
        assert names.looks == ["rebound.example"]


async def test_two_names_at_one_address_share_no_connection() -> None:
    """For a connection is a name's: so is the certificate that it was opened with."""
    names = Map("127.0.0.1")
    async with origin() as server, outward_client(names.reach, WAIT_S) as client:
        for name in ("a.example", "b.example", "a.example"):
            await client.get(f"http://{name}:{server.port}/")
        a, b = (f"{name}:{server.port}" for name in ("a.example", "b.example"))
        assert server.hosts == [[a, a], [b]]


async def test_a_place_that_may_not_be_asked_is_not_connected_to() -> None:
    """The error says why, and is one of those that no connection came of."""
    async with origin() as server, outward_client(Map().reach, WAIT_S) as client:
        with pytest.raises(httpx2.ConnectError, match="not on the public internet") as caught:
            await client.get(f"http://127.0.0.1:{server.port}/")
        assert isinstance(caught.value, NotReached)
        assert server.hosts == []


async def test_no_redirect_is_followed() -> None:
    """Who wants to follow one asks again, which is looked at."""
    names = Map("127.0.0.1")
    async with origin(ELSEWHERE) as server, outward_client(names.reach, WAIT_S) as client:
        assert (await client.get(f"http://a.example:{server.port}/")).status_code == 307
        assert names.looks == ["a.example"]


async def test_nobody_there_and_an_answer_cut_short_are_errors_of_the_client() -> None:
    names = Map("127.0.0.1")
    async with origin(CUT_SHORT) as server, outward_client(names.reach, WAIT_S) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            await client.get(f"http://a.example:{server.port}/")
    async with outward_client(Map("127.0.0.2").reach, WAIT_S) as client:
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"http://a.example:{server.port}/")


def test_every_error_of_the_lower_library_has_its_name_in_the_upper_one() -> None:
    for base in (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError):
        for each in (base, *base.__subclasses__()):
            assert issubclass(getattr(httpx2, each.__name__), httpx2.TransportError)
    for each in (httpcore2.ProxyError, httpcore2.UnsupportedProtocol):
        assert issubclass(getattr(httpx2, each.__name__), httpx2.TransportError)
