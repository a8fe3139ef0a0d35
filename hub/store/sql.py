"""The few words of SQL in which the databases differ, so that no query is written twice."""

import time
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from hub.clock import Micros

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Result = TypeVar("Result")

Unit = Callable[Concatenate[sa.Connection, P], T]
"""A short synchronous function of SQL: all it writes is committed together, or nothing."""

Batch = Callable[[sa.Connection, Sequence[Item]], Sequence[Result]]
"""A unit written for many items at once: one result for each item, in their order."""


class Store(Protocol):
    """Where everything is kept. Any of these raises StoreUnavailable when the database cannot
    be reached or written; nothing was stored then."""

    async def each(self, batch: Batch[Item, Result], item: Item, *, urgent: bool = False) -> Result:
        """Commit `item`, together with what else waits for the same batch. A result that is an
        exception is raised. `urgent` goes before what is not."""
        ...

    async def write(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Commit one unit. Whoever is cancelled while waiting does not undo the commit."""
        ...

    async def read(self, unit: Unit[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a unit that only reads."""
        ...

    async def lost(self) -> None:
        """Returns only when nothing can be written any more, until a new start."""
        ...

    async def close(self) -> None: ...


def insert_new(conn: sa.Connection, table: sa.Table, *, only: tuple[str, ...] = ()) -> Any:
    """INSERT that skips rows whose key is already there, or with `only` those of this key alone:
    where another one is taken it raises. The same object for the same table and key."""
    return _insert_new(conn.dialect.name, table, only)


@cache
def _insert_new(dialect: str, table: sa.Table, only: tuple[str, ...]) -> Any:
    key = only or None
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=key)
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=key)


def has_row_locks(conn: sa.Connection) -> bool:
    """May another transaction write at the same time? On SQLite one writes alone."""
    return conn.dialect.name == "postgresql"


SERVER_NOW = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


def lease_now(conn: sa.Connection) -> Micros:
    """Real time as all processes on this database share it, for leases."""
    if conn.dialect.name == "postgresql":
        return int(conn.exec_driver_sql(SERVER_NOW).scalar_one())
    return time.time_ns() // 1000


def json_contains(conn: sa.Connection, column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """Is `text` an item of the JSON list in `column`?"""
    if conn.dialect.name == "postgresql":
        return sa.type_coerce(column, postgresql.JSONB).contains([text])
    items = sa.func.json_each(column).table_valued("value")
    return sa.exists(sa.select(1).select_from(items).where(items.c.value == text))
