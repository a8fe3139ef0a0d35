"""What `onethread check` says of each channel: whose credentials it has and when they end, the URL
to give to the provider, and how it went lately."""

import asyncio
import contextlib
from collections.abc import Sequence

from hub.clock import DAY, Clock, Micros, iso
from hub.connector import Connector, Expires, Identifies
from hub.errors import HubError, SendFailed
from hub.pauses import remedy
from hub.settings import Settings
from hub.store import sqlite_path
from hub.store.channels import ChannelRow, State, Traffic, read_state, read_state_of
from hub.upkeep import SOON

Found = tuple[bool, str, str]
"""Whether it is well, what was looked at, and what is so or is to be mended."""


async def check_channels(settings: Settings, connectors: Sequence[Connector]) -> list[Found]:
    """Each channel, by its provider's word and by the hub's own rows."""
    rows, traffic = await _read_state(settings)
    of_app: dict[str, int] = {}
    for one in connectors:
        of_app[one.app] = of_app.get(one.app, 0) + 1

    def look(connector: Connector) -> "Look":
        row = rows.get((connector.channel.kind, connector.account(connector.settings)))
        flow = traffic.get(row.id, Traffic()) if row else Traffic()
        shares = settings.apps.meta is not None or of_app[connector.app] > 1
        app_url = f"{settings.hub.public_url}/hooks/{connector.app}"
        return Look(connector, row, flow, app_url if connector.app and shares else "")

    found = await asyncio.gather(*(look(connector).find() for connector in connectors))
    return [line for lines in found for line in lines]


async def _read_state(settings: Settings) -> State:
    # Where it cannot be read, the database's own line says what is wrong.
    with contextlib.suppress(HubError):
        if not settings.hub.on_sqlite:
            from hub.store.postgres import look

            return await look(settings.hub.database, read_state)
        if (path := sqlite_path(settings.hub.database)).exists():
            return await asyncio.to_thread(read_state_of, path)
    return {}, {}


class Look:
    """One channel looked at; `app_url` is the hook URL of its app, where one serves several."""

    def __init__(
        self, connector: Connector, row: ChannelRow | None, traffic: Traffic, app_url: str
    ) -> None:
        self._connector = connector
        self._row = row
        self._traffic = traffic
        self._app_url = app_url
        self._channel = connector.channel
        self._name = f"channels.{connector.channel.name}"
        self._remedy = remedy(connector.channel.name, connector.channel.kind)

    async def find(self) -> list[Found]:
        found = [await self._introduce()]
        if self._row and self._row.paused_reason:
            since = iso(self._row.paused_at) if self._row.paused_at else "its last start"
            told = f"paused since {since}, {self._traffic.waiting} messages wait"
            text = f"{told}: {self._row.paused_reason}; {self._remedy}"
            found.append((False, self._name, text))
        if found[0][0] and isinstance(self._connector, Expires):
            found += await self._find_end(self._connector)
        return found

    async def _introduce(self) -> Found:
        text = "; ".join(filter(None, (self._hook(), self._history())))
        if not isinstance(self._connector, Identifies):
            return True, self._name, text
        try:
            who = await self._connector.who_am_i()
        except SendFailed as error:
            code = f", code {error.code}" if error.code else ""
            text = f"{error.error_class}: {error.reason}{code}"
            if error.pauses_channel:
                text += f"; {self._remedy}"
            return False, self._name, text
        return True, self._name, f"{who}; {text}"

    def _hook(self) -> str:
        url = self._channel.hook_url
        if self._channel.kind == "webchat":
            return "visitors connect here"
        if self._channel.kind == "twilio":
            # Twilio does not redeliver unless its URL asks for it.
            return f"hook URL {url}#rc=3&rp=all"
        if self._app_url:
            return f"hook URL {self._app_url} for all channels of the app, or {url}"
        return f"hook URL {url}"

    def _history(self) -> str:
        """When it was last used and what waits or goes wrong, as far as there is any."""
        row, traffic, told = self._row, self._traffic, []
        if row and row.last_inbound_at:
            told.append(f"last inbound {iso(row.last_inbound_at)}")
        if row and row.last_send_at:
            told.append(f"last send {iso(row.last_send_at)}")
        if traffic.waiting:
            told.append(f"{traffic.waiting} messages wait")
        if traffic.failing:
            told.append(
                f"{traffic.failing} of {traffic.tried} messages of the last hour not accepted"
            )
        return ", ".join(told)

    async def _find_end(self, connector: Expires) -> list[Found]:
        """What there is to say of the credentials' end."""
        try:
            ends = await connector.expires_at()
        except SendFailed as error:
            if error.pauses_channel:
                text = f"the credentials' end: {error.reason}; {self._remedy}"
                return [(False, self._name, text)]
            # Not every token may ask; what was known of it is in the row.
            ends = self._row.expires_at if self._row else None
        return [] if ends is None else [self._judge_end(ends)]

    def _judge_end(self, ends: Micros) -> Found:
        left = ends - Clock().now()
        if left <= 0:
            return False, self._name, f"the credentials ended {iso(ends)}; {self._remedy}"
        days = left // DAY
        if left < SOON:
            text = f"the credentials end {iso(ends)}, in {days} days; {self._remedy}"
            return False, self._name, text
        return True, self._name, f"the credentials end {iso(ends)}, in {days} days"
