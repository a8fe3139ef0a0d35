"""How fast: the send rates of channels (the generic cell rate algorithm), and how long a retry
waits."""

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from hub.channels import Channel, Channels

FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0
MOST_KEYS = 100_000
UNCLAIMED = 60.0  # seconds after which a place nobody came for is free to be forgotten


class Pace(NamedTuple):
    """One event each `interval` seconds, and up to `allowance` seconds of them at once."""

    interval: float
    allowance: float


def pace(count: float, seconds: float, burst: float) -> Pace:
    """`count` events per `seconds` with bursts up to `burst`."""
    interval = seconds / count
    return Pace(interval, interval * max(burst - 1, 0))


class Paces(NamedTuple):
    """How fast a channel may send, and to each of its customers; None: as fast as it can."""

    whole: Pace | None
    pair: Pace | None


def paces_of(channel: Channel) -> Paces:
    rate, limits = channel.settings.rate, channel.limits
    rate = limits.rate if rate is None else rate
    return Paces(
        whole=pace(rate, 1.0, max(rate / 4, 1)) if rate else None,
        pair=pace(*limits.pair_rate) if limits.pair_rate and rate != 0 else None,
    )


class Cell:
    """One number per key says when its next event would conform."""

    __slots__ = ("_pace", "_times")

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._times: dict[str, float] = {}

    def reserve(self, key: str, now: float) -> float:
        """Take the next place of `key`: when it is, at the earliest now."""
        due = max(self._times.get(key, now), now)
        self._times[key] = due + self._pace.interval
        if len(self._times) > MOST_KEYS:
            self._times = {k: t for k, t in self._times.items() if t > now}
        return max(due - self._pace.allowance, now)


class Rates(Protocol):
    """The send rates of every channel, and to each customer where a platform limits that.

    Who must wait keeps a place, so that each wakes once and not all for every place.
    """

    async def wait(self, channel_id: bytes, recipient: str) -> float:
        """Seconds until this send conforms; 0 means now, and its place is taken."""
        ...


class LocalRates:
    """Rates of one process by itself."""

    def __init__(self, channels: Channels) -> None:
        self._channels: dict[bytes, Cell] = {}
        self._pairs: dict[bytes, Cell] = {}
        self._places: dict[tuple[bytes, str], float] = {}
        for channel in channels.all:
            whole, pair = paces_of(channel)
            if whole:
                self._channels[channel.id] = Cell(whole)
            if pair:
                self._pairs[channel.id] = Cell(pair)

    async def wait(self, channel_id: bytes, recipient: str) -> float:
        now, key = time.monotonic(), (channel_id, recipient)
        place = self._places.get(key)
        if place is None:
            place = self._reserve(channel_id, recipient, now)
            if place > now:
                self._places[key] = place
                self._forget(now)
        elif place <= now:
            del self._places[key]
        return max(place - now, 0.0)

    def _reserve(self, channel_id: bytes, recipient: str, now: float) -> float:
        place = now
        if whole := self._channels.get(channel_id):
            place = max(place, whole.reserve("", now))
        if pair := self._pairs.get(channel_id):
            place = max(place, pair.reserve(recipient, now))
        return place

    def _forget(self, now: float) -> None:
        """Places nobody came for: their messages were cancelled."""
        if len(self._places) > MOST_KEYS:
            self._places = {k: t for k, t in self._places.items() if t > now - UNCLAIMED}


def retry_delay(attempt: int, wish: float | None, jitter: Callable[[], float]) -> float:
    """Seconds until the next try: the provider's own wish, else doubling with full jitter."""
    if wish is not None:
        return max(wish, 0.05)
    ceiling: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempt - 1, 16))
    return ceiling * (0.5 + 0.5 * jitter())
