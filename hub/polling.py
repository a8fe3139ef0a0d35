"""Poll: channels that are asked for their messages rather than called (connector.Polls).

One poller for each such channel, over all processes of a hub. What it is handed is stored as a
webhook's body would be, so that a poller may die anywhere: what was not committed comes again,
and what was is known.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from hub.channels import Channel, Channels
from hub.clock import SECOND, Micros
from hub.connector import Hook, Polls
from hub.errors import SendFailed, StoreUnavailable
from hub.intake import Intake
from hub.metrics import Metrics
from hub.rate import retry_delay
from hub.store import Store
from hub.store.polls import end_poll, keep_poll, take_poll

log = structlog.get_logger(__name__)

LEASE = 30.0
"""Seconds without a sign of life after which another process polls."""
LONGEST_PAUSE = 60.0
MISCONFIGURED_PAUSE = 300.0
STEADY = 60.0
"""Seconds a poll has to last to count as working, where nothing came."""


@dataclass(slots=True)
class Lease:
    """`held` is its end by the database's clock, 0 while it is another's; `ends` is when it may be
    another's by ours. `writing` is what was asked of the database last."""

    held: Micros
    ends: float
    writing: asyncio.Future[Micros | None] | None = None


class Polling:
    """`alone`: no other process has this database. `pause`: seconds until a provider that refuses
    the credentials is asked again."""

    def __init__(
        self,
        store: Store,
        channels: Channels,
        intake: Intake,
        metrics: Metrics,
        *,
        alone: bool,
        lease: float = LEASE,
        pause: float = MISCONFIGURED_PAUSE,
    ) -> None:
        self._store = store
        self._channels = channels
        self._intake = intake
        self._metrics = metrics
        self._alone = alone
        self._lease = lease
        self._pause = pause

    async def run(self) -> None:
        """Poll each channel that is to be polled, for ever."""
        async with asyncio.TaskGroup() as tasks:
            for channel in self._channels.all:
                if isinstance(channel.connector, Polls) and channel.connector.polls:
                    tasks.create_task(self._follow(channel, channel.connector))

    async def _follow(self, channel: Channel, connector: Polls) -> None:
        poller = Poller(channel, connector, self._intake, self._metrics, self._pause)
        while True:
            pause = self._lease / 3 * random.uniform(0.8, 1.2)
            try:
                async with self._leased(channel) as is_ours:
                    if is_ours:
                        await poller.poll()
            except Exception as error:
                pause = poller.fail(error)
            await asyncio.sleep(pause)

    @contextlib.asynccontextmanager
    async def _leased(self, channel: Channel) -> AsyncIterator[bool]:
        """Hold the channel's lease as long as the block lasts; False where another process does.
        A lease that is lost cuts the block off."""
        if self._alone:
            yield True
            return
        begun = time.monotonic()
        lease = Lease(0, begun + self._lease)
        try:
            if not await self._write(lease, take_poll, channel.id, self._micros):
                yield False
                return
            async with asyncio.timeout(None) as limit:
                renewing = asyncio.create_task(self._renew(channel, lease, limit))
                try:
                    yield True
                finally:
                    renewing.cancel()
        except TimeoutError:
            if not limit.expired():
                raise
            log.warning("polling was taken over", channel=channel.name)
        finally:
            await asyncio.shield(self._end(channel, lease))

    async def _write(self, lease: Lease, work: Callable[..., Micros | None], *given: Any) -> bool:
        """Take or keep the lease. What is cancelled meanwhile is still written, and is ended."""
        lease.writing = asyncio.ensure_future(self._store.write(work, *given))
        held = await asyncio.shield(lease.writing)
        lease.held = held or 0
        return held is not None

    async def _end(self, channel: Channel, lease: Lease) -> None:
        held = lease.held
        with contextlib.suppress(StoreUnavailable):
            held = (await lease.writing if lease.writing else None) or held
        with contextlib.suppress(StoreUnavailable):
            if held:
                await self._store.write(end_poll, channel.id, held)

    async def _renew(self, channel: Channel, lease: Lease, limit: asyncio.Timeout) -> None:
        """Keep the lease; end the block before it can be another's."""
        while True:
            limit.reschedule(asyncio.get_running_loop().time() + lease.ends - time.monotonic())
            await asyncio.sleep(self._lease / 3)
            begun = time.monotonic()
            try:
                kept = await self._write(lease, keep_poll, channel.id, lease.held, self._micros)
            except StoreUnavailable:
                continue
            if not kept:
                limit.reschedule(asyncio.get_running_loop().time())
                return
            lease.ends = begun + self._lease

    @property
    def _micros(self) -> Micros:
        return round(self._lease * SECOND)


class Poller:
    """Polls one channel and knows how that went."""

    def __init__(
        self,
        channel: Channel,
        connector: Polls,
        intake: Intake,
        metrics: Metrics,
        pause: float = MISCONFIGURED_PAUSE,
    ) -> None:
        self._channel = channel
        self._connector = connector
        self._intake = intake
        self._metrics = metrics
        self._pause = pause
        self._failures = 0
        metrics.poll_failures(channel.name)  # it begins at 0, not at 1

    async def poll(self) -> None:
        """Poll until it fails: raises what `Polls.poll` raises. It ends only by an error."""
        steady = asyncio.get_running_loop().call_later(STEADY, self._note_works)
        polling = self._metrics.polling(self._channel.name)
        polling.set(1)
        try:
            await self._connector.poll(self._keep)
        finally:
            steady.cancel()
            polling.set(0)

    async def _keep(self, hook: Hook) -> None:
        await self._intake.take(self._channel, hook)
        self._metrics.hooks(self._channel.name, "accepted").inc()
        self._note_works()

    def _note_works(self) -> None:
        self._failures, self._channel.poll_error = 0, ""

    def fail(self, error: Exception) -> float:
        """Say what went wrong; seconds until the next try."""
        channel = self._channel
        self._failures += 1
        self._metrics.poll_failures(channel.name).inc()
        known = isinstance(error, SendFailed | StoreUnavailable)
        channel.poll_error = (str(error) if known else "") or type(error).__name__
        code = error.code if isinstance(error, SendFailed) else ""
        told = {"channel": channel.name, "error": type(error).__name__, "code": code}
        if isinstance(error, SendFailed) and error.pauses_channel:
            log.error("polling paused", reason=channel.poll_error, **told)
            return self._pause * random.uniform(0.8, 1.2)
        if known:
            log.warning("polling failed", reason=channel.poll_error, **told)
        else:
            log.error("connector raised", exc_info=True, **told)
        wish = error.retry_in if isinstance(error, SendFailed) else None
        return max(min(retry_delay(self._failures, None, random.random), LONGEST_PAUSE), wish or 0)
