"""Accept: what a webhook brought becomes durable, once, before the provider hears 200."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from hub.bus import Bus
from hub.carried import Carried
from hub.channels import Channel, Channels, carries_media
from hub.clock import Clock, Micros, new_id
from hub.connector import Hook
from hub.errors import HookRejected, HookUnreadable, StoreUnavailable
from hub.message import Inbound, Receipt
from hub.metrics import Metrics
from hub.signal import Parsed, Signal, TemplateChange, Typing, Unreadable
from hub.store import Store
from hub.store.accept import Acceptance, Arrival, StoredMessage, accept
from hub.store.accept import Accepted as Stored
from hub.store.receipts import correlated
from hub.store.rows import Row, as_json, inbound_row
from hub.traces import Traces

log = structlog.get_logger(__name__)

LARGE = 256 * 1024
"""Bytes of a hook from which reading it would hold up everything else, so a thread does."""


@dataclass(slots=True)
class Accepted:
    """What became of a hook. `message_ids` are in the order of its inbound messages; None for
    one of an unknown account."""

    new: int = 0
    duplicates: int = 0
    dead: int = 0
    stored: list[StoredMessage | None] = field(default_factory=list)

    def add(self, other: "Accepted") -> None:
        self.new += other.new
        self.duplicates += other.duplicates
        self.dead += other.dead
        self.stored += other.stored

    @property
    def message_ids(self) -> list[bytes | None]:
        return [one.id if one else None for one in self.stored]


class Intake:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        metrics: Metrics,
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._metrics = metrics
        self._traces = traces
        self.acknowledge: Callable[[Channel, Inbound], None] | None = None
        """Told of each message that is newly stored; must not raise or block."""
        self.carried: Carried | None = None
        """Keeps the attachments that come inside hooks."""

    async def take(self, channel: Channel, hook: Hook) -> Accepted:
        """Store what a genuine hook of `channel` brought, whatever it says; returns after the
        commit. Raises StoreUnavailable."""
        channel = self.reader(channel, hook)
        parsed, dead = await self._read(channel, hook)
        return await self.accept(channel, parsed, raw=hook, dead=dead)

    async def _read(self, channel: Channel, hook: Hook) -> tuple[list[Parsed], str]:
        """What a genuine hook says, its attachments kept, or why it cannot be read."""
        if len(hook.body) > LARGE:
            parsed, dead = await asyncio.to_thread(_read, channel, hook)
        else:
            parsed, dead = _read(channel, hook)
        if self.carried is not None and carries_media(channel.connector):
            parsed = await self.carried.keep(channel.connector, hook, parsed)
        return parsed, dead

    def reader(self, channel: Channel, hook: Hook) -> Channel:
        """Whose connector reads a genuine hook of `channel`: its own, but for a hook of another
        kind that came by the one URL of an app; that one is read by a channel of its kind whose
        secret signed it."""
        for other in self._channels.readers(channel, hook):
            if _passes(other, hook):
                return other
        return channel

    async def take_all(self, hooks: Sequence[tuple[Channel, Hook]]) -> None:
        """Store genuine hooks, each of its channel, in one commit and in their order. Raises
        StoreUnavailable, or what the store says of one of them; then none is stored."""
        found: list[tuple[Channel, list[Parsed], Acceptance, Hook]] = []
        for received, hook in hooks:
            channel = self.reader(received, hook)
            parsed, dead = await self._read(channel, hook)
            parsed = self._disown(channel, parsed, hook)
            item, _ = self._sort_all(channel, parsed, new_id(), hook, dead)
            found.append((channel, parsed, item, hook))
        results = await self._store.write(accept, [item for _, _, item, _ in found])
        for (channel, parsed, item, hook), done in zip(found, results, strict=True):
            self._tell(channel, parsed, item, done)
            if self._traces is not None:
                self._trace(item, done, hook)

    async def accept(
        self, channel: Channel, parsed: list[Parsed], *, raw: Hook | None = None, dead: str = ""
    ) -> Accepted:
        """Store what `channel`'s hook brought; returns after the commit.

        Each item goes to the channel of its own account. What no channel names, and a hook that
        could not be read (`dead` says why), becomes a dead letter beside the raw hook; so does
        one item that the store refuses. Raises StoreUnavailable: the provider must redeliver.
        """
        hook_id = new_id()
        if raw is not None:
            parsed = self._disown(channel, parsed, raw)
        try:
            return await self._accept(channel, parsed, hook_id, raw, dead)
        except StoreUnavailable:
            raise
        except Exception as error:
            log.error(
                "hook cannot be stored whole", channel=channel.name, error=type(error).__name__
            )
        accepted = await self._accept(channel, [], hook_id, raw, dead)
        for one in parsed:
            accepted.add(await self._accept_alone(channel, one, hook_id))
        return accepted

    async def take_again(self, channel: Channel, hook_id: bytes, raw: Hook) -> Accepted:
        """Read a kept hook of `channel` once more, with today's connector and channels. What is
        in its thread already stays as it is; the hook's dead letters are gone, but for what is
        still dead of it. Raises StoreUnavailable, or what the store says."""
        channel = self.reader(channel, raw)
        parsed, dead = await self._read(channel, raw)
        parsed = self._disown(channel, parsed, raw)
        try:
            return await self._accept(channel, parsed, hook_id, dead=dead, again=True)
        except StoreUnavailable:
            raise
        except Exception as error:
            log.error("hook not stored whole", channel=channel.name, error=type(error).__name__)
        tried = [await self._try_alone(channel, one, hook_id) for one in parsed]
        return await self._accept(channel, tried, hook_id, dead=dead, again=True)

    async def _try_alone(self, channel: Channel, one: Parsed, hook_id: bytes) -> Parsed:
        """Store one item of a hook; what cannot be stored comes back as unreadable."""
        known = (channel.kind, one.account) in self._channels.by_account
        if isinstance(one, Unreadable) or not known:
            return one
        try:
            await self._accept(channel, [one], hook_id)
        except StoreUnavailable:
            raise
        except Exception as error:
            return Unreadable(one.account, f"cannot be stored: {type(error).__name__}")
        return one

    def _disown(self, channel: Channel, parsed: list[Parsed], raw: Hook) -> list[Parsed]:
        """A hook may carry items of other channels of the same app: those whose own check it
        passes too. An item of a channel with another secret is not genuine here."""
        strange: dict[str, bool] = {channel.account: False}
        kept: list[Parsed] = []
        for one in parsed:
            if one.account not in strange:
                target = self._channels.by_account.get((channel.kind, one.account))
                strange[one.account] = target is not None and not _passes(target, raw)
            if strange[one.account]:
                one = Unreadable(one.account, f"not signed for the account {one.account}")
            kept.append(one)
        return kept

    async def _accept_alone(self, channel: Channel, one: Parsed, hook_id: bytes) -> Accepted:
        """One item of a hook that could not be stored whole."""
        try:
            return await self._accept(channel, [one], hook_id)
        except StoreUnavailable:
            raise
        except Exception as error:
            reason = f"cannot be stored: {type(error).__name__}"
        accepted = await self._accept(channel, [Unreadable(one.account, reason)], hook_id)
        if isinstance(one, Inbound):
            accepted.stored.append(None)
        return accepted

    async def _accept(
        self,
        channel: Channel,
        parsed: list[Parsed],
        hook_id: bytes,
        raw: Hook | None = None,
        dead: str = "",
        *,
        again: bool = False,
    ) -> Accepted:
        item, known = self._sort_all(channel, parsed, hook_id, raw, dead)
        if again:
            item.redeems = hook_id
        # A message may be waited for; a receipt has time.
        done = await self._store.each(accept, item, urgent=bool(item.arrivals))
        self._tell(channel, parsed, item, done)
        if self._traces is not None:
            self._trace(item, done, raw)
        rest = iter(done.stored)
        stored = [
            next(rest) if is_known else None
            for is_known, one in zip(known, parsed, strict=True)
            if isinstance(one, Inbound)
        ]
        new = sum(one.new for one in done.stored)
        return Accepted(new, len(done.stored) - new, len(item.dead), stored)

    def _trace(self, item: Acceptance, done: Stored, raw: Hook | None) -> None:
        assert self._traces is not None
        name_of = self._channels.name_of
        messages = [
            (name_of(arrival.channel_id), stored.id, stored.conversation_id, stored.new)
            for arrival, stored in zip(item.arrivals, done.stored, strict=True)
        ]
        received_at, headers = (raw.received_at, raw.headers) if raw else (None, None)
        self._traces.stored(messages, item.at, received_at, headers)
        receipts = [
            (name_of(channel_id), receipt.status, correlated(receipt.correlation_id))
            for channel_id, receipt in item.receipts
        ]
        self._traces.heard(receipts, item.at)

    def _acknowledge(self, channel: Channel, parsed: list[Parsed], done: Stored) -> None:
        assert self.acknowledge is not None
        stored = iter(done.stored)
        for one in parsed:
            if isinstance(one, Inbound):
                target = self._channels.by_account.get((channel.kind, one.account))
                if target is not None and next(stored).new:
                    self.acknowledge(target, one)

    def _count(self, channel: Channel, item: Acceptance, done: Stored) -> None:
        metrics, name_of = self._metrics, self._channels.name_of
        heard = {channel.name}
        for arrival, stored in zip(item.arrivals, done.stored, strict=True):
            name = name_of(arrival.channel_id)
            count = metrics.accepted if stored.new else metrics.duplicates
            count(name).inc()
            heard.add(name)
            self._channels.by_id[arrival.channel_id].inbound_at = item.at
        for name in heard:
            metrics.last_inbound(name).set_to_current_time()
        for channel_id, receipt in item.receipts:
            metrics.receipts(name_of(channel_id), receipt.status).inc()
        for channel_id in done.reconciled:
            metrics.reconciled(name_of(channel_id), "receipt").inc()
        if item.dead:
            metrics.dead(channel.name).inc(len(item.dead))

    def _sort_all(
        self, channel: Channel, parsed: list[Parsed], hook_id: bytes, raw: Hook | None, dead: str
    ) -> tuple[Acceptance, list[bool]]:
        """What is to be stored, and which of `parsed` a channel has."""
        at = self._clock.now()
        item = Acceptance(at)
        if raw is not None:
            item.hook = _hook_row(hook_id, channel.name, raw)
        if dead:
            item.dead.append(_dead_row(hook_id, channel.name, dead, None, at))
        return item, [self._sort(item, channel, one, hook_id) for one in parsed]

    def _tell(self, channel: Channel, parsed: list[Parsed], item: Acceptance, done: Stored) -> None:
        """Count what was stored and wake who waits for it."""
        self._count(channel, item, done)
        for signal in parsed:
            if isinstance(signal, Typing):
                self._bus.poke("typing", signal.sender.encode())
            elif isinstance(signal, TemplateChange):
                self._bus.poke("template")
        if self.acknowledge is not None and item.arrivals:
            self._acknowledge(channel, parsed, done)
        for conversation_id in done.turns:
            self._bus.poke("conversation", conversation_id)
        for address_id in done.sends:
            self._bus.poke("address", address_id)
        if done.fetches:
            self._bus.poke("media")
        if done.stored or item.receipts or item.signals:
            self._bus.poke("change")

    def _sort(self, item: Acceptance, channel: Channel, one: Parsed, hook_id: bytes) -> bool:
        """Put one item where it belongs; False when no channel has its account."""
        if isinstance(one, Unreadable):
            item.dead.append(_dead_row(hook_id, channel.name, one.reason, one.raw, item.at))
            return False
        target = self._channels.by_account.get((channel.kind, one.account))
        if target is None:
            reason = f"no channel has the {channel.kind} account {one.account}"
            item.dead.append(_dead_row(hook_id, channel.name, reason, None, item.at))
            return False
        if isinstance(one, Inbound):
            item.arrivals.append(_arrival(target, one, item.at))
        elif isinstance(one, Receipt):
            item.receipts.append((target.id, one))
        elif isinstance(one, Signal):
            item.signals.append((target.id, one))
        return True


def _read(channel: Channel, hook: Hook) -> tuple[list[Parsed], str]:
    """What a genuine hook says, or why it cannot be read."""
    try:
        return channel.connector.parse(hook), ""
    except HookUnreadable as error:
        return [], str(error)
    except Exception as error:
        log.error("connector raised", channel=channel.name, error=type(error).__name__)
        return [], f"unread: {type(error).__name__}"


def _passes(channel: Channel, raw: Hook) -> bool:
    try:
        channel.connector.check(raw)
    except HookRejected:
        return False
    return True


def _arrival(channel: Channel, inbound: Inbound, at: Micros) -> Arrival:
    row = inbound_row(inbound.message, channel_id=channel.id, at=at, sent_at=inbound.sent_at)
    row["external_id"] = inbound.external_id or None
    row["dedupe_key"] = inbound.dedupe_key
    row["client_id"] = inbound.client_id or None
    row["reply_to"] = as_json(inbound.reply_to)
    row["referral"] = as_json(inbound.referral)
    row["raw"] = inbound.raw if inbound.message.kind == "unsupported" else None
    return Arrival.of(channel.id, inbound, row, may_join=channel.settings.vouches)


def _hook_row(hook_id: bytes, channel: str, raw: Hook) -> Row:
    return {
        "id": hook_id,
        "channel": channel,
        "method": raw.method,
        "query": raw.query,
        "content_type": raw.headers.get("content-type", ""),
        "body": raw.body,
        "received_at": raw.received_at,
        "signature": _signature(raw),
    }


def _signature(raw: Hook) -> str:
    """The header lines that sign the hook. Others may hold secrets, or are of no use later."""
    lines = [f"{name.lower()}: {value}" for name, value in raw.headers.items() if _signs(name)]
    return "\n".join(lines)


def _signs(name: str) -> bool:
    return "signature" in name.lower()


def _dead_row(hook_id: bytes, channel: str, reason: str, raw: object, at: Micros) -> Row:
    return {
        "id": new_id(),
        "kind": "hook",
        "reference": hook_id,
        "channel": channel,
        "reason": reason,
        "raw": raw,
        "created_at": at,
    }
