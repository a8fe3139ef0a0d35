"""Subscribe: providers that must be told where to call are told at the start of a process that
works (connector.Subscribes)."""

import asyncio
import random

import structlog

from hub.channels import Channel, Channels
from hub.connector import Subscribes
from hub.errors import SendFailed

log = structlog.get_logger(__name__)

PAUSE = 5.0
LONGEST_PAUSE = 600.0


class Subscribing:
    """`pause`: seconds until a provider that could not be told is told again, doubled each time."""

    def __init__(self, channels: Channels, pause: float = PAUSE) -> None:
        self._channels = channels
        self._pause = pause

    async def run(self) -> None:
        """Tell each provider once, however long that takes."""
        able = [one for one in self._channels.all if isinstance(one.connector, Subscribes)]
        await asyncio.gather(*(self._tell(channel) for channel in able))

    async def _tell(self, channel: Channel) -> None:
        assert isinstance(channel.connector, Subscribes)
        pause = self._pause
        while True:
            try:
                await channel.connector.subscribe()
            except SendFailed as error:
                log.warning("not subscribed", channel=channel.name, reason=error.reason)
            except Exception as error:
                log.error("connector raised", channel=channel.name, error=type(error).__name__)
            else:
                return
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))
            pause = min(pause * 2, LONGEST_PAUSE)
