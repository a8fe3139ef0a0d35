"""Drain: what waits in the spool is stored as soon as the database can be written again."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Mapping

import structlog

from hub.channels import Channel, Channels
from hub.errors import StoreUnavailable
from hub.intake import Intake
from hub.spool import BATCH, Spool, spool_key
from hub.spool_files import Batch

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
ADOPT_EVERY = 5.0
TRIES = 12
"""How often one hook is tried that intake itself cannot store, while the database can be written:
with the pauses between them about 40 s. Then it is put aside, since all others wait behind it."""


class Drain:
    """Stores the oldest hooks first, in their order, until none waits."""

    def __init__(
        self,
        spool: Spool,
        intake: Intake,
        channels: Mapping[str, Channel],
        longest_pause: float = LONGEST_PAUSE,
    ) -> None:
        self._spool = spool
        self._longest_pause = longest_pause
        self._intake = intake
        self._channels = channels
        self._tries = 0
        self._works = False

    async def run(self) -> None:
        """Until it is cancelled. A hook in hand then is stored again after the next start, if it
        was not yet noted as stored, and intake knows it."""
        pause = FIRST_PAUSE
        while True:
            await self._wait()
            try:
                stored = await self._round()
            except StoreUnavailable:
                stored = False
            except Exception as error:
                log.error("spooled hooks not stored", error=type(error).__name__, exc_info=True)
                stored = False
            self._works = stored
            if stored:
                pause = FIRST_PAUSE
                continue
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, self._longest_pause)

    async def _wait(self) -> None:
        """Until something waits; now and then look for what other processes left behind."""
        while not self._spool.waiting():
            self._spool.filled.clear()
            try:
                await asyncio.wait_for(self._spool.filled.wait(), ADOPT_EVERY)
            except TimeoutError:
                await self._spool.adopt()

    async def _round(self) -> bool:
        """One batch. False when it has to be tried again. Raises StoreUnavailable."""
        batch = await self._spool.read(1 if self._tries else BATCH)
        if not self._works:
            return await self._store(batch)
        async with self._spool.ending(batch):
            return await self._store(batch)

    async def _store(self, batch: Batch) -> bool:
        hooks = [(self._channels[key], hook) for key, hook in batch.hooks]
        aside = False
        try:
            if self._tries:
                for channel, hook in hooks:
                    await self._intake.take(channel, hook)
            else:
                await self._intake.take_all(hooks)
        except StoreUnavailable:
            raise
        except Exception as error:
            # Together they fail for one of them: the next tries take one hook at a time.
            self._tries += 1
            log.error("spooled hooks not stored", error=type(error).__name__)
            if self._tries <= TRIES:
                return False
            aside = True
        await self._spool.advance(batch, aside=aside)
        self._tries = 0
        return True


@contextlib.asynccontextmanager
async def draining(spool: Spool, intake: Intake, channels: Channels) -> AsyncIterator[None]:
    """Open the spool and drain it beside the block."""
    by_key = {spool_key(one.kind, one.account): one for one in channels.all}
    await spool.open(by_key.keys())
    task = asyncio.create_task(Drain(spool, intake, by_key).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await spool.close()
