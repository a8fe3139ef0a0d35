"""One client's way out: frames wait in a bounded queue, and only while there are any does a
task exist to write them, so that an idle socket costs little."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Self

from aiohttp import web

QUEUE = 256
CLOSING = 2.0

# Close codes: RFC 6455's, and from 4000 on those of the web-chat protocol.
GOING_AWAY, RESTART, TRY_LATER = 1001, 1012, 1013
TOKEN_EXPIRED, BAD_FRAME, SLOW, RATE_LIMITED = 4001, 4002, 4008, 4029


@dataclass(frozen=True, slots=True)
class Frame:
    """JSON text, made once for all who get it. `cursor`: where whoever has it has got to."""

    text: str
    cursor: str = ""


PING = Frame("")
"""A ping of the transport's own: a browser answers it without any script."""


class Outlet:
    """`send` writes one frame, `close` ends the connection with a close code, at once when the
    client does not take part."""

    __slots__ = ("_close", "_queue", "_task", "closed", "heard", "send")

    def __init__(
        self,
        send: Callable[[Frame], Awaitable[None]],
        close: Callable[[int], Awaitable[None]],
    ) -> None:
        self.send = send
        self._close = close
        self._queue: deque[Frame] | None = None
        self._task: asyncio.Task[None] | None = None
        self.closed = False
        self.heard = time.monotonic()

    def put(self, frame: Frame) -> None:
        """Send it after what waits; a client too slow for that is disconnected."""
        if self.closed:
            return
        if self._queue is None:
            self._queue = deque()
        if len(self._queue) >= QUEUE:
            self.close(SLOW)
            return
        self._queue.append(frame)
        if self._task is None:
            self._task = asyncio.create_task(self._drain(self._queue))

    def close(self, code: int) -> None:
        """End the connection once what waits is written; a slow one at once."""
        if self.closed:
            return
        self.closed = True
        writing = self._task if self._task is not asyncio.current_task() else None
        if writing and code == SLOW:
            writing.cancel()
        self._task = asyncio.create_task(self._end(code, None if code == SLOW else writing))

    @classmethod
    def over(cls, request: web.Request, ws: web.WebSocketResponse) -> Self:
        """The way out through a socket."""

        async def send(frame: Frame) -> None:
            if frame is PING:
                await ws.ping()
            else:
                await ws.send_str(frame.text)

        async def close(code: int) -> None:
            try:
                async with asyncio.timeout(CLOSING):
                    await ws.close(code=code, drain=False)
            except TimeoutError:
                if request.transport:
                    request.transport.abort()

        return cls(send, close)

    async def _drain(self, queue: deque[Frame]) -> None:
        try:
            while queue:
                await self.send(queue[0])
                queue.popleft()
        except (ConnectionError, RuntimeError):
            self.close(GOING_AWAY)
        finally:
            self._queue = None
            if not self.closed:
                self._task = None

    async def _end(self, code: int, before: asyncio.Task[None] | None) -> None:
        if before:
            await asyncio.wait([before], timeout=CLOSING)
        with suppress(ConnectionError, RuntimeError):
            await self._close(code)


def ping_all(outlets: Iterable[Outlet], ping: Frame, every: float) -> None:
    """Ping each, and drop those of whom nothing was heard for two pings."""
    now = time.monotonic()
    for outlet in tuple(outlets):
        if now - outlet.heard > 2.2 * every:
            outlet.close(GOING_AWAY)
        else:
            outlet.put(ping)
