"""Moving a hub from SQLite to PostgreSQL: every row of every table, in the order of its key.

The order makes it resumable: what is there already ends where the copy goes on. At the end both
sides are counted and compared by checksums.
"""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from hub.errors import SettingsError
from hub.store.migrate import migrate_sqlite
from hub.store.postgres import create_engine as create_postgres
from hub.store.postgres import explain, migrate_postgres
from hub.store.schema import changes, metadata
from hub.store.sqlite import create_engine as create_sqlite

CHUNK = 500  # rows

Progress = Callable[[int, int], None]
"""Hears how many rows of how many are done: copied, then compared."""


async def move(path: Path, url: str, progress: Progress) -> dict[str, int]:
    """Copy the SQLite file, which nobody may write meanwhile; the rows of each table.

    Raises SettingsError when the database at `url` holds rows that this hub has not, and
    StoreUnavailable; what was copied by then stays, and the next call goes on.
    """
    migrate_sqlite(path)
    await migrate_postgres(url)
    source, target = create_sqlite(path, readonly=True), create_postgres(url, most=None)
    try:
        with source.begin() as conn:
            counts = {table.name: _count(conn, table) for table in metadata.sorted_tables}
            whole, done = 2 * sum(counts.values()), 0
            progress(done, whole)
            for table in metadata.sorted_tables:
                async for copied in _copy(conn, target, table):
                    done += copied
                    progress(done, whole)
            await _go_on_counting(target)
            for table in metadata.sorted_tables:
                await _compare(conn, target, table, counts[table.name])
                done += counts[table.name]
                progress(done, whole)
        return counts
    except SettingsError:
        raise
    except Exception as error:
        raise explain(error) from error
    finally:
        source.dispose()
        await target.dispose()


async def _copy(source: sa.Connection, target: AsyncEngine, table: sa.Table) -> Any:
    """Copy what is missing; yields how many rows each step brought, those of before included."""
    async with target.connect() as conn:
        last = await conn.run_sync(_last_key, table)
        there = await conn.run_sync(_count, table)
    yield there
    for rows in _chunks(source, table, last):
        values = [dict(row._mapping) for row in rows]
        async with target.begin() as conn:
            await conn.execute(table.insert(), values)
        yield len(values)


def _key(conn: sa.Connection, table: sa.Table) -> list[sa.ColumnElement[Any]]:
    """The primary key in the order of its bytes, whatever language the database sorts by."""
    return [
        sa.collate(column, "C")
        if conn.dialect.name == "postgresql" and isinstance(column.type, sa.Text)
        else column
        for column in table.primary_key
    ]


def _last_key(conn: sa.Connection, table: sa.Table) -> tuple[Any, ...] | None:
    order = [column.desc() for column in _key(conn, table)]
    row = conn.execute(sa.select(*table.primary_key).order_by(*order).limit(1)).first()
    return tuple(row) if row else None


def _chunks(
    conn: sa.Connection, table: sa.Table, last: tuple[Any, ...] | None
) -> Iterator[list[sa.Row[Any]]]:
    """The rows after a key, some at a time."""
    key = _key(conn, table)
    names = [column.name for column in table.primary_key]
    while True:
        query = sa.select(table).order_by(*key).limit(CHUNK)
        if last is not None:
            query = query.where(sa.tuple_(*key) > sa.tuple_(*last))
        rows = list(conn.execute(query))
        if not rows:
            return
        yield rows
        last = tuple(rows[-1]._mapping[name] for name in names)


def _count(conn: sa.Connection, table: sa.Table) -> int:
    return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()


def _checksum(conn: sa.Connection, table: sa.Table) -> str:
    # In one go: where the order is not that of an index, each chunk would sort all of the table.
    query = sa.select(table).order_by(*_key(conn, table))
    digest = hashlib.blake2b(digest_size=16)
    for row in conn.execute(query, execution_options={"yield_per": CHUNK}):
        digest.update(orjson.dumps(list(row), _plain, orjson.OPT_SORT_KEYS))
    return digest.hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    raise TypeError(type(value).__name__)


async def _compare(source: sa.Connection, target: AsyncEngine, table: sa.Table, count: int) -> None:
    async with target.connect() as conn:
        there = await conn.run_sync(_count, table)
        sums = [await conn.run_sync(_checksum, table)] if there == count else []
    if sums != [_checksum(source, table)]:
        raise SettingsError(
            f"--to: the table {table.name} there is not the one of this hub"
            f" ({there} rows, {count} here): give an empty database"
        )


async def _go_on_counting(target: AsyncEngine) -> None:
    """The next change there gets a number after those that were copied."""
    newest = sa.select(sa.func.coalesce(sa.func.max(changes.c.id), 0) + 1).scalar_subquery()
    sequence = sa.func.pg_get_serial_sequence("changes", "id")
    async with target.begin() as conn:
        await conn.execute(sa.select(sa.func.setval(sequence, newest, False)))
