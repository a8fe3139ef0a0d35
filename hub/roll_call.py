"""Roll call: before anything is sent again, every process says that its spool is empty.

A hook in the spool of another process may be the receipt of a send whose outcome is unknown here.
So each process with a spool writes into the database every second that it lives, and up to when
all it spooled is stored.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Never

from hub.clock import SECOND, Micros, new_id
from hub.errors import StoreUnavailable
from hub.pool import look_for_ever
from hub.store import Store
from hub.store.spools import leave, may_wait_elsewhere, report
from hub.store.sql import lease_now

EVERY = 1.0
SILENCE = 20.0
"""Seconds of silence, at least, after which a process is gone: it may take that long until it
notices that the database is back."""


class RollCall:
    """`waiting`: how many hooks wait in this process. `patience`: seconds of silence after which
    another process is gone, counted from when the database can be reached."""

    def __init__(self, store: Store, waiting: Callable[[], int], patience: float) -> None:
        self._store = store
        self._waiting = waiting
        self._patience = round(patience * SECOND)
        self._name = new_id().hex()
        self._reported: Micros | None = None
        self._reached: Micros | None = None
        self._asked: dict[bytes, Micros] = {}

    async def is_open(self, row_id: bytes) -> bool:
        """May the receipt of this send wait in another process? True until each has said, after
        the first time that this was asked, that all is stored."""
        reached = self._reached
        if reached is None:
            return True
        now = await self._store.read(lease_now)
        if self._asked.get(row_id, 0) < reached:
            # Asked for the first time since the database was away.
            self._asked[row_id] = now
        asked = self._asked[row_id]
        heard = now - self._patience if reached <= now - self._patience else 0
        if await self._store.read(may_wait_elsewhere, self._name, asked, heard):
            return True
        self._asked.pop(row_id, None)
        return self._reached != reached

    async def report(self) -> None:
        """What was spooled before the last report came back is stored, if nothing waits now."""
        stored_to = self._reported if not self._waiting() else None
        try:
            self._reported = await self._store.write(report, self._name, stored_to)
        except StoreUnavailable:
            self._reached = None
            raise
        if self._reached is None:
            self._asked.clear()
            self._reached = self._reported

    async def run(self) -> Never:
        await look_for_ever("roll call", self.report, partial(asyncio.sleep, EVERY))

    async def end(self) -> None:
        """To be called when no hook comes any more."""
        if not self._waiting():
            with contextlib.suppress(StoreUnavailable):
                await self._store.write(leave, self._name)


@contextlib.asynccontextmanager
async def calling(roll: RollCall) -> AsyncIterator[None]:
    """Answer the roll call as long as the block lasts."""
    task = asyncio.create_task(roll.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await roll.end()
