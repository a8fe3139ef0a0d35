"""Deliver: the head of an address's line, one provider call at a time, to a final state."""

import asyncio
import contextlib
import dataclasses
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

import structlog

from hub.bus import Bus
from hub.channels import Channel, Channels
from hub.clock import SECOND, Clock, Micros
from hub.connector import Limits, Reconciles
from hub.errors import (
    EarlierPartFailed,
    LeaseLost,
    NotReached,
    OutcomeUnknown,
    SendFailed,
    StoreUnavailable,
)
from hub.message import Address, Outbound, Sent
from hub.metrics import Metrics
from hub.outreach.gate import make_gate
from hub.rate import Rates, retry_delay
from hub.settings import LimitSettings
from hub.store import Store
from hub.store.rows import message_of
from hub.store.sends import Attempt, SendClaim, SendClaimed, Wait, abandon, begin
from hub.store.settle import Settled, Settlement, settle
from hub.store.threads import last_heard
from hub.traces import Traces

log = structlog.get_logger(__name__)

LATE = 0.2  # seconds after which what was begun must be asked again whether it may go
HELD_PAUSE = 0.5  # seconds until what another worker has is looked at again, if all hints fail
KEEP_PAUSE = 0.5  # seconds between tries to record an outcome while the store is away
RECEIPTS_PAUSE = SECOND // 4


