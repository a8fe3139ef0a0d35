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

__all__ = ["Batch", "Store", "Unit", "open_store", "sqlite_path"]


def sqlite_path(url: str) -> Path:
    """The file of a `sqlite:///` URL. Raises SettingsError for other databases."""
    if not url.startswith("sqlite:///"):
        raise SettingsError("hub.database: only sqlite:///PATH is supported by this release")
    return Path(url.removeprefix("sqlite:///"))


def open_store(url: str, writer: "Child | None" = None) -> Store:
    """Open the database at `url`, which must be migrated; needs a running event loop. `writer` is
    a process that writes for this one, else a thread does."""
    from hub.store.sqlite import SqliteStore
    from hub.store.writer_process import ProcessWriter

    return SqliteStore(sqlite_path(url), ProcessWriter(writer) if writer else None)
