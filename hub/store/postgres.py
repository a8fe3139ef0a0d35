"""PostgreSQL: a pool of connections, the same units and groups as on SQLite.

All that is PostgreSQL's own is here. A group is one transaction of one batch; several run at
once, and other processes run theirs. Whoever loses a race (a deadlock, a key that another
transaction has just inserted) is run again.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, cast

import orjson
import sqlalchemy as sa
import structlog
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hub.errors import SettingsError, StoreUnavailable
from hub.store.group import GROUP, Alone, Waiting
from hub.store.sql import Batch, Item, P, Result, T, Unit
from hub.store.writer import Future, resolve

log = structlog.get_logger(__name__)

LANES = 4
PATIENCE = 0.02
"""Seconds: another lane opens when what waits has not been taken for so long. Fewer lanes make
larger groups, which cost less a message; a lane that waits for a lock must not hold up the rest."""
POOL = 8
"""Connections. Reads have those that the lanes leave, so that no search of an agent holds up a
webhook."""
PLACE = 10.0  # seconds that is waited for a connection
ATTEMPTS = 6
LOST_RACES = frozenset({"40001", "40P01", "23505"})
"""SQLSTATEs after which a transaction is run again: serialization failure, deadlock, a key that
was inserted meanwhile."""

CANNOT_WORK = ("08", "25006", "25P03", "40001", "40P01", "53", "55P03", "57", "58", "F0", "XX")
"""Beginnings of SQLSTATEs by which the server says that it cannot do this now, whatever it is: also
a race that is lost each time, and a lock that somebody does not let go (a process that is frozen
within a transaction). What waited is no worse for it and comes again."""

NEVER_CURED = ("28", "3D")
"""Beginnings of SQLSTATEs of a wrong role or password and of a database that is not there."""

MIGRATION_LOCK = 6_860_021_742_100
"""The advisory lock that one migrating process holds; any number that nobody else uses."""


def create_engine(url: str, most: float | None = 15) -> AsyncEngine:
    """An engine for a `postgresql://` URL, with limits on all waiting; `most`: seconds for one
    statement."""
    return create_async_engine(
        "postgresql+asyncpg://",
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=PLACE,
        pool_recycle=1800,
        json_serializer=lambda value: orjson.dumps(value).decode(),
        json_deserializer=orjson.loads,
        connect_args={
            # The driver reads it as PostgreSQL's own tools do: `?sslmode=require`, `?host=/run`.
            "dsn": url,
            "timeout": 5,
            "command_timeout": most,
            "server_settings": {
                "application_name": "onethread",
                "jit": "off",
                "idle_in_transaction_session_timeout": "30000",
                "lock_timeout": "10000",
            },
        },
    )


class PostgresStore:
    """See store.sql.Store. Where a connection is lost within a COMMIT, StoreUnavailable is raised
    though the unit may be stored: callers come again, and a unit that comes twice is known."""

    def __init__(self, url: str) -> None:
        self._engine = create_engine(url)
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._places = asyncio.Semaphore(POOL - LANES)
        self._waiting: dict[Batch[Any, Any], list[Waiting[Future]]] = {}
        self._urgent: set[Batch[Any, Any]] = set()
        self._lanes: set[asyncio.Task[None]] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._taken_at = 0.0
        self._taken_by: asyncio.Task[None] | None = None
        self._looking: asyncio.TimerHandle | None = None
        self._stopping = False

    async def each(self, batch: Batch[Item, Result], item: Item, *, urgent: bool = False) -> Result:
        if self._stopping:
            raise StoreUnavailable("the store is closed")
        future: Future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(batch, []).append(Waiting(future, batch, item))
        if urgent:
            self._urgent.add(batch)
        if not self._lanes:
            self._open_lane()
        elif self._looking is None:
            self._looking = future.get_loop().call_later(PATIENCE, self._look)
        # Who is cancelled here leaves its item in the queue: it is committed all the same.
        return cast(Result, await future)

    async def write(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return cast(T, await self.each(Alone(unit, args, kwargs), None))

    async def read(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._stopping:
            raise StoreUnavailable("the store is closed")
        try:
            async with asyncio.timeout(PLACE):
                await self._places.acquire()
            try:
                async with self._reading.connect() as conn:
                    return await conn.run_sync(unit, *args, **kwargs)
            finally:
                self._places.release()
        except Exception as error:
            raise explain(error) from error

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        """Commit what waits, then stop."""
        self._stopping = True
        while lanes := self._lanes | self._leaving:
            await asyncio.wait(lanes)
        await self._engine.dispose()

    def _open_lane(self) -> None:
        lane = asyncio.create_task(self._work())
        self._lanes.add(lane)
        lane.add_done_callback(self._lanes.discard)

    def _look(self) -> None:
        """Open another lane where what waits has waited too long; look again while it waits."""
        self._looking = None
        if not self._waiting:
            return
        if len(self._lanes) < LANES and self._has_waited():
            self._open_lane()
        self._looking = asyncio.get_running_loop().call_later(PATIENCE, self._look)

    async def _work(self) -> None:
        own = asyncio.current_task()
        assert own is not None
        seat = _Seat(self._engine)
        while waiting := self._take():
            self._taken_at, self._taken_by = asyncio.get_running_loop().time(), own
            try:
                await self._commit(waiting, seat)
            except Exception as error:
                # A mistake of ours: whoever waits must hear it, and the lane goes on.
                log.error("group failed", error=type(error).__name__, exc_info=True)
                for one in waiting:
                    resolve(one.ticket, error, True)
            if self._taken_by is not own and not self._has_waited():
                break  # another lane keeps up with what comes
        # Before anything else can run: what comes from here on opens a lane.
        self._lanes.discard(own)
        self._leaving.add(own)
        own.add_done_callback(self._leaving.discard)
        await seat.leave()

    def _has_waited(self) -> bool:
        return asyncio.get_running_loop().time() >= self._taken_at + PATIENCE

    def _take(self) -> list[Waiting[Future]]:
        """The oldest waiting items of one batch, of an urgent one first."""
        batch = next(iter(self._urgent), None) or next(iter(self._waiting), None)
        if batch is None:
            return []
        taken = self._waiting.pop(batch)
        if len(taken) > GROUP:
            self._waiting[batch] = taken[GROUP:]
        else:
            self._urgent.discard(batch)
        return taken[:GROUP]

    async def _commit(self, waiting: list[Waiting[Future]], seat: "_Seat") -> None:
        """Commit a group; where it fails for more than a lost race, each item alone, so that one
        item's error harms no other."""
        try:
            results = await self._run(waiting, seat)
        except Exception as error:
            explained = explain(error)
            if len(waiting) > 1 and not isinstance(explained, StoreUnavailable):
                for one in waiting:
                    await self._commit([one], seat)
                return
            for one in waiting:
                resolve(one.ticket, explained, True)
            return
        for one, result in zip(waiting, results, strict=True):
            resolve(one.ticket, result, isinstance(result, Exception))

    async def _run(self, waiting: list[Waiting[Future]], seat: "_Seat") -> Sequence[Any]:
        items = [one.item for one in waiting]
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await seat.run(waiting[0].batch, items)
            except Exception as error:
                if sqlstate(error) not in LOST_RACES or attempt == ATTEMPTS:
                    raise
            await asyncio.sleep(random.uniform(0, 0.005 * 2**attempt))
        raise AssertionError("unreachable")


