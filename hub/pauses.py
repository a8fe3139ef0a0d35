"""Pauses: a channel whose provider no longer takes the credentials keeps its queue, is tried again
now and then, and goes on by itself once it is mended.

The channel's row is what all processes go by. Each follows it, poked over the bus and by looking;
each trial is made by one of them.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog

from hub.bus import Bus, Signal
from hub.channels import Channel, Channels
from hub.clock import SECOND, Clock, Micros
from hub.connector import Identifies
from hub.errors import SendFailed
from hub.metrics import Metrics
from hub.outbox import Outbox
from hub.pool import look_for_ever
from hub.store import Store
from hub.store.pauses import (
    Pause,
    list_pauses,
    release,
    resume,
    take_trial,
    waiting_addresses,
)

log = structlog.get_logger(__name__)

DOUBLINGS = 4
"""How often the time between two trials doubles."""
PATIENCE = 30.0
TRIED = 3
"""Lines whose heads are tried, at most, until one of them tells whether the channel works."""

REMEDIES = {
    "whatsapp": "make a new token of a system user in Meta's Business settings, with"
    " whatsapp_business_messaging and whatsapp_business_management and the number's account"
    " assigned, and set access_token",
    "messenger": "make a new Page token with pages_messaging (best of a system user, which does not"
    " end), see that the app is still connected to the Page, and set access_token",
    "instagram": "connect the account to the app again, allow access to messages in the Instagram"
    " app, and set access_token",
    "twilio": "look at the account in Twilio's console (suspended, out of credit, sender not"
    " registered) and set account_sid and auth_token as they stand there",
    "telegram": "ask @BotFather for the bot's token and set bot_token",
    "email": "look at the mailbox's login (many providers want an app password) and set it anew",
    "sms_gateway": "look at the account at the gateway (balance, IP list, sender) and set its"
    " credentials anew",
}


def remedy(channel: str, kind: str) -> str:
    """What to do about a paused channel, in words."""
    what = REMEDIES.get(kind, "set the channel's credentials anew")
    return (
        f"{what} in channels.{channel}, then start the hub again; if it was mended at the provider"
        " alone, the hub goes on by itself"
    )


class Pauses:
    """`first`: seconds until a paused channel is tried again; `poll`: between looks at the rows."""

    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        outbox: Outbox,
        metrics: Metrics,
        *,
        first: float,
        poll: float,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._outbox = outbox
        self._metrics = metrics
        self._first = first
        self._poll = poll

    async def follow(self) -> None:
        """Keep what this process knows of pauses as the rows have it, for ever."""
        signal = Signal(self._bus, "channel")
        try:
            await look_for_ever("pauses", self.look, lambda: signal.wait(self._poll))
        finally:
            signal.close()

    async def look(self) -> None:
        """Take over what the rows say."""
        # What this process is about to write is not there yet.
        known = [one for one in self._channels.all if not one.pausing]
        found = await self._store.read(list_pauses, [one.id for one in known])
        for channel in known:
            pause = found.get(channel.id)
            if channel.pausing or bool(pause) == bool(channel.paused):
                continue
            channel.paused = pause.reason if pause else None
            if pause:
                log.error("channel is paused", channel=channel.name, code=pause.code)
            else:
                log.info("channel goes on", channel=channel.name)
                await self._wake(channel)

    async def run(self) -> None:
        """Try paused channels again, for ever."""
        often = min(self._poll, self._first / 4)
        await look_for_ever("trials", self.try_due, lambda: asyncio.sleep(often))

    async def try_due(self) -> None:
        """Try each channel whose time has come."""
        paused = [one.id for one in self._channels.all if one.paused]
        if not paused:
            return
        now = self._clock.now()
        found = await self._store.read(list_pauses, paused)
        due = [pause for pause in found.values() if self._due_at(pause) <= now]
        await asyncio.gather(*map(self._try, due))

    def _due_at(self, pause: Pause) -> Micros:
        wait = self._first * (1 << min(pause.trials, DOUBLINGS))
        return max(pause.at, pause.tried_at or 0) + round(wait * SECOND)

    async def _try(self, pause: Pause) -> None:
        if not await self._store.write(take_trial, pause, self._clock.now()):
            return
        channel = self._channels.by_id[pause.channel_id]
        self._metrics.pauses(channel.name, "tried").inc()
        try:
            async with asyncio.timeout(PATIENCE):
                works = False
                if isinstance(channel.connector, Identifies):
                    await channel.connector.who_am_i()
                    works = True
                judged = await self._try_one(channel)
                works = works if judged is None else judged
        except (SendFailed, TimeoutError) as error:
            code = error.code if isinstance(error, SendFailed) else ""
            name = type(error).__name__
            log.warning("channel stays paused", channel=channel.name, error=name, code=code)
            return
        except Exception as error:
            log.error("connector raised", channel=channel.name, error=type(error).__name__)
            return
        if works:
            await self.resume(channel)
        else:
            log.warning("channel stays paused", channel=channel.name)

    async def _try_one(self, channel: Channel) -> bool | None:
        """Send one of the messages that wait: an account may be known and yet not be let send.
        None: there was none to learn from."""
        await self._store.write(release, channel.id)
        for address_id in await self._store.read(waiting_addresses, channel.id, TRIED):
            works = await self._outbox.try_one(channel, address_id)
            if works is not None:
                return works
        return None

    async def resume(self, channel: Channel, *, forget: bool = False) -> bool:
        """End a channel's pause in all processes; its queue goes out in order. False: it is not
        paused. `forget` how often it was tried. Raises StoreUnavailable."""
        done = await self._store.write(resume, channel.id, self._clock.now(), forget=forget)
        if done:
            channel.paused = None
            self._metrics.pauses(channel.name, "resumed").inc()
            log.warning("channel resumed", channel=channel.name)
            self._bus.poke("change")
            await self._wake(channel)
        self._bus.poke("channel", channel.id)
        return done

    async def _wake(self, channel: Channel) -> None:
        for address_id in await self._store.read(waiting_addresses, channel.id):
            self._bus.poke("address", address_id)


@contextlib.asynccontextmanager
async def following(pauses: Pauses) -> AsyncIterator[None]:
    """Follow the pauses beside the block."""
    task = asyncio.create_task(pauses.follow())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
