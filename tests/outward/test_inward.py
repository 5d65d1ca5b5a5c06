"""Where others may make this server go: what is public, what is allowed, and this machine while it is open."""

from __future__ import annotations

import pytest

from runstead.errors import Invalid
from runstead.outward.addresses import NoAddress, NotPublic, Refused
from runstead.outward.inward import EVERYWHERE, PLACES_MAX, PROVIDERS, Inward, places_in


def inward(allowed: str = "", *, is_open: bool = False) -> Inward:
    """A guard that allows these places, of a server that is open to its machine or is not."""

    async def answer() -> bool:
        return is_open

    return Inward(allowed, PROVIDERS, answer)


async def refused(guard: Inward, host: str, port: int = 80) -> Refused:
    """The refusal."""
    with pytest.raises(Refused) as caught:
        await guard.reach(host, port)
    return caught.value


async def test_what_is_public_is_reached() -> None:
    assert await inward().reach("8.8.8.8", 443) == ["8.8.8.8"]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "::1", "::ffff:10.0.0.1", "0.0.0.0"]
)
async def test_a_server_with_a_key_reaches_nothing_inward(host: str) -> None:
    """And says which setting would let it."""
    error = await refused(inward(), host)
    assert isinstance(error, NotPublic)
    assert PROVIDERS in str(error)


async def test_an_open_server_reaches_its_own_machine_and_no_other() -> None:
    guard = inward(is_open=True)
    assert "127.0.0.1" in await guard.reach("localhost", 11434)
    assert await guard.reach("127.0.0.1", 11434) == ["127.0.0.1"]
    for host in ("10.1.2.3", "169.254.169.254", "192.168.1.1", "0.0.0.0", "fe80::1"):
        await refused(guard, host)


@pytest.mark.parametrize(
    ("allowed", "host", "port", "reached"),
    [
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "192.168.1.1", 80, False),
        ("10.1.2.3", "10.1.2.3", 80, True),
        ("10.1.2.3:8000", "10.1.2.3", 8000, True),
        ("10.1.2.3:8000", "10.1.2.3", 22, False),
        ("10.0.0.0/8:8000", "10.9.9.9", 8000, True),
        ("localhost", "localhost", 80, True),
        ("LOCALHOST:11434", "localhost", 11434, True),
        ("localhost:11434", "localhost", 8283, False),
        ("localhost", "127.0.0.1", 80, False),
        ("[::1]:80", "::1", 80, True),
        ("::1", "::1", 80, True),
        ("fd00::/8", "fd12::1", 80, True),
        ("127.0.0.1", "::ffff:127.0.0.1", 80, True),
        ("other.lan, 10.0.0.0/8", "10.1.2.3", 80, True),
        (EVERYWHERE, "::1", 80, True),
        (EVERYWHERE, "::ffff:10.0.0.1", 80, True),
    ],
)
async def test_the_operator_names_places(allowed: str, host: str, port: int, reached: bool) -> None:
    """A name stands for its addresses, but an address does not for its name; a port narrows either."""
    guard = inward(allowed)
    if reached:
        assert await guard.reach(host, port)
    else:
        await refused(guard, host, port)


@pytest.mark.parametrize(
    "text", ["http://x", "a b", "10.0.0.0/99", "host:port", "[::1", "-x", ",".join("a" * 300)]
)
def test_what_is_no_place_is_said(text: str) -> None:
    assert PLACES_MAX < 300
    with pytest.raises(Invalid, match="RUNSTEAD_PROVIDER_ALLOW_HOSTS"):
        places_in(text, PROVIDERS)


async def test_a_name_that_nobody_has() -> None:
    assert isinstance(await refused(inward(EVERYWHERE), "nobody.invalid"), NoAddress)
