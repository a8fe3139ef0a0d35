"""Names: customers whom no webhook names are looked up where the platform knows them
(connector.Introduces), once each, beside everything else.

No message waits for a name and none is lost with one. An address is asked about by one process;
should that die meanwhile, it stays without a name until its customer is named by hand.
"""

import asyncio
import time

import structlog

from hub.bus import Bus
from hub.channels import Channels
from hub.clock import Clock
from hub.connector import Introduces
from hub.errors import SendFailed
from hub.pool import look_for_ever
from hub.store import Store
from hub.store.names import Nameless, ask_again, give_name, is_nameless, take_nameless

log = structlog.get_logger(__name__)

AT_ONCE = 8
LOOK_BACK = 24 * 3600.0
"""Seconds back to look for customers who came while no process ran, or nobody could be asked."""
RECENT = 600.0
"""The same once those are through."""
PAUSE = 2.0
LONGEST_PAUSE = 300.0


class Naming:
    """`pause`: seconds between looks."""

    def __init__(
        self, store: Store, bus: Bus, clock: Clock, channels: Channels, pause: float = PAUSE
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._able = {
            channel.id: channel.connector
            for channel in channels.all
            if isinstance(channel.connector, Introduces)
        }
        self._pause = self._next = pause
        self._back = LOOK_BACK

    async def run(self) -> None:
        """Look up who came, for ever."""
        if self._able:
            await look_for_ever("names", self.look, lambda: asyncio.sleep(self._next))

    async def look(self) -> int:
        """Ask about a few; returns how many were asked about."""
        # Addresses' ids begin with the real time, whatever the clock says.
        since = round((time.time() - self._back) * 1000).to_bytes(6) + bytes(10)
        able = list(self._able)
        if not await self._store.read(is_nameless, able, since):
            self._back = RECENT
            return 0
        nameless = await self._store.write(take_nameless, able, since, AT_ONCE)
        unasked = [
            address.id
            for address, asked in zip(
                nameless, await asyncio.gather(*map(self._ask, nameless)), strict=True
            )
            if not asked
        ]
        self._next = min(self._next * 2, LONGEST_PAUSE) if unasked else self._pause
        if unasked:
            self._back = LOOK_BACK
            await self._store.write(ask_again, unasked)
        return len(nameless) - len(unasked)

    async def _ask(self, address: Nameless) -> bool:
        """Whether the platform could be asked."""
        connector = self._able[address.channel_id]
        try:
            profile = await connector.look_up_profile(address.external_id)
        except SendFailed as error:
            if not error.final:
                return False
            log.info("customer not named", address=address.id.hex(), reason=str(error))
            return True
        await self._store.write(give_name, address, profile, self._clock.now())
        self._bus.poke("change")
        return True
