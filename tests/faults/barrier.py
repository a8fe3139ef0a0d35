"""Requests that arrive together: on open connections, each but for its last byte, then all of
those at once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from tests.faults.hooks import Hook


class Connection:
    """One open connection to the hub that stays open from request to request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hold(self, hook: Hook, host: str) -> bytes:
        """Send all of the request but its last byte, which is returned."""
        lines = [f"POST {hook.path} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in hook.headers.items()]
        lines += [f"Content-Length: {len(hook.body)}", "", ""]
        request = "\r\n".join(lines).encode() + hook.body
        self._writer.write(request[:-1])
        await self._writer.drain()
        return request[-1:]

    async def release(self, last: bytes, barrier: asyncio.Barrier) -> int:
        """Send the last byte when all are ready: the status of the answer."""
        await barrier.wait()
        self._writer.write(last)
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = next(
            int(line.partition(":")[2])
            for line in head.split("\r\n")
            if line.startswith("content-length:")
        )
        await self._reader.readexactly(length)
        return int(head.split(" ", 2)[1])

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def connections(port: int, count: int) -> AsyncIterator[list[Connection]]:
    opened: list[Connection] = []
    try:
        for _ in range(count):
            opened.append(Connection(*await asyncio.open_connection("127.0.0.1", port)))
        yield opened
    finally:
        await asyncio.gather(*(one.close() for one in opened))


async def post_together(open_ones: Sequence[Connection], hooks: Sequence[Hook]) -> list[int]:
    """Post each hook on a connection of its own, all released by one barrier: the statuses."""
    pairs = list(zip(open_ones, hooks, strict=True))
    lasts = await asyncio.gather(*(one.hold(hook, "127.0.0.1") for one, hook in pairs))
    barrier = asyncio.Barrier(len(pairs))
    return list(
        await asyncio.gather(
            *(one.release(last, barrier) for (one, _), last in zip(pairs, lasts, strict=True))
        )
    )
