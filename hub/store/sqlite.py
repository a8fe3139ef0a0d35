"""SQLite: one writer thread that commits in groups, and readers beside it.

All that is SQLite's own is here: pragmas, BEGIN IMMEDIATE, savepoints, the lock that keeps a
second hub away from the same file.
"""

import asyncio
import fcntl
import os
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import orjson
import sqlalchemy as sa
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from hub.errors import SettingsError, StoreUnavailable
from hub.store.group import Alone
from hub.store.sql import Batch, Item, P, Result, T, Unit
from hub.store.writer import ThreadWriter, Writer

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
        raw = cast(Any, connection.connection.dbapi_connection)
        raw.execute("BEGIN" if readonly else "BEGIN IMMEDIATE")

    return engine


class SqliteStore:
    """See store.sql.Store."""

    def __init__(self, path: Path, writer: Writer | None = None) -> None:
        self._writer = writer or ThreadWriter(create_engine(path), explain)
        self._loop = asyncio.get_running_loop()
        self._reader_engine = create_engine(path, readonly=True)
        self._readers = ThreadPoolExecutor(2, "sqlite-read")
        self._stopping = False

    async def each(self, batch: Batch[Item, Result], item: Item, *, urgent: bool = False) -> Result:
        if self._stopping:
            raise StoreUnavailable("the store is closed")
        # Who is cancelled here leaves its item in the queue: it is committed all the same.
        return cast(Result, await self._writer.put(batch, item, urgent=urgent))

    async def write(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return cast(T, await self.each(Alone(unit, args, kwargs), None))

    async def read(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._stopping:
            raise StoreUnavailable("the store is closed")

        def run() -> T:
            with self._reader_engine.begin() as conn:
                return unit(conn, *args, **kwargs)

        try:
            return await self._loop.run_in_executor(self._readers, run)
        except (sa.exc.DatabaseError, sqlite3.DatabaseError) as error:
            raise explain(error) from error

    async def lost(self) -> None:
        await self._writer.lost()

    async def close(self) -> None:
        """Commit what waits, then stop."""
        self._stopping = True
        await self._writer.close()
        self._readers.shutdown()
        self._reader_engine.dispose()


def explain(error: Exception) -> Exception:
    """StoreUnavailable where the database itself cannot work now; any other error as it is."""
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlite_errorcode", None)
    if code is None or code & 0xFF not in CANNOT_WORK:
        return error
    unavailable = StoreUnavailable(f"SQLite: {original}")
    unavailable.__cause__ = error
    return unavailable


class FileLock:
    """Keeps a second hub away from one SQLite file; gone with the processes that hold it, however
    they end. `patience`: seconds to wait for a hub that is ending."""

    def __init__(self, database: Path, patience: float = 0.0) -> None:
        self.path = database.with_name(database.name + ".lock")
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() < end:
                    time.sleep(0.02)
                    continue
                os.close(self._file)
                raise SettingsError(
                    f"hub.database: {database} is in use by another onethread process"
                ) from None

    def release(self) -> None:
        os.close(self._file)
