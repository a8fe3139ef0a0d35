"""`/metrics`: what this process counted, and what waits in the database, for Prometheus."""

import asyncio
import math
from collections.abc import AsyncIterator
from typing import TypeVar

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

from hub.clock import SECOND
from hub.metrics import DEAD, QUEUES
from hub.store.channels import ChannelRow, Traffic, load_channels, load_traffic
from hub.store.health import Backlog, read_backlog
from hub.store.tokens import hash_secret
from hub.web.auth import require_watcher
from hub.web.health import HEALTH, PATIENCE, Probe
from hub.web.live import SOCKETS as AGENTS
from hub.web.problem import Problem
from hub.web.state import STATE
from hub.web.visitor_talk import SOCKETS as VISITORS

log = structlog.get_logger(__name__)

T = TypeVar("T")
Known = tuple[dict[bytes, ChannelRow], dict[bytes, Traffic]]

SPOOLED = ("appended", "replayed", "refused", "failed", "aside", "damaged")


class Gauges:
    """Sets what is only known by looking, when the page is asked for."""

    def __init__(self, app: web.Application) -> None:
        self._app = app
        self._state = app[STATE]
        self._backlog = Probe(self._read)
        self._channels = Probe(self._read_channels)
        self._admitted: set[bytes] = set()
        self._state.metrics.show(
            "onethread_spool_total", "What became of webhooks in the spool.", "what", self._spooled
        )

    async def admit(self, request: web.Request) -> None:
        """Raises Problem 401 or 403. Who was let in before is let in while nobody can be asked."""
        if self._state.settings.hub.metrics == "open":
            return
        key = hash_secret(request.headers.get("Authorization", ""))
        try:
            async with asyncio.timeout(PATIENCE):
                await require_watcher(request)
        except Problem:
            self._admitted.discard(key)
            raise
        except Exception:
            if key not in self._admitted:
                raise Problem(503, "unavailable", "The database is away.") from None
        else:
            self._admitted.add(key)

    def cancel(self) -> None:
        self._backlog.cancel()
        self._channels.cancel()

    async def set(self) -> None:
        app, state, metrics = self._app, self._state, self._state.metrics
        for channel in state.channels.all:
            metrics.channel_paused(channel.name).set(channel.paused is not None)
        agents, visitors = app.get(AGENTS), app.get(VISITORS)
        metrics.sockets("agent").set(len(agents.outlets) if agents else 0)
        metrics.sockets("visitor").set(len(visitors.outlets()) if visitors else 0)
        metrics.spool_hooks.set(state.spool.counts.waiting)
        metrics.spool_bytes.set(state.spool.counts.bytes)
        metrics.redis_up.set(state.bus.is_connected)
        if state.beat is not None:
            metrics.worker_beat.set(state.beat())
        # What is wrong goes into `database_up`: the page is wanted most on such a day.
        looks = self._look(self._backlog), self._look(self._channels)
        _, backlog, known = await asyncio.gather(app[HEALTH].problems(), *looks)
        self._show(backlog)
        self._show_channels(known)

    async def _look(self, probe: Probe[T]) -> T | None:
        try:
            return await probe.answer()
        except Exception as error:  # whatever it is, the rest of the page is known
            log.warning("queues cannot be read", error=type(error).__name__)
            return None

    def _spooled(self) -> dict[str, float]:
        counts = self._state.spool.counts
        return {name: getattr(counts, name) for name in SPOOLED}

    async def _read(self) -> Backlog:
        return await self._state.store.read(read_backlog, self._state.clock.now())

    async def _read_channels(self) -> Known:
        state = self._state
        rows = await state.store.read(load_channels, [one.id for one in state.channels.all])
        return rows, await state.store.read(load_traffic)

    def _show_channels(self, known: Known | None) -> None:
        metrics = self._state.metrics
        for channel in self._state.channels.all:
            waiting, errors, ends = math.nan, math.nan, math.nan
            if known is not None:
                row, traffic = known[0].get(channel.id), known[1].get(channel.id, Traffic())
                waiting, errors = traffic.waiting, traffic.error_rate or 0.0
                if row is not None and row.expires_at is not None:
                    ends = row.expires_at / SECOND
            metrics.channel_waiting(channel.name).set(waiting)
            metrics.channel_errors(channel.name).set(errors)
            metrics.credentials_end(channel.name).set(ends)

    def _show(self, backlog: Backlog | None) -> None:
        """Without a backlog nobody knows what waits: not a number, rather than an old one."""
        metrics, now = self._state.metrics, self._state.clock.now()
        for queue in QUEUES:
            count, age = math.nan, math.nan
            if backlog is not None:
                count = backlog.counts.get(queue, 0)
                age = max(now - backlog.oldest.get(queue, now), 0) / SECOND
            metrics.queue_items(queue).set(count)
            metrics.queue_age(queue).set(age)
        for kind in DEAD:
            dead = math.nan if backlog is None else backlog.dead.get(kind, 0)
            metrics.dead_letters(kind).set(dead)


GAUGES: web.AppKey[Gauges] = web.AppKey("gauges", Gauges)


async def show_metrics(request: web.Request) -> web.Response:
    gauges = request.app[GAUGES]
    try:
        await gauges.admit(request)
    except Problem as problem:
        return problem.response()
    await gauges.set()
    page = generate_latest(request.app[STATE].metrics.registry)
    return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


async def _end(app: web.Application) -> AsyncIterator[None]:
    yield
    app[GAUGES].cancel()


def add_metrics(app: web.Application) -> None:
    app[GAUGES] = Gauges(app)
    app.cleanup_ctx.append(_end)
    app.router.add_get("/metrics", show_metrics)