class Outbox:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        channels: Channels,
        limits: LimitSettings,
        metrics: Metrics,
        rates: Rates,
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._channels = channels
        self._limits = limits
        self._gate = make_gate({c.id: c.limits for c in channels.all})
        self._rates = rates
        self._metrics = metrics
        self._traces = traces
        self.equip: Callable[[Outbound, Limits], Outbound] = lambda out, _limits: out
        """Gives an outbound message its files or links."""
        self.is_stopped = False
        """Set at a stop: what was begun is settled, nothing more is begun."""
        self.receipts_wait: Callable[[], bool] = lambda: False
        """While hooks wait to be stored nothing is sent again: one may be the receipt of a send
        whose outcome is unknown."""
        self.receipt_waits_elsewhere: Callable[[bytes], Awaitable[bool]] | None = None
        """Likewise, whether the receipt of this row's send may wait in another process."""

    def paused(self) -> frozenset[bytes]:
        """The channels whose sends wait until they are mended."""
        return frozenset(c.id for c in self._channels.all if c.paused)

    async def deliver(self, address_id: bytes, first: Attempt | None = None) -> Micros | None:
        """Send what waits for one address, in order, until nothing is due; `first` was begun
        already. Returns when to look again (the hub's clock), or None. Raises StoreUnavailable.
        """
        resend: bytes | None = None
        has_place = False
        claimed: SendClaimed = first
        if first is not None and _is_late(first.asked):
            # It waited for a place here; an agent may have come, or the gate have closed.
            await self.give_up(first)
            claimed = None
        while True:
            if claimed is None:
                if self.is_stopped:
                    return None
                claimed = await self._store.each(begin, self.claim(address_id, resend))
            resend = None
            if claimed is None:
                return None
            if isinstance(claimed, Wait) and claimed.held:
                # Whoever has it may have looked before this row came.
                self._bus.poke_others("held", address_id)
                return min(claimed.until, self._clock.now() + round(HELD_PAUSE * SECOND))
            if isinstance(claimed, Wait):
                self.note(claimed)
                if claimed.until == 0:
                    self._bus.poke("change")
                    claimed = None
                    continue
                return claimed.until
            if claimed.look_up:
                if await self._may_be_told(claimed.row["id"]):
                    await self.give_up(claimed)
                    return self._clock.now() + RECEIPTS_PAUSE
                resend = await self._reconcile(claimed)
                claimed = None
                continue
            asked = time.monotonic()
            if not has_place and (until := await self._hold_back(claimed)) is not None:
                return until
            if not has_place and _is_late(asked):
                # An agent may have come meanwhile. The place is the address's, so that whatever
                # is begun now goes at once: a rate that is always slow delays each send once.
                await self.give_up(claimed)
                resend = claimed.row["id"] if claimed.row["state"] == "unknown" else None
                claimed, has_place = None, True
                continue
            has_place = False
            settled = await self._send(claimed)
            if settled is None:
                return None
            if not claimed.more and settled.state not in ("queued", "unknown"):
                return None
            claimed = None

    async def _may_be_told(self, row_id: bytes) -> bool:
        """May the receipt of this send be here and not stored yet?"""
        if self.receipts_wait():
            return True
        elsewhere = self.receipt_waits_elsewhere
        return elsewhere is not None and await elsewhere(row_id)

    async def _hold_back(self, attempt: Attempt) -> Micros | None:
        """Put a send back whose channel's or customer's rate is used up; when its place is."""
        row = attempt.row
        seconds = await self._rates.wait(row["channel_id"], row["recipient"])
        if seconds <= 0:
            return None
        until = self._clock.now() + max(round(seconds * SECOND), 1)
        await self._store.write(abandon, attempt, until)
        return until

    def note(self, wait: Wait) -> None:
        """Count a row that came to another state without a call."""
        if wait.state:
            name = self._channels.name_of(wait.channel_id)
            self._metrics.settled(name, wait.state, wait.error_class)

    async def give_up(self, attempt: Attempt) -> None:
        """Undo a send that was begun and whose call will not be made."""
        await self._store.write(abandon, attempt)

    def claim(self, address_id: bytes, resend: bytes | None = None) -> SendClaim:
        """What `begin` needs for the head of this address's line."""
        limits = self._limits
        return SendClaim(
            address_id=address_id,
            at=self._clock.now(),
            lease=round(limits.lease * SECOND),
            unknown_for=round((limits.lease + limits.send_timeout + limits.reconcile_for) * SECOND),
            reconcile_for=round(limits.reconcile_for * SECOND),
            gate=self._gate,
            paused=self.paused(),
            resend=resend,
        )

    async def _send(self, attempt: Attempt) -> Settled | None:
        channel = self._channels.by_id.get(attempt.row["channel_id"])
        outcome: Sent | SendFailed
        if channel is None:
            outcome = NotReached("the settings have no such channel now")
        elif time.monotonic() + self._limits.send_timeout >= attempt.asked + self._limits.lease:
            # The lease could end within the call: if nobody holds it, the row waits again.
            await self.give_up(attempt)
            return None
        else:
            begun = time.monotonic()
            outcome = await self._call(channel, attempt)
            if self._traces is not None:
                how = outcome.error_class if isinstance(outcome, SendFailed) else "sent"
                self._traces.sent(attempt.row, channel.name, how, time.monotonic() - begun)
        return await self._settle(attempt, outcome)

    async def try_one(self, channel: Channel, address_id: bytes) -> bool | None:
        """Send the head of an address's line, although its channel is paused. True: the provider
        has judged the message itself, so the channel works; False: it still does not; None:
        nothing was learnt. Raises StoreUnavailable."""
        claim = self.claim(address_id)
        claim = replace(claim, paused=claim.paused - {channel.id})
        while isinstance(claimed := await self._store.each(begin, claim), Wait):
            self.note(claimed)
            if claimed.until != 0:
                return None
        if claimed is None:
            return None
        if claimed.look_up:
            await self.give_up(claimed)
            return None
        outcome = await self._call(channel, claimed)
        await self._settle(claimed, outcome)
        if isinstance(outcome, Sent) or outcome.final:
            return True
        return False if outcome.pauses_channel else None

    async def _call(self, channel: Channel, attempt: Attempt) -> Sent | SendFailed:
        row = attempt.row
        out = outbound_of(channel, attempt)
        if channel.limits.subjects:
            try:
                where = (row["conversation_id"], row["address_id"])
                earlier = await self._store.read(last_heard, *where)
            except StoreUnavailable:
                return NotReached("the database is away")
            out = dataclasses.replace(out, earlier=earlier)
        if row["attempt"] > 1:
            self._metrics.send_retries(channel.name).inc()
        if row["unknowns"]:
            self._metrics.repeated(channel.name).inc()
        begun = time.monotonic()
        try:
            sent = await channel.connector.send(self.equip(out, channel.limits))
        except SendFailed as error:
            return error
        except asyncio.CancelledError:
            # A stop cuts the call off: say so at once rather than leave it to the lease.
            unknown = OutcomeUnknown("stopped while sending")
            await asyncio.shield(self._settle(attempt, unknown))
            raise
        except Exception as error:
            # A connector's own mistake: the call may have been made.
            log.error("connector raised", channel=channel.name, error=type(error).__name__)
            return OutcomeUnknown(type(error).__name__)
        finally:
            self._metrics.send_seconds(channel.name).observe(time.monotonic() - begun)
        return sent

    async def _settle(self, attempt: Attempt, outcome: Sent | SendFailed) -> Settled | None:
        row = attempt.row
        retry_at = self._retry_at(attempt, outcome)
        channel = self._channels.by_id.get(row["channel_id"])
        item = Settlement(
            row["address_id"], attempt.token, row["id"], outcome, self._clock.now(), retry_at
        )
        try:
            with self._pausing(channel, outcome):
                settled = await self._keep(item)
        except LeaseLost:
            self._metrics.leases_lost("send").inc()
            return None
        if channel is not None and isinstance(outcome, Sent):
            channel.sent_at = item.at
        if isinstance(settled, Settled):
            self._count(row["channel_id"], settled.state, outcome)
        self._bus.poke("change")
        return settled if isinstance(settled, Settled) else None

    async def _keep(self, item: Settlement) -> Settled | LeaseLost:
        """Record an outcome. While the store is away it is tried again until a stop cuts that off:
        what is known of a send must not become unknown. Whoever has taken the row over meanwhile
        makes it a lost lease."""
        while True:
            try:
                return await self._store.each(settle, item)
            except StoreUnavailable:
                await asyncio.sleep(KEEP_PAUSE)

    def _retry_at(self, attempt: Attempt, outcome: Sent | SendFailed) -> Micros | None:
        row, now = attempt.row, self._clock.now()
        if isinstance(outcome, Sent) or outcome.final:
            return None
        if isinstance(outcome, OutcomeUnknown):
            return now + round(self._limits.reconcile_for * SECOND)
        delay = retry_delay(row["attempt"], outcome.retry_in, random.random)
        at = now + round(delay * SECOND)
        # Past the horizon the row is begun once more and ends as expired.
        return min(at, row["expires_at"]) if row["expires_at"] else at

    async def _reconcile(self, attempt: Attempt) -> bytes | None:
        """Ask the provider about a send of unknown outcome; the row's id when it must be sent
        again."""
        row = attempt.row
        channel = self._channels.by_id.get(row["channel_id"])
        found: Sent | None = None
        if channel is not None and isinstance(channel.connector, Reconciles):
            try:
                found = await channel.connector.look_up(
                    outbound_of(channel, attempt), row["sending_at"] or row["created_at"]
                )
            except Exception as error:
                # A SendFailed, or the connector's own mistake: either way nothing was learnt.
                log.warning("look-up failed", channel=channel.name, error=type(error).__name__)
        if found is not None:
            self._metrics.reconciled(self._channels.name_of(row["channel_id"]), "look_up").inc()
            await self._settle(attempt, found)
            return None
        await self._store.write(abandon, attempt)
        return bytes(row["id"])

    @contextlib.contextmanager
    def _pausing(self, channel: Channel | None, outcome: Sent | SendFailed) -> Iterator[None]:
        """Pause the channel where the outcome does so, at once here and by the block's write for
        all processes."""
        if channel is None or isinstance(outcome, Sent) or not outcome.pauses_channel:
            yield
            return
        if not channel.paused:
            channel.paused = outcome.reason or "misconfigured"
            self._metrics.pauses(channel.name, "paused").inc()
            log.error("channel paused", channel=channel.name, code=outcome.code)
        channel.pausing += 1
        try:
            yield
        finally:
            channel.pausing -= 1
            self._bus.poke("channel", channel.id)

    def _count(self, channel_id: bytes, state: str, outcome: Sent | SendFailed) -> None:
        reason = outcome.error_class if isinstance(outcome, SendFailed) else ""
        if state == "cancelled":
            reason = EarlierPartFailed.error_class
        self._metrics.settled(self._channels.name_of(channel_id), state, reason)


def _is_late(since: float) -> bool:
    return time.monotonic() > since + LATE


def outbound_of(channel: Channel, attempt: Attempt) -> Outbound:
    row = attempt.row
    return Outbound(
        id=row["id"],
        to=Address(channel.account, row["recipient"]),
        message=message_of(row),
        correlation_id=row["id"].hex(),
        attempt=row["attempt"],
        reply_to=(row["reply_to"] or {}).get("external_id", ""),
        automatic=row["author_kind"] != "agent",
    )
