"""The spool: genuine hooks on the local disk while the database is away, in their order.

What `append` has returned from survives a kill and a power cut. What is replayed may be replayed
once more after a crash; intake stores it once all the same. The folder's files are told of in
`spool_files.py`, who replays is `drain.py`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import structlog

from hub.connector import Hook
from hub.errors import SpoolRefused
from hub.spool_files import Batch, Files
from hub.spool_records import pack

log = structlog.get_logger(__name__)

SEGMENT = 8 * 1024 * 1024
BATCH = 64
BATCH_BYTES = 1024 * 1024

T = TypeVar("T")


def spool_key(kind: str, account: str) -> str:
    """A channel's folder in the spool: its account and not its name, which may change."""
    return f"{kind}.{quote(account, safe='+')}"


@dataclass(slots=True)
class SpoolCounts:
    """Since the start: hooks `appended`, `replayed` (stored again), `refused` because the spool
    was full, `failed` because the disk did not take them, put `aside` because they cannot be
    stored; files found `damaged`. Now: `waiting` hooks, `bytes` on the disk."""

    appended: int = 0
    replayed: int = 0
    refused: int = 0
    failed: int = 0
    aside: int = 0
    damaged: int = 0
    waiting: int = 0
    bytes: int = 0


class Spool:
    """`folder` is made when it is first needed. `most`: bytes that all channels may take."""

    def __init__(self, folder: Path, most: int) -> None:
        self.counts = SpoolCounts()
        self.filled = asyncio.Event()
        self._most = most
        self._files = Files(folder, min(SEGMENT, max(most // 16, 1)))
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: dict[str, int] = {}
        self._keys: Collection[str] = ()
        self._queue: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._queued_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._last: asyncio.Event | None = None
        self._closed = False

    async def open(self, keys: Collection[str]) -> None:
        """Take over what was left behind; then `holds` knows of it. `keys`: the channels whose
        hooks can be stored; what waits for others holds up nobody."""
        self._keys = keys
        if found := await self.adopt():
            log.warning("hooks wait in the spool", count=found)

    async def close(self) -> None:
        """End what is being written; what waits stays on the disk."""
        self._closed = True
        if self._writing is not None:
            await self._writing
        await self._run(self._files.close)
        self._thread.shutdown()

    def waiting(self) -> int:
        """How many hooks wait that can be stored."""
        return sum(self._waiting.get(key, 0) for key in self._keys)

    async def holds(self) -> bool:
        """Must a new hook be appended, since others wait before it? Those of any channel: one
        customer writes on several. While the last ones are being stored this waits for the
        outcome."""
        while self._last is not None:
            await self._last.wait()
        return self.counts.waiting > 0 and self.waiting() > 0

    async def append(self, key: str, hook: Hook) -> None:
        """Returns when the hook is on the disk; those that wait together share one sync. Raises
        SpoolRefused: full, or the disk does not take it; nothing was kept."""
        if self._closed:
            raise SpoolRefused("the spool is closed")
        record = pack(hook)
        if self.counts.bytes + self._queued_bytes + len(record) > self._most:
            self.counts.refused += 1
            raise SpoolRefused("the spool is full (limits.spool_bytes)")
        if not self.counts.waiting:
            log.error("hooks are spooled")
        self._add(key, 1)
        self._queued_bytes += len(record)
        kept = asyncio.get_running_loop().create_future()
        self._queue.append((key, record, kept))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        # Who is cancelled while waiting does not undo the append.
        await asyncio.shield(kept)

    async def _write(self) -> None:
        while self._queue:
            group, self._queue = self._queue, []
            records: dict[str, list[bytes]] = {}
            for key, record, _ in group:
                records.setdefault(key, []).append(record)
            failed = await self._run(partial(self._files.append, records))
            self._queued_bytes -= sum(len(record) for _, record, _ in group)
            for key, _, kept in group:
                self._settle(key, kept, failed.get(key))
        self._writing = None

    def _settle(self, key: str, kept: "asyncio.Future[None]", error: OSError | None) -> None:
        if error is None:
            self.counts.appended += 1
            self.filled.set()
            kept.set_result(None)
            return
        self._add(key, -1)
        self.counts.failed += 1
        kept.set_exception(SpoolRefused(f"the spool cannot be written: errno {error.errno}"))
        kept.exception()  # whoever was cancelled does not ask for it

    async def read(self, most: int = BATCH) -> Batch:
        """The oldest hooks that can be stored, `most` or fewer. Raises OSError."""
        return await self._run(lambda: self._files.read(self._keys, most, BATCH_BYTES))

    @contextlib.asynccontextmanager
    async def ending(self, batch: Batch) -> AsyncIterator[None]:
        """While the block stores a batch that empties the spool, new hooks wait to see whether it
        does. Without that a steady stream of hooks would go by the spool for ever."""
        if batch.taken < self.waiting():
            yield
            return
        self._last = last = asyncio.Event()
        try:
            yield
        finally:
            self._last = None
            last.set()

    async def advance(self, batch: Batch, *, aside: bool = False) -> None:
        """The batch's hooks are stored, or with `aside` kept in a file of their own; they are
        not read again. Raises OSError only with `aside`."""
        if aside:
            await self._run(lambda: self._files.set_aside(batch))
        damaged = await self._run(lambda: self._files.advance(batch))
        for part in batch.parts:
            self._add(part.key, -part.taken)
        self._note_damaged(damaged)
        if aside:
            self.counts.aside += len(batch.hooks)
        else:
            self.counts.replayed += len(batch.hooks)
        if not self.waiting():
            log.warning("the spool is empty again")

    async def adopt(self) -> int:
        """Take over what processes that have ended left behind; says how many hooks. What cannot
        be read is logged: new hooks can be stored all the same."""
        found, damaged, problem = await self._run(self._files.adopt)
        self._note_damaged(damaged)
        if problem is not None:
            log.error("the spool cannot be read", errno=problem.errno)
        for key, count in found.items():
            self._add(key, count)
        if found:
            self.filled.set()
        return sum(found.values())

    def _note_damaged(self, count: int) -> None:
        if count:
            self.counts.damaged += count
            log.error("files of the spool are damaged and kept", count=count)

    def _add(self, key: str, count: int) -> None:
        self._waiting[key] = self._waiting.get(key, 0) + count
        self.counts.waiting += count

    async def _run(self, work: Callable[[], T]) -> T:
        """Do it in the spool's own thread, one after the other."""
        loop = asyncio.get_running_loop()
        done, self.counts.bytes = await loop.run_in_executor(
            self._thread, lambda: (work(), self._files.size())
        )
        return done
