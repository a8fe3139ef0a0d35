"""Keeps requests to addresses that others chose away from our own network.

A URL from outside may name, resolve to or redirect to a machine only we can reach. So the
address is checked where it is used: names by the resolver, and every socket as it is made,
which leaves no gap between check and connection for a changed DNS answer.
"""

import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from hub.errors import MediaRefused

Network = IPv4Network | IPv6Network


def networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


NEVER = networks(
    "169.254.0.0/16",  # link-local, and the metadata service of most clouds
    "fe80::/10",
    "168.63.129.16/32",  # Azure's host agent
    "100.100.100.200/32",  # Alibaba's metadata service
    "192.0.0.0/24",  # protocol assignments, and Oracle's metadata service
    "fd00:ec2::/32",  # Amazon's metadata service over IPv6
    "0.0.0.0/8",  # "this host": reaches loopback on Linux
    "::/128",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Refused even where private networks are allowed: no attachment lies there."""

PRIVATE = networks(
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "::1/128",
    "fc00::/7",
)
"""Our own machine and network (RFC 1918, 6598, 2544, 4193)."""

GLOBAL = ip_network("2000::/3")
GLOBAL_EXCEPT = networks("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
"""Of all IPv6 only GLOBAL is the public Internet; its exceptions are documentation, and tunnels
that could carry a private IPv4 address inside."""

NAT64 = ip_network("64:ff9b::/96")


class Perimeter:
    """Says which addresses may be connected to, and makes connections to no other.

    `allow_private`: also loopback and private networks; `allowed`: these networks besides.
    """

    def __init__(self, *, allow_private: bool = False, allowed: Sequence[Network] = ()) -> None:
        self.allow_private = allow_private
        self.allowed = tuple(allowed)

    def permits(self, host: str) -> bool:
        """May this IP address be connected to?"""
        try:
            address = ip_address(host)
        except ValueError:
            return False
        if isinstance(address, IPv6Address):
            if address.scope_id:
                return False
            address = address.ipv4_mapped or nat64_target(address) or address
        if within(address, self.allowed):
            return True
        if within(address, NEVER):
            return False
        if within(address, PRIVATE):
            return self.allow_private
        if isinstance(address, IPv4Address):
            return True
        return address in GLOBAL and not within(address, GLOBAL_EXCEPT)

    def check(self, host: str) -> None:
        """Raises MediaRefused for an IP address that may not be connected to."""
        if not self.permits(host):
            raise MediaRefused("the attachment's address is not on the public Internet")

    def connector(self, resolver: AbstractResolver | None = None) -> aiohttp.TCPConnector:
        """For a session whose every request resolves and is checked for itself: no connection
        and no DNS answer is kept for the next. Needs a running loop."""
        return aiohttp.TCPConnector(
            resolver=CheckedResolver(self, resolver or ThreadedResolver()),
            use_dns_cache=False,
            force_close=True,
            limit=20,
            socket_factory=self.make_socket,
        )

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """A socket for exactly the address it will be connected to; URLs with an IP address
        come here too, for which aiohttp asks no resolver. Raises MediaRefused."""
        family, kind, protocol, _, target = info
        self.check(str(target[0]))
        return socket.socket(family, kind, protocol)


class CheckedResolver(AbstractResolver):
    """Resolves names, refusing one with any forbidden address among its answers."""

    def __init__(self, perimeter: Perimeter, inner: AbstractResolver) -> None:
        self.perimeter = perimeter
        self.inner = inner

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Raises MediaRefused, or OSError when the name has no address."""
        found = await self.inner.resolve(host, port, family)
        for one in found:
            self.perimeter.check(one["host"])
        return found

    async def close(self) -> None:
        await self.inner.close()


def nat64_target(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that a NAT64 gateway would connect to (RFC 6052)."""
    return IPv4Address(int(address) & 0xFFFF_FFFF) if address in NAT64 else None


def within(address: IPv4Address | IPv6Address, several: Sequence[Network]) -> bool:
    return any(address in network for network in several)
