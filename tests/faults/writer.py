"""A process that writes pairs of rows as fast as it can and says which are acknowledged, to be
killed. Every third unit fails between its two rows."""

import asyncio
import os
import sys
from pathlib import Path

import sqlalchemy as sa

from hub.store.sqlite import SqliteStore

WRITERS = 40
INSERT = "INSERT INTO pairs (name, half) VALUES (?, ?)"


class Spoilt(Exception):
    """The unit fails on purpose."""


def write_pair(conn: sa.Connection, name: str) -> None:
    conn.exec_driver_sql(INSERT, (name, 1))
    if name.endswith(("0", "3", "6", "9")):
        raise Spoilt
    conn.exec_driver_sql(INSERT, (name, 2))


async def write(store: SqliteStore, writer: str) -> None:
    count = 0
    while True:
        name = f"{writer}-{count}"
        count += 1
        try:
            await store.write(write_pair, name)
        except Spoilt:
            continue
        os.write(1, f"{name}\n".encode())


async def main(path: Path, run: str) -> None:
    store = SqliteStore(path)
    await store.write(
        lambda conn: conn.exec_driver_sql(
            "CREATE TABLE IF NOT EXISTS pairs (name TEXT, half INTEGER, PRIMARY KEY (name, half))"
        )
    )
    await asyncio.gather(*(write(store, f"{run}-{number}") for number in range(WRITERS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
