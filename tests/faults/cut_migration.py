"""Migrates a fresh database in a process that is killed before its n-th statement, for every n
or every few, then migrates it again; prints the number of cuts. Any difference to a clean one is
an error."""

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from hub.store.migrate import migrate_sqlite


def schema_of(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        found = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        found += connection.execute("SELECT * FROM alembic_version").fetchall()
        return found
    finally:
        connection.close()


def migrate_and_die(path: Path, before: int) -> None:
    """Migrate and be killed before the statement `before`, or come to the end."""
    count = 0

    @sa.event.listens_for(sa.Engine, "before_cursor_execute")
    def count_down(*_arguments: object) -> None:
        nonlocal count
        count += 1
        if count == before:
            os.kill(os.getpid(), signal.SIGKILL)

    migrate_sqlite(path)


def is_killed(path: Path, before: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            migrate_and_die(path, before)
        except BaseException as error:
            os.write(2, f"{type(error).__name__}: {error}\n".encode())
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status):
        raise SystemExit(f"the migration failed by itself, cut before statement {before}")
    return os.WIFSIGNALED(status)


def main(folder: Path, stride: int) -> None:
    clean = folder / "clean.db"
    if is_killed(clean, 0):
        raise SystemExit("the clean migration was killed")
    expected = schema_of(clean)
    cuts = 0
    before = 1
    while is_killed(path := folder / f"cut{before}.db", before):
        cuts += 1
        if is_killed(path, 0):
            raise SystemExit("the second migration was killed")
        if schema_of(path) != expected:
            raise SystemExit(f"another schema after a cut before statement {before}")
        before += stride
    os.write(1, f"{cuts}\n".encode())


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
