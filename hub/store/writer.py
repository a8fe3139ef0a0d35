"""Who runs the groups of a SQLite file: here a thread of this process, in `writer_process.py` a
process beside it."""

import asyncio
import contextlib
import threading
from typing import Any, Protocol

import sqlalchemy as sa

from hub.store.group import Explain, Outcome, Queue, Waiting, commit_group
from hub.store.sql import Batch

Future = asyncio.Future[Any]


class Writer(Protocol):
    """Commits items in groups, in a thread or process of its own."""

    def put(self, batch: Batch[Any, Any], item: Any, *, urgent: bool) -> Future:
        """Queue an item; the future has its result once it is committed. Raises
        StoreUnavailable."""
        ...

    async def lost(self) -> None:
        """Returns only when nothing can be written any more."""
        ...

    async def close(self) -> None:
        """Commit what waits, then stop."""
        ...


class ThreadWriter:
    """One thread, woken when something waits."""

    def __init__(self, engine: sa.Engine, explain: Explain) -> None:
        self._engine = engine
        self._explain = explain
        self._loop = asyncio.get_running_loop()
        self._queue: Queue[Future] = Queue()
        self._wake = threading.Event()
        self._idle = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sqlite-write", daemon=True)
        self._thread.start()

    def put(self, batch: Batch[Any, Any], item: Any, *, urgent: bool) -> Future:
        future = self._loop.create_future()
        self._queue.put(Waiting(future, batch, item), urgent=urgent)
        if self._idle:
            self._wake.set()
        return future

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        self._engine.dispose()

    def _run(self) -> None:
        with self._engine.connect() as conn:
            while True:
                if not self._queue:
                    if self._stopping:
                        return
                    self._idle = True
                    if not self._queue and not self._stopping:
                        self._wake.wait()
                    self._idle = False
                    self._wake.clear()
                    continue
                outcomes = commit_group(conn, self._queue, self._explain)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(_settle, outcomes)


def _settle(outcomes: list[Outcome[Future]]) -> None:
    for outcome in outcomes:
        resolve(outcome.ticket, outcome.result, outcome.failed)


def resolve(future: Future, result: Any, failed: bool) -> None:
    """Give whoever still waits the result, or the error when it `failed`."""
    if future.done():
        return
    if failed:
        future.set_exception(result)
    else:
        future.set_result(result)
