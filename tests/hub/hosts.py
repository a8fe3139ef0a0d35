"""Real servers on 127.0.0.1 and a resolver of made-up names, for tests of fetching."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + bytes(range(256)) * 8
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Server:
    """A real web server on 127.0.0.1, remembering each request's path and headers."""

    def __init__(self) -> None:
        self.port = 0
        self.seen: list[tuple[str, dict[str, str]]] = []

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def serve(answer: Handler, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Server]:
    server = Server()

    async def receive(request: web.Request) -> web.StreamResponse:
        server.seen.append((request.raw_path, dict(request.headers)))
        return await answer(request)

    runner = web.ServerRunner(web.Server(receive), shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serve_bytes(*pieces: bytes, pause: float = 0.0) -> AsyncIterator[str]:
    """A server that answers any request with exactly these bytes; its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await server.wait_closed()


class Names(AbstractResolver):
    """Names resolved from a table, a further answer with each question."""

    def __init__(self, table: dict[str, list[Sequence[str]]]) -> None:
        self.table = table

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        answers = self.table.get(host) or []
        if not answers:
            raise OSError(f"no such name: {host}")
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host, host=one, port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for one in found
        ]

    async def close(self) -> None:
        pass


async def picture(request: web.Request) -> web.StreamResponse:
    return web.Response(body=PNG, content_type="application/octet-stream")
