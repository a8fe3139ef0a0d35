"""Retry: raw hooks that could not be used, read again when somebody asked for it.

The wish is in the database (store.retries), written by a command or by the API, so that it is kept
however the hub ends, and no matter which process does it.
"""

import asyncio

import structlog

from hub.bus import Bus
from hub.channels import Channels
from hub.clock import SECOND, Clock
from hub.connector import Hook
from hub.errors import StoreUnavailable
from hub.intake import Intake
from hub.pool import look_for_ever
from hub.store import Store
from hub.store.dead import RawHook
from hub.store.retries import DueHook, fail_again, is_due, take_due

log = structlog.get_logger(__name__)

AT_ONCE = 4
GIVEN_UP_AFTER = 300  # seconds after which one that was begun and not settled is due again


class Retrying:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        intake: Intake,
        poll: float,
    ) -> None:
        """`poll`: seconds between looks at the store."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._intake = intake
        self._poll = poll

    async def run(self) -> None:
        """Read again what is due, for ever."""
        await look_for_ever("hooks", self.retry_due, lambda: asyncio.sleep(self._poll))

    async def retry_due(self) -> int:
        """Read a few that are due; returns how many there were."""
        at = self._clock.now()
        if not await self._store.read(is_due, at):
            return 0
        due = await self._store.write(take_due, at, at + GIVEN_UP_AFTER * SECOND, AT_ONCE)
        for one in due:
            await self._retry(one)
        if due:
            self._bus.poke("change")
        return len(due)

    async def _retry(self, due: DueHook) -> None:
        reason = ""
        channel = self._channels.by_name.get(due.channel)
        if channel is None:
            reason = f"the settings have no channel {due.channel} now"
        elif due.raw is None:
            reason = "the webhook itself is deleted"
        else:
            raw = hook_of(due.raw, channel.connector.channel.hook_url)
            try:
                await self._intake.take_again(channel, due.id, raw)
            except StoreUnavailable:
                raise
            except Exception as error:
                # It must not stop the others; its letter says why.
                log.error("hook not read again", hook=due.id.hex(), error=type(error).__name__)
                reason = f"cannot be stored: {type(error).__name__}"
        if reason:
            await self._store.write(fail_again, due.id, reason)


def hook_of(kept: RawHook, url: str) -> Hook:
    """The webhook as it came, with the headers that are kept of it."""
    headers = dict(line.split(": ", 1) for line in kept.signature.splitlines())
    headers["content-type"] = kept.content_type
    if kept.query:
        url = f"{url}?{kept.query}"
    return Hook(kept.method, url, kept.query, headers, kept.body, kept.received_at)
