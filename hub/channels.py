"""The configured channels of this process: each with its row's id and its connector."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TypeGuard

from hub.clock import Micros
from hub.connector import (
    Acknowledges,
    CarriesMedia,
    ChannelSettings,
    Connector,
    Hook,
    Limits,
    Types,
)


@cache
def _fits(kind: type[Connector], ability: type) -> bool:
    # Python takes 20 microseconds to compare an instance with a Protocol, each time anew.
    return issubclass(kind, ability)


def carries_media(connector: Connector) -> TypeGuard[CarriesMedia]:
    """Asked for every hook."""
    return _fits(type(connector), CarriesMedia)


def shows_typing(connector: Connector) -> TypeGuard[Types]:
    """Asked for every turn."""
    return _fits(type(connector), Types)


def acknowledges(connector: Connector) -> TypeGuard[Acknowledges]:
    """Asked for every message."""
    return _fits(type(connector), Acknowledges)


@dataclass(slots=True)
class Channel:
    """One configured account. `paused` is why nothing is sent now, or None; `pausing`: how many
    writes of that are under way. `poll_error` is why asking for its messages failed last, where
    this process asks, or nothing. `inbound_at` and `sent_at`: when this process last had something
    of it, and last sent something."""

    id: bytes
    name: str
    kind: str
    account: str
    settings: ChannelSettings
    connector: Connector
    paused: str | None = None
    pausing: int = 0
    poll_error: str = ""
    inbound_at: Micros | None = None
    sent_at: Micros | None = None

    @property
    def limits(self) -> Limits:
        return self.connector.limits


class Channels:
    """Looks channels up by the settings' name, by row id, by (kind, account), and by the app whose
    one hook URL serves them."""

    def __init__(self, channels: Iterable[Channel] = ()) -> None:
        self.all = list(channels)
        self.by_name = {c.name: c for c in self.all}
        self.by_id = {c.id: c for c in self.all}
        self.by_account = {(c.kind, c.account): c for c in self.all}
        self.by_app: dict[str, list[Channel]] = {}
        for one in self.all:
            if one.connector.app:
                self.by_app.setdefault(one.connector.app, []).append(one)
        self._mixed = {app for app, of in self.by_app.items() if len({c.kind for c in of}) > 1}

    def readers(self, channel: Channel, hook: Hook) -> list[Channel]:
        """The other channels that may read a genuine hook of `channel`: those of its app and of
        the kind that the hook is for. Empty where the channel reads it itself."""
        app = channel.connector.app
        if app not in self._mixed:
            return []
        kind = channel.connector.kind_of(hook)
        return [] if kind == channel.kind else [c for c in self.by_app[app] if c.kind == kind]

    def name_of(self, channel_id: bytes) -> str:
        """The settings' name of a channel; "" of one they no longer have."""
        channel = self.by_id.get(channel_id)
        return channel.name if channel else ""
