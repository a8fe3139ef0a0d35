"""The store: the only room that knows SQL.

`open_store` gives the driver for the settings' database. Everything else is units: functions of
a connection, run by `store.write`, `store.read` or, many items at once, by `store.each`.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from hub.errors import SettingsError
from hub.store.sql import Batch, Store, Unit

if TYPE_CHECKING:
    from hub.store.writer_process import Child

__all__ = ["Batch", "Store", "Unit", "is_postgres", "migrate_database", "open_store", "sqlite_path"]


def is_postgres(url: str) -> bool:
    return url.startswith("postgresql://")


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///` URL. Raises SettingsError for other databases."""
    if not url.startswith("sqlite:///"):
        raise SettingsError("hub.database: this is for sqlite:///PATH alone")
    return Path(url.removeprefix("sqlite:///"))


def open_store(url: str, writer: "Child | None" = None) -> Store:
    """Open the database at `url`, which must be migrated; needs a running event loop. `writer` is
    a process that writes a SQLite file for this one, else a thread does."""
    if is_postgres(url):
        from hub.store.postgres import PostgresStore

        return PostgresStore(url)
    from hub.store.sqlite import SqliteStore
    from hub.store.writer_process import ProcessWriter

    return SqliteStore(sqlite_path(url), ProcessWriter(writer) if writer else None)


async def migrate_database(url: str) -> bool:
    """Bring the database at `url` up to date. True when anything was done. Raises SchemaTooNew,
    StoreUnavailable, and SettingsError where the server refuses us for good."""
    if is_postgres(url):
        from hub.store.postgres import migrate_postgres

        return await migrate_postgres(url)
    from hub.store.migrate import migrate_sqlite

    return migrate_sqlite(sqlite_path(url))
