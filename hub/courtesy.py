"""Courtesy: what makes a channel pleasant and nothing depends on: typing, read marks, and telling
the provider that a message has arrived. Never awaited, never repeated when it fails, and bounded:
a slow provider costs its own channel's courtesies and nothing else."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import structlog

from hub.channels import Channel, Channels, acknowledges, shows_typing
from hub.connector import MarksRead
from hub.errors import SendFailed
from hub.message import Address, Inbound, Message, Outbound
from hub.metrics import Metrics
from hub.store.claims import Work

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""Calls under way to one channel; what comes beyond is dropped."""
PATIENCE = 5.0
SLOW = 1.0
"""Seconds after which a bot's turn shows that an answer is being written."""
LONGEST = 120.0
REMEMBERED = 4096


class Courtesy:
    def __init__(self, channels: Channels, metrics: Metrics) -> None:
        self._channels = channels
        self._metrics = metrics
        self._in_hand: dict[bytes, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._shown: OrderedDict[tuple[bytes, str], float] = OrderedDict()
        self._marked: OrderedDict[tuple[bytes, str], str] = OrderedDict()
        self._closed = False
        self.has_to_acknowledge = any(acknowledges(one.connector) for one in channels.all)
        """Whether any channel wants to hear of each message that was stored."""

    async def aclose(self) -> None:
        """Drop what is under way."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def acknowledge(self, channel: Channel, inbound: Inbound) -> None:
        """Tell the provider that a message is stored."""
        connector = channel.connector
        if acknowledges(connector):
            self._begin(channel, "acknowledge", lambda: connector.acknowledge(inbound))

    def show_typing(self, channel_id: bytes, recipient: str, last: str) -> None:
        """Show once that an answer is being written, unless it is shown already; `last` is the
        customer's last message."""
        channel = self._channels.by_id.get(channel_id)
        if channel is None or not shows_typing(channel.connector):
            return
        connector, key = channel.connector, (channel_id, recipient)
        now = asyncio.get_running_loop().time()
        if now < self._shown.get(key, 0.0) + _renewed_after(channel):
            return
        out = _to(channel, recipient, last)
        if self._begin(channel, "typing", lambda: connector.show_typing(out)):
            _remember(self._shown, key, now)

    @contextlib.contextmanager
    def typing_in(self, work: Work) -> Iterator[None]:
        """Show typing once the block has lasted SLOW seconds, and again before it would vanish."""
        address = work.address
        channel = self._channels.by_id.get(address["channel_id"]) if address else None
        if address is None or channel is None or not shows_typing(channel.connector):
            yield
            return
        recipient = address["external_id"]
        last = (work.message or {}).get("external_id") or ""
        loop, every = asyncio.get_running_loop(), _renewed_after(channel)
        end = loop.time() + LONGEST
        timer = loop.call_later(SLOW, lambda: show())

        def show() -> None:
            nonlocal timer
            self.show_typing(channel.id, recipient, last)
            if loop.time() < end and not self._closed:
                timer = loop.call_later(every, show)

        try:
            yield
        finally:
            timer.cancel()

    def mark_read(self, channel_id: bytes, recipient: str, last: str) -> None:
        """Show the customer that her messages up to `last` were read, once."""
        channel = self._channels.by_id.get(channel_id)
        if channel is None or not last or not isinstance(channel.connector, MarksRead):
            return
        connector, key = channel.connector, (channel_id, recipient)
        if self._marked.get(key) == last:
            return
        out = _to(channel, recipient, last)
        if self._begin(channel, "read", lambda: connector.mark_read(out)):
            _remember(self._marked, key, last)

    def _begin(self, channel: Channel, what: str, call: Callable[[], Awaitable[None]]) -> bool:
        """Make the call beside everything else; False: there are too many, or it cannot work."""
        in_hand = self._in_hand.get(channel.id, 0)
        if self._closed or channel.paused or in_hand >= AT_ONCE:
            self._metrics.courtesies(channel.name, what, "dropped").inc()
            return False
        self._in_hand[channel.id] = in_hand + 1
        task = asyncio.create_task(self._make(channel, what, call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _make(self, channel: Channel, what: str, call: Callable[[], Awaitable[None]]) -> None:
        outcome = "failed"
        try:
            async with asyncio.timeout(PATIENCE):
                await call()
            outcome = "done"
        except (SendFailed, TimeoutError) as error:
            code = error.code if isinstance(error, SendFailed) else ""
            name = type(error).__name__
            log.debug("courtesy failed", channel=channel.name, what=what, error=name, code=code)
        except Exception as error:
            name = type(error).__name__
            log.error("connector raised", channel=channel.name, what=what, error=name)
        finally:
            self._in_hand[channel.id] -= 1
            self._metrics.courtesies(channel.name, what, outcome).inc()


def _renewed_after(channel: Channel) -> float:
    return channel.connector.typing_lasts * 0.8


def _to(channel: Channel, recipient: str, last: str) -> Outbound:
    return Outbound(
        id=bytes(16),
        to=Address(channel.account, recipient),
        message=Message(),
        correlation_id="",
        reply_to=last,
    )


def _remember(
    memory: "OrderedDict[tuple[bytes, str], Any]", key: tuple[bytes, str], value: Any
) -> None:
    memory[key] = value
    memory.move_to_end(key)
    if len(memory) > REMEMBERED:
        memory.popitem(last=False)
