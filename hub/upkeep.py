"""Upkeep: what shows how a channel is, written to its row now and then: when it was last used, and
when its credentials end."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import structlog

from hub.channels import Channel, Channels
from hub.clock import DAY, SECOND, Clock, Micros
from hub.connector import Expires
from hub.errors import SendFailed, StoreUnavailable
from hub.pool import look_for_ever
from hub.store import Store
from hub.store.channels import note_expiry, note_use, take_expiry

log = structlog.get_logger(__name__)

NOTE_EVERY = 10.0
ASK_EVERY = 6 * 3600.0
LOOK_EVERY = 60.0
PATIENCE = 30.0
SOON = 7 * DAY
"""How long before the end of credentials they are worth a warning."""


class Upkeep:
    def __init__(self, store: Store, clock: Clock, channels: Channels) -> None:
        self._store = store
        self._clock = clock
        self._channels = channels
        self._noted: dict[bytes, tuple[Micros | None, Micros | None]] = {}

    async def note(self) -> None:
        """Write down when this process last used its channels, where that is news. Raises
        StoreUnavailable."""
        used = {one.id: (one.inbound_at, one.sent_at) for one in self._channels.all}
        news = {
            id: times for id, times in used.items() if times != self._noted.get(id, (None, None))
        }
        if news:
            await self._store.write(note_use, news)
            self._noted.update(news)

    async def run(self) -> None:
        """Ask each channel that can tell when its credentials end, for ever."""
        able = [c for c in self._channels.all if isinstance(c.connector, Expires)]
        if not able:
            return

        async def look() -> None:
            await asyncio.gather(*map(self.ask, able))

        async def pause() -> None:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.8, 1.2))

        await look_for_ever("credentials", look, pause)

    async def ask(self, channel: Channel) -> None:
        """Ask one channel, unless a process did in the last hours. Raises StoreUnavailable."""
        assert isinstance(channel.connector, Expires)
        now = self._clock.now()
        if not await self._store.write(
            take_expiry, channel.id, now, now - round(ASK_EVERY * SECOND)
        ):
            return
        try:
            async with asyncio.timeout(PATIENCE):
                ends = await channel.connector.expires_at()
        except (SendFailed, TimeoutError) as error:
            code = error.code if isinstance(error, SendFailed) else ""
            name = type(error).__name__
            log.info("end of credentials not known", channel=channel.name, error=name, code=code)
            return
        except Exception as error:
            log.error("connector raised", channel=channel.name, error=type(error).__name__)
            return
        await self._store.write(note_expiry, channel.id, ends)
        if ends is not None and ends < now + SOON:
            log.warning("credentials end soon", channel=channel.name, days=(ends - now) // DAY)


@contextlib.asynccontextmanager
async def noting(upkeep: Upkeep) -> AsyncIterator[None]:
    """Note the use of channels beside the block, and what is left at its end."""
    task = asyncio.create_task(look_for_ever("use", upkeep.note, lambda: asyncio.sleep(NOTE_EVERY)))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(StoreUnavailable):
            await upkeep.note()
