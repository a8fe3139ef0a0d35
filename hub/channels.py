"""The configured channels of this process: each with its row's id and its connector."""

from collections.abc import Iterable
from dataclasses import dataclass

from hub.connector import ChannelSettings, Connector, Limits


@dataclass(slots=True)
class Channel:
    """One configured account. `paused` is why nothing is sent now, or None; `poll_error` why
    asking for its messages failed last, where this process asks, or nothing."""

    id: bytes
    name: str
    kind: str
    account: str
    settings: ChannelSettings
    connector: Connector
    paused: str | None = None
    poll_error: str = ""

    @property
    def limits(self) -> Limits:
        return self.connector.limits


class Channels:
    """Looks channels up by the settings' name, by row id, and by (kind, account)."""

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self.all = list(channels)
        self.by_name = {c.name: c for c in self.all}
        self.by_id = {c.id: c for c in self.all}
        self.by_account = {(c.kind, c.account): c for c in self.all}

    def name_of(self, channel_id: bytes) -> str:
        """The settings' name of a channel; "" of one they no longer have."""
        channel = self.by_id.get(channel_id)
        return channel.name if channel else ""
