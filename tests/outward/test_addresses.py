"""Which addresses are asked: public ones, whatever they are called."""

from __future__ import annotations

import pytest

from runstead.outward.addresses import Refused, host_and_port, joined, public
from runstead.outward.inward import PROVIDERS, Inward


@pytest.mark.parametrize(
    ("address", "asked"),
    [
        ("8.8.8.8", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("127.9.9.9", False),
        ("0.0.0.0", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("255.255.255.255", False),
        ("192.0.2.1", False),
        ("::", False),
        ("::1", False),
        ("fe80::1", False),
        ("fc00::1", False),
        ("fd00:ec2::254", False),
        ("ff02::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", False),
    ],
)
def test_only_public_addresses(address: str, asked: bool) -> None:
    """Also where an inner address is wrapped into another one."""
    assert public(address) is asked


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://localhost:8283/v1/agents/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::1]/",
        "http://[::ffff:10.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "ftp://8.8.8.8/",
        "http://user:pass@8.8.8.8/",
        "http:///nowhere",
        "http://8.8.8.8:0/",
        "http://8.8.8.8:99999/",
        "http://nowhere.invalid/",
        "http://8.8.8.8/" + "x" * 4000,
        "not a url",
    ],
)
async def test_what_is_refused(url: str) -> None:
    """However it is written."""
    with pytest.raises(Refused):
        await Inward("", PROVIDERS).reach(*host_and_port(url))


def test_which_server_a_url_names() -> None:
    """With the port that its scheme has, where it names none; a redirect is read as browsers do."""
    assert host_and_port("https://a.example/b?c=d#e") == ("a.example", 443)
    assert host_and_port(" http://[::1]:8080 ") == ("::1", 8080)
    assert joined("https://a.example/x/y", "../z") == "https://a.example/z"
    assert joined("https://a.example/x", "//b.example/") == "https://b.example/"
