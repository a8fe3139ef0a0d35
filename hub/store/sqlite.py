"""SQLite: one writer thread that commits in groups, and readers beside it.

All that is SQLite's own is here: pragmas, BEGIN IMMEDIATE, savepoints, the lock that keeps a
second hub away from the same file.
"""

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from hub.errors import SettingsError, StoreUnavailable
from hub.store.sql import Batch, Item, P, Result, T, Unit

GROUP = 64
GROUP_SECONDS = 0.005
PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=FULL",  # an acknowledged message survives a power cut; grouped, it costs little
    "busy_timeout=5000",
    "foreign_keys=ON",
    "cache_size=-32768",
    "temp_store=MEMORY",
    "mmap_size=268435456",
    "journal_size_limit=67108864",
)

CANNOT_WORK = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)


def dumps(value: object) -> str:
    return orjson.dumps(value).decode()


def loads(value: Any) -> Any:
    # Columns of type JSON have numeric affinity: a text that is a number comes back as one.
    return value if isinstance(value, int | float) else orjson.loads(value)


def create_engine(path: Path | str, *, readonly: bool = False) -> sa.Engine:
    """An engine whose transactions really begin where SQLAlchemy says they do."""
    engine = sa.create_engine(
        f"sqlite:///{path}",
        poolclass=SingletonThreadPool if readonly else StaticPool,
        json_serializer=dumps,
        json_deserializer=loads,
        connect_args={
            "isolation_level": None,
            "check_same_thread": False,
            "cached_statements": 512,
        },
    )

    @sa.event.listens_for(engine, "connect")
    def connect(connection: Any, _record: object) -> None:
        for pragma in PRAGMAS:
            connection.execute("PRAGMA " + pragma)
        if readonly:
            connection.execute("PRAGMA query_only=ON")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A deferred BEGIN that later writes fails at once when another process wrote meanwhile.
        connection.exec_driver_sql("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine


@dataclass(slots=True)
class _Waiting:
    batch: Batch[Any, Any]
    item: Any
    future: "asyncio.Future[Any]"


class SqliteStore:
    """See store.sql.Store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._loop = asyncio.get_running_loop()
        self._writer_engine = create_engine(path)
        self._reader_engine = create_engine(path, readonly=True)
        self._readers = ThreadPoolExecutor(2, "sqlite-read")
        self._urgent: deque[_Waiting] = deque()
        self._rest: deque[_Waiting] = deque()
        self._wake = threading.Event()
        self._idle = False
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sqlite-write", daemon=True)
        self._thread.start()

    async def each(self, batch: Batch[Item, Result], item: Item, *, urgent: bool = False) -> Result:
        waiting = _Waiting(batch, item, self._loop.create_future())
        if self._stopping:
            raise StoreUnavailable("the store is closed")
        (self._urgent if urgent else self._rest).append(waiting)
        if self._idle:
            self._wake.set()
        # Who is cancelled here leaves its item in the queue: it is committed all the same.
        return cast(Result, await waiting.future)

    async def write(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def alone(conn: sa.Connection, _items: Sequence[None]) -> Sequence[T]:
            return [unit(conn, *args, **kwargs)]

        return await self.each(alone, None)

    async def read(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._stopping:
            raise StoreUnavailable("the store is closed")

        def run() -> T:
            with self._reader_engine.begin() as conn:
                return unit(conn, *args, **kwargs)

        try:
            return await self._loop.run_in_executor(self._readers, run)
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            raise _explain(error) from error

    async def close(self) -> None:
        """Commit what waits, then stop."""
        self._stopping = True
        self._wake.set()
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _run(self) -> None:
        with self._writer_engine.connect() as conn:
            while True:
                if not self._urgent and not self._rest:
                    if self._stopping:
                        return
                    self._idle = True
                    if not self._urgent and not self._rest and not self._stopping:
                        self._wake.wait()
                    self._idle = False
                    self._wake.clear()
                    continue
                outcomes = self._commit_group(conn)
                with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits
                    self._loop.call_soon_threadsafe(_settle, outcomes)

    def _commit_group(self, conn: sa.Connection) -> list[tuple[_Waiting, Any, bool]]:
        """Take what waits and commit it together: (who waits, result or error, failed)."""
        outcomes: list[tuple[_Waiting, Any, bool]] = []
        taken: list[_Waiting] = []
        try:
            with conn.begin():
                # What comes meanwhile makes the next group: taken now, a few at a time, it would
                # cost a set of statements for every few.
                started = time.monotonic()
                batches = self._take(GROUP)
                for place, waiting in enumerate(batches):
                    if time.monotonic() - started > GROUP_SECONDS:
                        self._put_back(batches[place:])
                        break
                    taken += waiting
                    outcomes += _run_batch(conn, waiting)
        except Exception as error:
            lost = StoreUnavailable(type(error).__name__)
            lost.__cause__ = error
            # When not even BEGIN went through, those who wait must hear it too.
            taken = taken or [waiting for batch in self._take(GROUP) for waiting in batch]
            return [(waiting, lost, True) for waiting in taken]
        return outcomes

    def _put_back(self, batches: list[list[_Waiting]]) -> None:
        """What a group has no time for goes first in the next, after what is urgent by then."""
        waiting = [one for batch in batches for one in batch]
        self._rest.extendleft(reversed(waiting))

    def _take(self, most: int) -> list[list[_Waiting]]:
        """Up to `most` waiting items, urgent ones first, those of one batch together."""
        batches: dict[Batch[Any, Any], list[_Waiting]] = {}
        for queue in (self._urgent, self._rest):
            while queue and most > 0:
                waiting = queue.popleft()
                batches.setdefault(waiting.batch, []).append(waiting)
                most -= 1
        return list(batches.values())


def _run_batch(conn: sa.Connection, waiting: list[_Waiting]) -> list[tuple[_Waiting, Any, bool]]:
    """Run a batch in a savepoint; when it fails, each of its items alone, so that one item's
    error harms no other."""
    raw = cast(Any, conn.connection.dbapi_connection)
    raw.execute("SAVEPOINT batch")
    try:
        results = waiting[0].batch(conn, [w.item for w in waiting])
        done = [
            (w, result, isinstance(result, Exception))
            for w, result in zip(waiting, results, strict=True)
        ]
    except Exception as error:
        raw.execute("ROLLBACK TO batch")
        if len(waiting) == 1:
            done = [(waiting[0], _explain(error), True)]
        else:
            done = [outcome for w in waiting for outcome in _run_batch(conn, [w])]
    raw.execute("RELEASE batch")
    return done


def _explain(error: Exception) -> Exception:
    """StoreUnavailable where the database itself cannot work now; any other error as it is."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in CANNOT_WORK:
        return error
    unavailable = StoreUnavailable(f"SQLite error {code}")
    unavailable.__cause__ = error
    return unavailable


def _settle(outcomes: list[tuple[_Waiting, Any, bool]]) -> None:
    for waiting, result, failed in outcomes:
        if waiting.future.done():
            continue
        if failed:
            waiting.future.set_exception(result)
        else:
            waiting.future.set_result(result)


class FileLock:
    """Keeps a second hub away from one SQLite file; gone with the process, however it ends."""

    def __init__(self, database: Path) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise SettingsError(
                f"hub.database: {database} is in use by another onethread process"
            ) from None

    def release(self) -> None:
        os.close(self._file)
