"""How fast: the send rates of channels (the generic cell rate algorithm), and how long a retry
waits."""

import time
from collections.abc import Callable

from hub.channels import Channels

FIRST_RETRY = 1.0
LONGEST_RETRY = 300.0


class Cell:
    """Allows `count` events per `seconds` with bursts up to `burst`: one number per key says
    when its next event would conform."""

    __slots__ = ("_allowance", "_interval", "_times")

    def __init__(self, count: float, seconds: float, burst: float) -> None:
        self._interval = seconds / count
        self._allowance = self._interval * max(burst - 1, 0)
        self._times: dict[str, float] = {}

    def wait(self, key: str, now: float) -> float:
        """Seconds until `key` may go; 0 means now, and it is counted."""
        due = max(self._times.get(key, now), now)
        early = due - now - self._allowance
        if early > 0:
            return early
        self._times[key] = due + self._interval
        if len(self._times) > 100_000:
            self._times = {k: t for k, t in self._times.items() if t > now}
        return 0.0

    def refund(self, key: str) -> None:
        """Take back one event that was counted and did not happen."""
        if key in self._times:
            self._times[key] -= self._interval


class Rates:
    """The send rates of every channel, and to each customer where a platform limits that."""

    def __init__(self, channels: Channels) -> None:
        self._channels: dict[bytes, Cell] = {}
        self._pairs: dict[bytes, Cell] = {}
        for channel in channels.all:
            rate = channel.settings.rate
            rate = channel.limits.rate if rate is None else rate
            if rate:
                self._channels[channel.id] = Cell(rate, 1.0, max(rate / 4, 1))
            if channel.limits.pair_rate and rate != 0:
                count, seconds, burst = channel.limits.pair_rate
                self._pairs[channel.id] = Cell(count, seconds, burst)

    def wait(self, channel_id: bytes, recipient: str) -> float:
        """Seconds until this send conforms; 0 means now, and it is counted."""
        now = time.monotonic()
        whole = self._channels.get(channel_id)
        if whole is not None and (seconds := whole.wait("", now)) > 0:
            return seconds
        pair = self._pairs.get(channel_id)
        if pair is not None and (seconds := pair.wait(recipient, now)) > 0:
            if whole is not None:
                whole.refund("")
            return seconds
        return 0.0


def retry_delay(attempt: int, wish: float | None, jitter: Callable[[], float]) -> float:
    """Seconds until the next try: the provider's own wish, else doubling with full jitter."""
    if wish is not None:
        return max(wish, 0.05)
    ceiling: float = min(LONGEST_RETRY, FIRST_RETRY * 2 ** min(attempt - 1, 16))
    return ceiling * (0.5 + 0.5 * jitter())
