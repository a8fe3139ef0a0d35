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
    """Stores the oldest hooks of each channel first, in their order, until none waits."""

    def __init__(self, spool: Spool, intake: Intake, channels: Channels) -> None:
        self._spool = spool
        self._intake = intake
        self._channels: Mapping[str, Channel] = {
            spool_key(one.kind, one.account): one for one in channels.all
        }
        self._tries: dict[str, int] = {}
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
            pause = min(pause * 2, LONGEST_PAUSE)

    def _keys(self) -> list[str]:
        """What waits for a channel that is no longer configured stays where it is."""
        return [key for key in self._spool.waiting_keys() if key in self._channels]

    async def _wait(self) -> None:
        """Until something waits; now and then look for what other processes left behind."""
        while not self._keys():
            self._spool.filled.clear()
            try:
                await asyncio.wait_for(self._spool.filled.wait(), ADOPT_EVERY)
            except TimeoutError:
                await self._spool.adopt()

    async def _round(self) -> bool:
        """A batch of each channel. False when one of them has to be tried again. Raises
        StoreUnavailable."""
        done = True
        for key in self._keys():
            tried = self._tries.get(key, 0)
            batch = await self._spool.read(key, 1 if tried else BATCH)
            if self._works:
                async with self._spool.ending(batch):
                    done &= await self._store(batch, tried)
            else:
                done &= await self._store(batch, tried)
        return done

    async def _store(self, batch: Batch, tried: int) -> bool:
        channel = self._channels[batch.key]
        aside = False
        try:
            if tried:
                for hook in batch.hooks:
                    await self._intake.take(channel, hook)
            else:
                await self._intake.take_all(channel, batch.hooks)
        except StoreUnavailable:
            raise
        except Exception as error:
            # Together they fail for one of them: the next tries take one hook at a time.
            self._tries[batch.key] = tried + 1
            log.error("spooled hooks not stored", channel=channel.name, error=type(error).__name__)
            if tried < TRIES:
                return not tried
            aside = True
        await self._spool.advance(batch, aside=aside)
        self._tries.pop(batch.key, None)
        return True


@contextlib.asynccontextmanager
async def draining(spool: Spool, intake: Intake, channels: Channels) -> AsyncIterator[None]:
    """Open the spool and drain it beside the block."""
    await spool.open()
    task = asyncio.create_task(Drain(spool, intake, channels).run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await spool.close()
