"""Catch up: what customers sent while no webhook got through is listed by the provider and stored.

A hub cannot know which hooks it never heard of, so it asks: at its start, and then now and then.
For channels whose provider does not deliver again by itself (connector.CatchesUp).
"""

import asyncio
import random
from collections.abc import Callable

import structlog

from hub.channels import Channel, Channels
from hub.clock import MINUTE, SECOND, Clock, Micros
from hub.connector import CatchesUp
from hub.errors import SendFailed, StoreUnavailable
from hub.intake import Intake
from hub.metrics import Metrics
from hub.store import Store
from hub.store.missed import begin_catch_up, end_catch_up, known_keys, note_caught_up

log = structlog.get_logger(__name__)

EVERY = 60.0  # seconds
LONGEST_PAUSE = 900.0
STORE_PAUSE = 5.0
GRACE = 30 * SECOND
"""A message this young may have its hook on the way, which says more of it than a list."""
OVERLAP = 5 * MINUTE
"""What is looked at again: lists lag behind, and clocks of processes differ."""
SLICE = 10 * MINUTE
"""How much is listed and stored at a time, the oldest first."""
LEASE = 2 * MINUTE
BATCH = 50


class CatchingUp:
    """`alone`: no other process has this database. `hooks_wait`: whether hooks wait in the spool,
    which are to be stored first."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        channels: Channels,
        intake: Intake,
        metrics: Metrics,
        *,
        alone: bool,
        hooks_wait: Callable[[], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._channels = channels
        self._intake = intake
        self._metrics = metrics
        self._alone = alone
        self._hooks_wait = hooks_wait

    async def run(self) -> None:
        """Follow each channel that can be listed, for ever."""
        able = [(c, c.connector) for c in self._channels.all if isinstance(c.connector, CatchesUp)]
        async with asyncio.TaskGroup() as tasks:
            for channel, connector in able:
                if connector.look_back > 0:
                    tasks.create_task(self._follow(channel, connector))

    async def _follow(self, channel: Channel, connector: CatchesUp) -> None:
        fresh, failures = 0.0, 0
        while True:
            pause = EVERY
            try:
                await self.catch_up(channel, connector, fresh)
                fresh, failures = EVERY / 2, 0
            except StoreUnavailable as error:
                log.warning("catching up failed", channel=channel.name, error=str(error))
                pause = STORE_PAUSE
            except Exception as error:
                # A SendFailed, or a mistake of the connector: nothing was missed yet, for the
                # next look begins where this one did.
                failures += 1
                asked = error.retry_in if isinstance(error, SendFailed) else None
                pause = max(min(EVERY * 2**failures, LONGEST_PAUSE), asked or 0.0)
                reason = str(error) if isinstance(error, SendFailed) else ""
                name = type(error).__name__
                log.warning("catching up failed", channel=channel.name, error=name, reason=reason)
            await asyncio.sleep(pause * random.uniform(0.9, 1.1))

    async def catch_up(self, channel: Channel, connector: CatchesUp, fresh: float = 0.0) -> int:
        """Store what is missing of a channel, unless another process does so or has done so in
        the last `fresh` seconds; returns how many messages that were. Raises StoreUnavailable and
        a SendFailed; what was stored until then stays, and the next call goes on there."""
        if self._hooks_wait():
            return 0
        at = self._clock.now()
        until = at - GRACE
        due = until - round(fresh * SECOND)
        begun = await self._store.write(
            begin_catch_up, channel.id, until, due, LEASE, alone=self._alone
        )
        if begun is None:
            return 0
        oldest = at - round(connector.look_back * SECOND)
        if begun.since < oldest:
            log.warning("messages may be missed that are too old to list", channel=channel.name)
        since = max(begun.since - OVERLAP, oldest, begun.enrolled)
        try:
            return await self._list(channel, connector, since, until)
        finally:
            await asyncio.shield(self._store.write(end_catch_up, channel.id))

    async def _list(
        self, channel: Channel, connector: CatchesUp, since: Micros, until: Micros
    ) -> int:
        count = 0

        async def known(keys: list[str]) -> set[str]:
            return await self._store.read(known_keys, channel.id, keys)

        while since < until:
            end = min(since + SLICE, until)
            missed = await connector.list_missed(since, end, known)
            if not missed.is_whole:
                log.error("too many messages to list", channel=channel.name)
            for start in range(0, len(missed.found), BATCH):
                accepted = await self._intake.accept(channel, missed.found[start : start + BATCH])
                count += accepted.new
                self._metrics.caught_up(channel.name).inc(accepted.new)
            await self._store.write(note_caught_up, channel.id, end)
            since = end
        if count:
            log.warning("messages were missed and are here now", channel=channel.name, count=count)
        return count
