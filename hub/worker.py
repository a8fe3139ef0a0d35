"""Wake, claim, handle, deliver, release: what runs beside the web, in as many processes as
wanted."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from hub.bus import Bus
from hub.catch_up import CatchingUp
from hub.clock import SECOND, Clock
from hub.errors import LeaseLost, StoreUnavailable
from hub.fetch import Fetching
from hub.metrics import Metrics
from hub.outbox import HELD_PAUSE, Outbox
from hub.pool import Pool, look_for_ever
from hub.retry import Retrying
from hub.settings import LimitSettings
from hub.store import Store
from hub.store.claims import Claim, Gathering, Leased, Work, claim, release
from hub.store.held import give_up, release_missed
from hub.store.sends import Attempt, Wait
from hub.store.sweep import pending, throw_away, wake_snoozed
from hub.store.turns import Ending, commit
from hub.traces import Traces
from hub.turn import Answerer

log = structlog.get_logger(__name__)

HOUSEKEEPING_EVERY = 300.0
HOUSEKEEPING_PAUSE = 0.1


class Worker:
    def __init__(
        self,
        store: Store,
        bus: Bus,
        clock: Clock,
        answerer: Answerer,
        outbox: Outbox,
        fetching: Fetching,
        retrying: Retrying,
        catching_up: CatchingUp,
        limits: LimitSettings,
        metrics: Metrics,
        traces: Traces | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._clock = clock
        self._answerer = answerer
        self._outbox = outbox
        self._fetching = fetching
        self._retrying = retrying
        self._catching_up = catching_up
        self._limits = limits
        self._metrics = metrics
        self._traces = traces
        self._turns = Pool("turns", self._handle, limits.workers)
        self._sends = Pool("sends", self._deliver, limits.sends)
        self.beside: list[Callable[[], Coroutine[Any, Any, None]]] = []
        """What else runs, for ever, from `start` to `stop`."""
        self._begun: dict[bytes, Attempt] = {}
        self._background: list[asyncio.Task[None]] = []
        self._stop_listening: list[Callable[[], None]] = []
        self._swept_at = time.monotonic()

    def start(self) -> None:
        """Begin to work; returns at once."""
        self._stop_listening = [
            self._bus.listen("conversation", self._turns.poke, self._turns.has_room),
            self._bus.listen("address", self._sends.poke, self._sends.has_room),
            self._bus.listen("held", self._turns.poke_if_running),
            self._bus.listen("held", self._sends.poke_if_running),
        ]
        self._background = [
            asyncio.create_task(
                look_for_ever("work", self.sweep, lambda: asyncio.sleep(self._limits.poll))
            ),
            asyncio.create_task(self._keep_house()),
            asyncio.create_task(self._fetching.run()),
            asyncio.create_task(self._retrying.run()),
            asyncio.create_task(self._catching_up.run()),
            *(asyncio.create_task(run()) for run in self.beside),
        ]

    async def stop(self) -> None:
        """Take no new work, finish what is in hand, and give back what does not end in time."""
        for stop in self._stop_listening:
            stop()
        self._outbox.is_stopped = True
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        seconds = self._limits.shutdown
        await asyncio.gather(self._turns.stop(seconds), self._sends.stop(seconds))
        for attempt in self._begun.values():
            await self._outbox.give_up(attempt)

    def beat(self) -> float:
        """Seconds since this worker last looked for work."""
        return time.monotonic() - self._swept_at

    def is_idle(self) -> bool:
        return not self._turns and not self._sends and not self._fetching.may_be_awaited

    async def _handle(self, conversation_id: bytes) -> None:
        """Handle the events of one conversation until none is left, or the worker stops."""
        while not self._turns.is_stopped:
            claimed = await self._store.each(
                claim,
                Claim(conversation_id, round(self._limits.lease * SECOND), self._clock.now()),
            )
            if isinstance(claimed, Leased):
                self._bus.poke_others("held", conversation_id)
                seconds = min(claimed.left / SECOND + 0.01, HELD_PAUSE)
                self._turns.poke_later(conversation_id, seconds)
                return
            if isinstance(claimed, Gathering):
                self._turns.poke_later(conversation_id, claimed.left / SECOND)
                return
            if claimed is None or not await self._turn(claimed) or not claimed.backlog:
                return

    async def _turn(self, work: Work) -> bool:
        """One event, from its claim to its commit. False: it is not done, or not ours."""
        begun_at = time.monotonic()
        if work.claims > 1:
            self._metrics.turn_retries.inc()
        try:
            ending = await self._answerer.answer(work)
            addresses = {row["address_id"] for row in ending.rows if row["lane"] is not None}
            may_send = len(self._sends) < self._limits.sends and not self._outbox.is_stopped
            if len(addresses) == 1 and may_send:
                # The reply's `sending` joins the turn's transaction: one commit less to wait for.
                ending.send = self._outbox.claim(next(iter(addresses)))
            begun = await self._store.each(commit, ending)
        except LeaseLost:
            # Lost to another worker or to a new owner: give back what may still be ours.
            self._metrics.leases_lost("turn").inc()
            self._trace(work, begun_at, error="LeaseLost")
            await self._store.write(release, work.id, work.token, forget=True)
            self._turns.poke(work.id)
            return False
        except StoreUnavailable:
            raise
        except asyncio.CancelledError:
            with contextlib.suppress(StoreUnavailable):
                await asyncio.shield(self._store.write(release, work.id, work.token, forget=True))
            raise
        except Exception as error:
            log.error("turn failed", error=type(error).__name__, exc_info=True)
            self._metrics.turn_failures.inc()
            self._trace(work, begun_at, error=type(error).__name__)
            await self._store.write(release, work.id, work.token, forget=False)
            self._turns.poke_later(work.id, 0.2 * work.claims)
            return False
        self._metrics.turns.inc()
        self._metrics.turn_seconds.observe(time.monotonic() - begun_at)
        if self._traces is not None:
            self._trace(work, begun_at, ending)
        if isinstance(begun, Wait):
            self._outbox.note(begun)
        if any(row["due_at"] is not None for row in ending.rows):
            self._bus.poke("media")
        for address_id in addresses:
            if isinstance(begun, Attempt):
                self._begun[address_id] = begun
            self._sends.poke(address_id)
        self._bus.poke("change")
        return True

    def _trace(
        self, work: Work, begun_at: float, ending: Ending | None = None, error: str = ""
    ) -> None:
        if self._traces is not None:
            seconds = time.monotonic() - begun_at
            runs = ending.runs if ending else ()
            self._traces.turned(
                work.event_id,
                work.id,
                seconds,
                of_timer=work.message is None,
                runs=runs,
                error=error,
            )

    async def _deliver(self, address_id: bytes) -> None:
        until = await self._outbox.deliver(address_id, self._begun.pop(address_id, None))
        if until is not None:
            seconds = (until - self._clock.now()) / SECOND
            if seconds < self._limits.poll * 2:
                self._sends.poke_later(address_id, seconds)

    async def sweep(self) -> None:
        """Find work that nobody was told of."""
        at = self._clock.now()
        found = await self._store.read(pending, at, self._outbox.paused())
        for conversation_id in found.conversations:
            self._turns.poke(conversation_id)
        for address_id in found.addresses:
            self._sends.poke(address_id)
        self._swept_at = time.monotonic()

    async def keep_house(self) -> bool:
        """What is to be done once in a while. True: there is more to throw away."""
        at, limits = self._clock.now(), self._limits
        woken = await self._store.write(release_missed, at)
        for address_id in woken:
            self._bus.poke("address", address_id)
        reopened = await self._store.write(wake_snoozed, at)
        if await self._store.write(give_up, at) or reopened or woken:
            self._bus.poke("change")
        return await self._store.write(
            throw_away, at, hooks_days=limits.raw_hooks_days, changes_days=limits.changes_days
        )

    async def _keep_house(self) -> None:
        while True:
            try:
                more = await self.keep_house()
            except StoreUnavailable as error:
                log.warning("housekeeping failed", error=str(error))
                more = False
            await asyncio.sleep(HOUSEKEEPING_PAUSE if more else HOUSEKEEPING_EVERY)
