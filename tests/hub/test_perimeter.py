"""Which addresses attachments may be fetched from."""

from ipaddress import ip_network

import pytest

from hub.errors import MediaRefused
from hub.perimeter import CheckedResolver, Perimeter
from tests.hub.hosts import Names

PUBLIC = ["8.8.8.8", "157.240.1.35", "2a03:2880:f10c::1", "64:ff9b::808:808", "::ffff:8.8.8.8"]
OURS = [
    "127.0.0.1",
    "127.255.255.254",
    "10.1.2.3",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "100.64.0.1",
    "198.18.0.1",
    "::1",
    "fd12::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
]
NOBODYS = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.0.1",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::7f00:1",
    "fe80::1",
    "fe80::1%lo",
    "2a03:2880:f10c::1%eth0",
    "2001:db8::1",
    "2001::1",
    "2002:7f00:1::1",
    "3fff::1",
    "fec0::1",
    "ff02::1",
    "100::1",
    "fd00:ec2::254",
    "64:ff9b:1::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "::ffff:169.254.169.254",
    "::ffff:0:127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "localhost",
    "",
]


@pytest.mark.parametrize("host", PUBLIC)
def test_the_public_internet_is_permitted(host: str) -> None:
    assert Perimeter().permits(host)


@pytest.mark.parametrize("host", OURS)
def test_our_own_network_only_when_allowed(host: str) -> None:
    assert not Perimeter().permits(host)
    assert Perimeter(allow_private=True).permits(host)


@pytest.mark.parametrize("host", NOBODYS)
def test_what_is_nobodys_address_never(host: str) -> None:
    assert not Perimeter().permits(host)
    assert not Perimeter(allow_private=True).permits(host)


def test_one_network_may_be_allowed_by_itself() -> None:
    perimeter = Perimeter(allowed=[ip_network("10.1.0.0/16")])

    assert perimeter.permits("10.1.2.3")
    assert perimeter.permits("::ffff:10.1.2.3")
    assert not perimeter.permits("10.2.0.1")
    assert not perimeter.permits("::1")


async def test_one_private_answer_among_public_ones_refuses_the_name() -> None:
    names = Names({"good.example": [["8.8.8.8"]], "mixed.example": [["8.8.8.8", "10.0.0.1"]]})
    resolver = CheckedResolver(Perimeter(), names)

    assert [one["host"] for one in await resolver.resolve("good.example", 443)] == ["8.8.8.8"]
    with pytest.raises(MediaRefused, match="not on the public Internet"):
        await resolver.resolve("mixed.example", 443)
