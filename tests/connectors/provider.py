"""A provider's HTTP API played on 127.0.0.1: it records every request and answers as told."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl

import orjson
from aiohttp import web


@dataclass(frozen=True)
class Request:
    """One request as the provider saw it; header names are lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


Behaviour = Reply | Literal["hang", "reset"]
"""Answer; read the request and never answer; or read it and reset the connection."""


class Provider:
    def __init__(self, behaviour: Behaviour, *later: Behaviour) -> None:
        self.behaviour = behaviour
        self.later = list(later)
        self.requests: list[Request] = []
        self.url = ""
        self.closing = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(
            Request(
                request.method,
                request.rel_url.raw_path,
                request.rel_url.raw_query_string,
                {name.lower(): value for name, value in request.headers.items()},
                await request.read(),
            )
        )
        reply = self.behaviour
        if self.later:
            self.behaviour = self.later.pop(0)
        if reply == "hang":
            await self.closing.wait()
            return web.Response()
        if reply == "reset":
            reset(request)
            return web.Response()
        return web.Response(status=reply.status, body=reply.body, headers=reply.headers)


def reset(request: web.Request) -> None:
    """Drop the connection with a TCP reset rather than an orderly end."""
    transport = request.transport
    assert transport is not None
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


@asynccontextmanager
async def running(*behaviours: Behaviour) -> AsyncIterator[Provider]:
    """A provider that meets each request with the next behaviour, all further with the last."""
    provider = Provider(*behaviours)
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", provider.handle)
    # Its access log would hold paths, and some APIs carry their token in the path.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield provider
    finally:
        provider.closing.set()
        await runner.cleanup()


@contextmanager
def closed_port() -> Any:
    """The URL of a port that is ours and refuses every connection."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
