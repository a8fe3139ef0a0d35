"""How a process begins and ends: it waits for its database however long that is away, and stops
when it is told to."""

import asyncio
import contextlib
import gc
import random
import signal
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from hub.errors import StoreUnavailable
from hub.store import is_postgres, migrate_database

T = TypeVar("T")

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
SAY_EVERY = 60.0


async def await_database(url: str, stopped: asyncio.Event) -> bool:
    """Bring the database up to date as soon as it can be reached. False when `stopped` is set
    first. Raises what waiting cannot cure: SettingsError and SchemaTooNew. A SQLite file is there
    or not: `open_hub` says so."""
    if not is_postgres(url):
        return True
    attempt = asyncio.create_task(_migrate(url))
    stop = asyncio.create_task(stopped.wait())
    try:
        await asyncio.wait({attempt, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not attempt.done():
            return False
        await attempt
        return True
    finally:
        attempt.cancel()
        stop.cancel()
        await asyncio.gather(attempt, stop, return_exceptions=True)


async def enter(
    stack: contextlib.AsyncExitStack,
    url: str,
    stopped: asyncio.Event,
    opening: Callable[[], contextlib.AbstractAsyncContextManager[T]],
) -> T | None:
    """Enter what stands on this database as soon as it can be reached, also where it goes away
    meanwhile. None when `stopped` is set first."""
    while await await_database(url, stopped):
        try:
            return await stack.enter_async_context(opening())
        except StoreUnavailable as error:
            if not is_postgres(url):
                raise
            log.warning("waiting for the database", error=str(error))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), 1.0)
    return None


async def _migrate(url: str) -> None:
    pause, told, told_at = FIRST_PAUSE, "", 0.0
    while True:
        try:
            await migrate_database(url)
        except StoreUnavailable as error:
            if str(error) != told or time.monotonic() > told_at + SAY_EVERY:
                told, told_at = str(error), time.monotonic()
                log.warning("waiting for the database", error=told)
        else:
            if told:
                log.warning("the database answers")
            return
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))
        pause = min(pause * 2, LONGEST_PAUSE)


def spare_collector() -> None:
    """What a start leaves in memory stays for good: the collector need not walk it, nor look
    as often as for a script of a few objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def watch_stop() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; a second one ends the process at once. Called before
    the start, so that a stop during it is an orderly one too."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    return stopped
