"""Wiring: from settings to running parts, and their orderly end."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import structlog
from aiohttp import web

from hub.accounts import open_channels
from hub.attachments import Attachments
from hub.bus import Bus
from hub.carried import Carried
from hub.catch_up import CatchingUp
from hub.channels import Channels
from hub.chat import Dialog, collect
from hub.clock import SECOND, Clock
from hub.connector import Http
from hub.courtesy import Courtesy
from hub.desk.answers import Desk
from hub.drain import draining
from hub.errors import SettingsError, StoreUnavailable
from hub.fetch import Fetching
from hub.intake import Intake
from hub.media import MediaFetcher, MediaFolder
from hub.metrics import Metrics
from hub.names import Naming
from hub.outbox import Outbox
from hub.pauses import Pauses, following
from hub.polling import Polling
from hub.process import enter, spare_collector, watch_stop
from hub.rate import LocalRates, Rates
from hub.redis_bus import RedisBus, open_redis_bus
from hub.redis_rate import SharedRates
from hub.retry import Retrying
from hub.roll_call import SILENCE, RollCall, calling
from hub.settings import Settings, require_secret_key
from hub.spool import Spool
from hub.store import Store, migrate_database, open_store, sqlite_path
from hub.store.sqlite import FileLock, create_engine, explain
from hub.store.sweep import recover
from hub.store.writer_process import Child, fork_writer
from hub.subscribe import Subscribing
from hub.template_files import load_templates
from hub.template_sync import TemplateSync
from hub.traces import tracing
from hub.turn import Answerer
from hub.upkeep import Upkeep, noting
from hub.web.sign import Signer
from hub.web.state import State
from hub.web.views import MediaLinks
from hub.worker import Worker

if TYPE_CHECKING:
    from hub.check import Finding

log = structlog.get_logger(__name__)

PROVIDER_DAYS, CUSTOMER_DAYS = 2, 30
"""How long a link to an attachment of ours is good: each try to send makes a new one."""
PATIENCE = 3.0  # seconds for a hub that is ending


@dataclass(slots=True)
class Hub:
    """The running parts of one process, as `open_hub` wires them."""

    settings: Settings
    clock: Clock
    bus: Bus
    store: Store
    channels: Channels
    dialogs: dict[str, Dialog]
    intake: Intake
    desk: Desk
    outbox: Outbox
    worker: Worker
    state: State
    metrics: Metrics


@dataclass(slots=True)
class Ground:
    """What a hub on SQLite stands on: its database, kept from other hubs, and the process that
    writes it where there is one. PostgreSQL needs neither."""

    lock: FileLock | None = None
    writer: Child | None = None


def prepare(settings: Settings) -> Ground:
    """Take the database. With more than one processor a process of its own writes a SQLite file;
    to be called before there is an event loop, since it forks."""
    require_secret_key(settings)
    if not settings.hub.on_sqlite:
        return Ground()
    path = sqlite_path(settings.hub.database)
    lock = _lock(path, PATIENCE)
    if sys.platform != "linux" or len(os.sched_getaffinity(0)) < 2:
        return Ground(lock)
    return Ground(lock, fork_writer(partial(create_engine, path), explain))


def _lock(path: Path, patience: float = 0.0) -> FileLock:
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path, patience)


@contextlib.asynccontextmanager
async def open_hub(
    settings: Settings, clock: Clock | None = None, ground: Ground | None = None
) -> AsyncIterator[Hub]:
    """Everything but the listening socket, ready to work; the worker is not started. On the way
    out what is in hand is finished or given back."""
    require_secret_key(settings)
    clock = clock or Clock()
    url = settings.hub.database
    if ground is None:
        ground = Ground(_lock(sqlite_path(url)) if settings.hub.on_sqlite else None)
    try:
        await migrate_database(url)
        store = open_store(url, ground.writer)
        try:
            async with _open_parts(settings, clock, store) as hub:
                yield hub
        finally:
            await store.close()
    finally:
        if ground.lock is not None:
            ground.lock.release()


def _open_bus(redis: str) -> contextlib.AbstractAsyncContextManager[Bus]:
    return open_redis_bus(redis) if redis else contextlib.nullcontext(Bus())


def _share_rates(bus: Bus, channels: Channels) -> Rates:
    if isinstance(bus, RedisBus):
        return SharedRates(bus.client, channels)
    return LocalRates(channels)


def _share_files(
    settings: Settings, clock: Clock, fetcher: MediaFetcher, outbox: Outbox, desk: Desk
) -> None:
    """Let messages take attachments along: those kept here under our public URL."""
    links = MediaLinks(Signer(require_secret_key(settings), "media"), clock.now)

    def public(media_id: bytes, days: int) -> str:
        return settings.hub.public_url + links.public(media_id, days)

    outbox.equip = Attachments(fetcher.folder, partial(public, days=PROVIDER_DAYS)).equip
    desk.measure, desk.link = fetcher.measure, partial(public, days=CUSTOMER_DAYS)


@contextlib.asynccontextmanager
async def _open_parts(settings: Settings, clock: Clock, store: Store) -> AsyncIterator[Hub]:
    limits = settings.limits
    if settings.hub.on_sqlite:
        # One hub owns a SQLite file: whoever held leases or was sending before is gone.
        cut = await store.write(recover, clock.now(), round(limits.reconcile_for * SECOND))
        if cut:
            log.warning("sends were cut off", count=cut)
    folder = MediaFolder(settings.hub.media)
    await asyncio.to_thread(folder.sweep)
    connector = aiohttp.TCPConnector(limit=limits.sends * 2, keepalive_timeout=12)
    async with (
        aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar(), raise_for_status=False
        ) as session,
        MediaFetcher(
            folder,
            max_bytes=limits.media_bytes,
            allow_private=settings.hub.allow_private_media,
        ) as fetcher,
        _open_bus(settings.hub.redis) as bus,
        tracing(settings.hub.traces, settings.hub.traces_share, clock) as traces,
    ):
        channels = await open_channels(
            settings, store, clock, Http(session, timeout=limits.send_timeout)
        )
        dialogs = collect(settings.dialogs.modules)
        if settings.dialogs.default and settings.dialogs.default not in dialogs:
            raise SettingsError(
                f"dialogs.default: there is no dialog named {settings.dialogs.default}"
            )
        metrics = Metrics(channels.by_name)
        intake = Intake(store, bus, clock, channels, metrics, traces)
        intake.carried = Carried(folder, limits.media_bytes)
        spool = Spool(settings.hub.spool, limits.spool_bytes)
        templates = load_templates(settings.hub.templates)
        desk = Desk(store, bus, clock, channels, limits, templates)
        rates = _share_rates(bus, channels)
        outbox = Outbox(store, bus, clock, channels, limits, metrics, rates, traces)
        answers = Answerer(store, clock, channels, dialogs, settings, templates)
        fetching = Fetching(store, bus, clock, channels, fetcher, limits.retry_horizon, metrics)
        _share_files(settings, clock, fetcher, outbox, desk)
        retrying = Retrying(store, bus, clock, channels, intake, limits.poll)
        outbox.receipts_wait = hooks_wait = lambda: spool.waiting() > 0
        alone = settings.hub.on_sqlite
        missed = CatchingUp(
            store, clock, channels, intake, metrics, alone=alone, hooks_wait=hooks_wait
        )
        worker = Worker(
            store, bus, clock, answers, outbox, fetching, retrying, missed, limits, metrics, traces
        )
        worker.beside.append(TemplateSync(store, bus, clock, channels).run)
        worker.beside.append(Naming(store, bus, clock, channels).run)
        worker.beside.append(Subscribing(channels).run)
        worker.beside.append(Polling(store, channels, intake, metrics, alone=alone).run)
        first, poll = limits.resume_after, limits.poll
        pauses = Pauses(store, bus, clock, channels, outbox, metrics, first=first, poll=poll)
        upkeep = Upkeep(store, clock, channels)
        worker.beside += [pauses.run, upkeep.run]
        courtesy = Courtesy(channels, metrics)
        answers.typing = courtesy.typing_in
        if courtesy.has_to_acknowledge:
            intake.acknowledge = courtesy.acknowledge
        state = State(
            settings=settings,
            store=store,
            bus=bus,
            clock=clock,
            channels=channels,
            desk=desk,
            intake=intake,
            spool=spool,
            metrics=metrics,
            pauses=pauses,
            courtesy=courtesy,
            templates=templates,
            beat=worker.beat,
        )
        roll: contextlib.AbstractAsyncContextManager[None] = contextlib.nullcontext()
        if not settings.hub.on_sqlite:
            call = RollCall(store, spool.waiting, max(limits.reconcile_for, SILENCE))
            outbox.receipt_waits_elsewhere, roll = call.is_open, calling(call)
        async with (
            contextlib.aclosing(courtesy),
            draining(spool, intake, channels),
            roll,
            following(pauses),
            noting(upkeep),
        ):
            yield Hub(
                settings,
                clock,
                bus,
                store,
                channels,
                dialogs,
                intake,
                desk,
                outbox,
                worker,
                state,
                metrics,
            )


@contextlib.asynccontextmanager
async def serving(
    hub: Hub,
    host: str,
    port: int,
    extend: Callable[[web.Application], None] = lambda _app: None,
    *,
    worker: bool = True,
) -> AsyncIterator[str]:
    """Listen and, with `worker`, work; gives the local URL. `extend` may add routes. On the way
    out the web closes while the worker finishes what is in hand."""
    from hub.web import create_app

    app = create_app(hub.state)
    extend(app)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port, backlog=1024)
        await site.start()
        if worker:
            hub.worker.start()
        else:
            await hub.worker.stop()
            hub.state.beat = lambda: 0.0
        address = runner.addresses[0]
        yield f"http://{host}:{address[1]}"
    finally:
        # Together: a stop takes no longer than its slower half, and no new work in either.
        working = asyncio.create_task(hub.worker.stop())
        try:
            await runner.cleanup()
        finally:
            await working


async def serve(
    settings: Settings,
    ground: Ground,
    host: str,
    port: int,
    *,
    worker: bool = True,
    ready: Callable[[str], None] = lambda _url: None,
) -> None:
    """Serve until SIGTERM or SIGINT; then finish what is in hand and return. Raises
    StoreUnavailable when the database cannot be written any more: whoever runs it starts again."""
    stopped = watch_stop()
    async with contextlib.AsyncExitStack() as stack:
        hub = await enter(
            stack, settings.hub.database, stopped, partial(open_hub, settings, ground=ground)
        )
        if hub is None:
            return
        url = await stack.enter_async_context(serving(hub, host, port, worker=worker))
        spare_collector()
        ready(url)
        lost = asyncio.create_task(hub.store.lost())
        stop = asyncio.create_task(stopped.wait())
        await asyncio.wait({lost, stop}, return_when=asyncio.FIRST_COMPLETED)
        lost.cancel()
        if not stop.done():
            stop.cancel()
            raise StoreUnavailable("hub.database: the process that writes it has ended")


async def run_worker(settings: Settings, host: str = "", port: int | None = None) -> None:
    """Work without serving the web, until SIGTERM or SIGINT. On SQLite refused: several processes
    share one PostgreSQL. With a `port` its health and numbers can be asked for there."""
    if settings.hub.on_sqlite:
        raise SettingsError("hub.database: `onethread worker` needs PostgreSQL")
    from hub.web.watch import watching

    stopped = watch_stop()
    async with contextlib.AsyncExitStack() as stack:
        hub = await enter(stack, settings.hub.database, stopped, partial(open_hub, settings))
        if hub is None:
            return
        if port is not None:
            await stack.enter_async_context(watching(hub.state, host, port))
        hub.worker.start()
        spare_collector()
        try:
            await stopped.wait()
        finally:
            await hub.worker.stop()


async def demo(data: Path | None, port: int, open_browser: bool) -> None:
    """Run the demo until it is stopped."""
    from hub.demo import run

    await run(data, port, open_browser)


async def check(settings: Settings) -> list["Finding"]:
    """Look at the settings, the database and every channel's credentials."""
    from hub.check import find

    return await find(settings)