class _Seat:
    """The connection of a lane, kept while there is work: to take one from the pool for each group
    costs as much as three statements."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._conn: AsyncConnection | None = None

    async def run(self, batch: Batch[Item, Result], items: Sequence[Item]) -> Sequence[Result]:
        """Run the batch in a transaction."""
        if self._conn is None:
            self._conn = await self._engine.connect()
        try:
            return await self._conn.run_sync(_transact, batch, items)
        except BaseException:
            await self.leave()
            raise

    async def leave(self) -> None:
        conn, self._conn = self._conn, None
        if conn is None:
            return
        try:
            await conn.close()
        except Exception as error:
            log.warning("connection not closed", error=type(error).__name__)


def _transact(
    conn: sa.Connection, batch: Batch[Item, Result], items: Sequence[Item]
) -> Sequence[Result]:
    with conn.begin():
        return batch(conn, items)


def sqlstate(error: BaseException) -> str:
    """The server's code of an error, as SQLAlchemy or the driver's own cursor raises it, or ""."""
    for one in (getattr(error, "orig", None), error, error.__cause__):
        if state := getattr(one, "sqlstate", None):
            return str(state)
    return ""


def explain(error: Exception) -> Exception:
    """StoreUnavailable where the database itself cannot be reached or cannot work now; any other
    error as it is."""
    away = isinstance(error, OSError | TimeoutError | sa.exc.TimeoutError)
    away |= isinstance(error, sa.exc.InterfaceError | AsyncAdapt_asyncpg_dbapi.InterfaceError)
    away |= isinstance(error, sa.exc.DBAPIError) and error.connection_invalidated
    if not away and not sqlstate(error).startswith(CANNOT_WORK):
        return error
    unavailable = StoreUnavailable(f"PostgreSQL: {sqlstate(error) or type(error).__name__}")
    unavailable.__cause__ = error
    return unavailable


def _said(error: Exception) -> str:
    """The first line of what the server or the network says; it names no password."""
    cause = getattr(error, "orig", None) or error
    return (str(cause.__cause__ or cause) or type(cause).__name__).partition("\n")[0]


async def look(url: str, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run one unit that only reads, on a connection of its own. Raises StoreUnavailable with what
    the server or the network says."""
    engine = create_engine(url)
    try:
        async with engine.connect() as conn:
            return await conn.run_sync(unit, *args, **kwargs)
    except Exception as error:
        raise StoreUnavailable(_said(error)) from error
    finally:
        await engine.dispose()


async def migrate_postgres(url: str) -> bool:
    """Migrate while no other process does, however long either takes. True when anything was done.
    Raises SchemaTooNew; SettingsError for a login that the server refuses and a database that it
    does not have; StoreUnavailable, with what the server or the network says, where waiting may
    help."""
    from hub.store.migrate import migrate

    engine = create_engine(url, most=None)
    try:
        async with engine.begin() as conn:
            usual = (await conn.execute(sa.text("SHOW lock_timeout"))).scalar_one()
            await conn.execute(sa.text("SET LOCAL lock_timeout = 0"))
            await conn.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            # A table's lock is waited for as usual: all others queue up behind who waits for one.
            await conn.execute(sa.text(f"SET LOCAL lock_timeout = '{usual}'"))
            return await conn.run_sync(migrate)
    except Exception as error:
        if sqlstate(error).startswith(NEVER_CURED):
            raise SettingsError(f"hub.database: {_said(error)}") from error
        if isinstance(explain(error), StoreUnavailable):
            raise StoreUnavailable(f"hub.database: {_said(error)}") from error
        raise
    finally:
        await engine.dispose()
