"""One reader of the changes for all sockets of this process.

It is woken by the bus, looks once a second all the same, and rests while nobody listens.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Protocol

import structlog
from aiohttp import web

from hub.bus import Bus, Signal
from hub.errors import StoreUnavailable
from hub.store.changes import START, Change, Place, changes_after, newest_place
from hub.store.sql import Store

log = structlog.get_logger(__name__)

POLL = 1.0
PAGE = 500
# Changes of this long are told together, so that a burst costs each socket one frame, not many.
PAUSE = 0.02


class Listener(Protocol):
    async def load(self, changes: list[Change]) -> Callable[[], None]:
        """Load what the changes are about; the result hands it to the sockets and must not
        block. All listeners are called in the same step as `Feed.place` moves."""
        ...


class Feed:
    """Whoever registers a socket in the same step as it reads `place` misses nothing after that
    place and gets nothing before it."""

    def __init__(self, store: Store, bus: Bus) -> None:
        self.place: Place = START
        self.listeners: list[Listener] = []
        self._store = store
        self._bus = bus
        self._members = 0
        self._running = False
        self._awake = asyncio.Event()
        self._moved = asyncio.Event()
        self._starting = asyncio.Lock()

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        """While inside, `place` is kept moving."""
        self._members += 1
        try:
            async with self._starting:
                if not self._running:
                    self.place = await self._store.read(newest_place)
                    self._running = True
                    self._awake.set()
            yield
        finally:
            self._members -= 1

    async def reach(self, place: Place) -> None:
        """Wait until `place` is at least there."""
        while self.place < place:
            await self._moved.wait()

    async def run(self) -> None:
        signal = Signal(self._bus, "change")
        try:
            while True:
                if not self._members:
                    self._running = False
                    self._awake.clear()
                    await self._awake.wait()
                    continue
                try:
                    found = await self._step()
                except StoreUnavailable:
                    found = 0
                except Exception:
                    log.exception("live updates failed")
                    found = 0
                if found == 0:
                    await signal.wait(POLL)
                elif found < PAGE:
                    await asyncio.sleep(PAUSE)
        finally:
            signal.close()

    async def _step(self) -> int:
        changes = await self._store.read(changes_after, self.place, PAGE)
        if not changes:
            return 0
        handing = [await listener.load(changes) for listener in self.listeners]
        self.place = changes[-1].place
        for hand in handing:
            hand()
        self._moved.set()
        self._moved = asyncio.Event()
        return len(changes)


FEED: web.AppKey[Feed] = web.AppKey("feed", Feed)


async def follow(app: web.Application) -> AsyncIterator[None]:
    """Run the feed while the application runs (for `cleanup_ctx`)."""
    task = asyncio.create_task(app[FEED].run(), name="feed")
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
