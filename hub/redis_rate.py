"""Send rates that the processes of one hub share: `rate.py`'s algorithm, kept in Redis.

One script reads and moves a channel's numbers at once, by the clock of Redis, so that neither
another process nor another machine's clock comes between. While Redis is away each process keeps
the rates by itself: then together they may send as many times as fast as there are processes, and
the provider's own limit slows them down.
"""

import hashlib
import time
from typing import TYPE_CHECKING

import structlog

from hub.channels import Channels
from hub.rate import UNCLAIMED, LocalRates, Paces, paces_of
from hub.redis_bus import PREFIX

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = structlog.get_logger(__name__)

AWAY = 2.0  # seconds until Redis is asked again after it failed
# KEYS: the channel's next event, the customer's, and her place in the line.
# ARGV: interval and allowance of either (0: no rate), how long a place is kept; microseconds.
# Numbers are written with %.0f: what Lua makes of a large one by itself is rounded.
SCRIPT = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local place = tonumber(redis.call('GET', KEYS[3]))
if place then
    if place > now then return place - now end
    redis.call('DEL', KEYS[3])
    return 0
end
place = now
for n = 1, 2 do
    local interval, allowance = tonumber(ARGV[2 * n - 1]), tonumber(ARGV[2 * n])
    if interval > 0 then
        local due = math.max(tonumber(redis.call('GET', KEYS[n])) or 0, now)
        local after = due + interval
        local kept = math.ceil((after - now) / 1000) + 1
        redis.call('SET', KEYS[n], string.format('%.0f', after), 'PX', string.format('%.0f', kept))
        place = math.max(place, due - allowance)
    end
end
if place > now then
    local kept = math.ceil((place - now + ARGV[5]) / 1000)
    redis.call('SET', KEYS[3], string.format('%.0f', place), 'PX', string.format('%.0f', kept))
end
return math.ceil(place - now)
"""


class SharedRates:
    """Rates of all processes that use this Redis."""

    def __init__(self, client: "Redis", channels: Channels) -> None:
        self._script = client.register_script(SCRIPT)
        self._local = LocalRates(channels)
        found = {channel.id: paces_of(channel) for channel in channels.all}
        self._paces = {id: paces for id, paces in found.items() if any(paces)}
        self._ask_at = 0.0
        self._is_away = False

    async def wait(self, channel_id: bytes, recipient: str) -> float:
        paces = self._paces.get(channel_id)
        if paces is None:
            return 0.0
        now = time.monotonic()
        if self._is_away and now < self._ask_at:
            return await self._local.wait(channel_id, recipient)
        # While it is away one call alone finds out whether it is back.
        self._ask_at = now + AWAY
        seconds = await self._ask(channel_id, recipient, paces)
        if seconds is None:
            return await self._local.wait(channel_id, recipient)
        return seconds

    async def _ask(self, channel_id: bytes, recipient: str, paces: Paces) -> float | None:
        """What the script says; None when Redis does not answer."""
        from redis.exceptions import RedisError

        try:
            micros = await self._script(keys=_keys(channel_id, recipient), args=_numbers(paces))
        except (RedisError, OSError, TimeoutError) as error:
            if not self._is_away:
                log.warning("send rates are kept by each process", error=type(error).__name__)
            self._is_away = True
            self._ask_at = time.monotonic() + AWAY
            return None
        if self._is_away:
            log.info("send rates are shared again")
        self._is_away = False
        return int(micros) / 1_000_000


def _keys(channel_id: bytes, recipient: str) -> list[str]:
    # Redis needs to tell customers apart, not to know their numbers.
    who = hashlib.blake2b(recipient.encode(), key=channel_id, digest_size=12).hexdigest()
    rates = f"{PREFIX}:rate:{channel_id.hex()}"
    return [rates, f"{rates}:{who}", f"{rates}:{who}:place"]


def _numbers(paces: Paces) -> list[int]:
    found = [
        round(seconds * 1_000_000)
        for pace in paces
        for seconds in ((pace.interval, pace.allowance) if pace else (0.0, 0.0))
    ]
    return [*found, round(UNCLAIMED * 1_000_000)]
