"""Which database the tests of a whole hub run on.

    ONETHREAD_TEST_DATABASE=postgresql pytest ...

runs them on a real PostgreSQL (see `servers`), else they run on SQLite files. A folder has one
database, so that a test may close a hub and open it again.
"""

import asyncio
import atexit
import functools
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from hub.store import migrate_database
from tests.servers import Postgres

ON_POSTGRES = os.environ.get("ONETHREAD_TEST_DATABASE", "sqlite") == "postgresql"
only_sqlite = pytest.mark.skipif(ON_POSTGRES, reason="is about the SQLite driver alone")

_urls: dict[Path, str] = {}


def url_of(folder: Path, name: str = "hub.db") -> str:
    """The URL of the database of a test's folder."""
    if not ON_POSTGRES:
        return f"sqlite:///{folder / name}"
    if folder not in _urls:
        _urls[folder] = _server().create(_server().template("hub", _migrate))
    return _urls[folder]


@functools.cache
def _server() -> Postgres:
    server = Postgres().start()
    atexit.register(server.close)
    return server


def _migrate(url: str) -> None:
    # In a thread: the test that is the first to ask has an event loop of its own.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, migrate_database(url)).result()


def refuse(conn: sa.Connection, texts: str) -> None:
    """Have the database refuse messages whose text is LIKE `texts`, until `accept_again`."""
    when = f"WHEN (NEW.text LIKE '{texts}')"
    if ON_POSTGRES:
        conn.exec_driver_sql(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE EXCEPTION 'refused'; END $$"
        )
        conn.exec_driver_sql(
            "CREATE TRIGGER no_poison BEFORE INSERT ON messages"
            f" FOR EACH ROW {when} EXECUTE FUNCTION refuse()"
        )
    else:
        conn.exec_driver_sql(
            f"CREATE TRIGGER no_poison BEFORE INSERT ON messages {when}"
            " BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )


def accept_again(conn: sa.Connection) -> None:
    conn.exec_driver_sql("DROP TRIGGER no_poison" + (" ON messages" if ON_POSTGRES else ""))
