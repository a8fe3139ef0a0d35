"""Media given by link: fetched as a provider does, but only from this machine."""

import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from connectors.sandbox.media import Media


@dataclass(slots=True)
class Link:
    """A link in a send. `shown` is the item's media entry, filled in once the file is there.

    `mimes` empty allows every type; `most` gives the bytes a type may have.
    """

    shown: dict[str, Any]
    url: str
    mimes: frozenset[str]
    most: Callable[[str], int]


Reason = Literal["fetch", "size", "type"]


async def fetch_link(
    session: aiohttp.ClientSession, link: Link, account: str
) -> Media | Reason | None:
    """The file behind the link, or why it cannot be used.

    A link that leads off this machine is believed unseen: None.
    """
    if not is_loopback(link.url):
        return None
    try:
        timeout = aiohttp.ClientTimeout(total=10)
        async with session.get(link.url, timeout=timeout) as response:
            mime = response.content_type
            if response.status != 200:
                return "fetch"
            if link.mimes and mime not in link.mimes:
                return "type"
            content = bytearray()
            async for chunk in response.content.iter_chunked(65_536):
                content += chunk
                if len(content) > link.most(mime):
                    return "size"
    except (aiohttp.ClientError, OSError, ValueError):
        return "fetch"
    return Media(
        id=secrets.token_hex(8),
        account=account,
        kind=link.shown["kind"],
        mime=mime,
        content=bytes(content),
        expires_at=float("inf"),
    )


def is_loopback(url: str) -> bool:
    """Whether the URL leads to this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
