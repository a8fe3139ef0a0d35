"""Keep what providers think of our templates: listed at the start, then every few hours, and soon
after a provider tells of a change."""

import asyncio
import random

import structlog

from hub.bus import Bus, Signal
from hub.channels import Channel, Channels
from hub.clock import SECOND, Clock
from hub.connector import SyncsTemplates
from hub.errors import Misconfigured, SendFailed, StoreUnavailable
from hub.store import Store
from hub.store.templates import keep_templates, last_synced

log = structlog.get_logger(__name__)

EVERY = 3 * 3600.0  # seconds
LONGEST_PAUSE = 3600.0
FIRST_PAUSE = 60.0
SETTLE = 5.0
"""Changes come in bunches, and what a list says lags behind them."""


class TemplateSync:
    """`settle`: seconds to wait after a provider told of a change, for more of them."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, channels: Channels, settle: float = SETTLE
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._settle = settle

    async def run(self) -> None:
        """Follow each channel whose provider approves templates, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for channel in self._channels.all:
                if channel.limits.templates and isinstance(channel.connector, SyncsTemplates):
                    tasks.create_task(self._follow(channel, channel.connector))

    async def _follow(self, channel: Channel, connector: SyncsTemplates) -> None:
        changed = Signal(self._bus, "template")
        fresh, failures = EVERY / 2, 0
        while True:
            pause = EVERY
            try:
                await self.sync(channel, connector, fresh)
                failures = 0
            except StoreUnavailable as error:
                log.warning("templates not synced", channel=channel.name, error=str(error))
                pause = FIRST_PAUSE
            except Exception as error:
                pause = min(FIRST_PAUSE * 4**failures, LONGEST_PAUSE)
                failures += 1
                reason = str(error) if isinstance(error, SendFailed) else type(error).__name__
                # What is not set up yet is for `check` to say, not for the log each hour.
                level = log.debug if isinstance(error, Misconfigured) else log.warning
                level("templates not synced", channel=channel.name, reason=reason)
            fresh = EVERY / 2
            if await changed.wait(pause * random.uniform(0.9, 1.1)):
                fresh = 0.0
                await asyncio.sleep(self._settle)

    async def sync(self, channel: Channel, connector: SyncsTemplates, fresh: float = 0.0) -> bool:
        """List the channel's templates, unless a process has done so in the last `fresh` seconds.
        Raises a SendFailed and StoreUnavailable."""
        last = await self._store.read(last_synced, channel.id)
        if fresh and last > self._clock.now() - round(fresh * SECOND):
            return False
        listed = await connector.list_templates()
        await self._store.write(keep_templates, channel.id, listed, self._clock.now())
        return True
