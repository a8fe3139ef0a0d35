"""What agents read at 1,000,000 messages: the list of conversations by each filter, and threads.

The store's own units, as the API calls them, beside a floor in turn with them: as many rows of the
same table by their primary keys, with the driver alone.
"""

import asyncio
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it has no stubs

from hub.store import Store, open_store
from hub.store.threads import Wanted, list_conversations, list_messages, messages_after
from tests.filling import Filling, agent_of, fill, number_of
from tests.servers import Postgres

MESSAGES, PAGE, ROUNDS, MOST = 1_000_000, 50, 200, 5.0
LISTS = {
    "all": Wanted(),
    "status=open": Wanted(status="open"),
    "status=snoozed": Wanted(status="snoozed"),
    "owner=bot": Wanted(owner="bot"),
    "owner=queue": Wanted(owner="queue"),
    "owner of an agent": Wanted(owner=agent_of(5)),
    "channel=sms, a tenth": Wanted(channel="sms"),
    "team=sales, a twentieth": Wanted(team="sales"),
    "team=returns, two": Wanted(team="returns"),
    "tag=vip, a hundredth": Wanted(tag="vip"),
    "tag=fraud, three": Wanted(tag="fraud"),
    "q, a number": Wanted(search="+" + number_of(4711)),
    "q, a name": Wanted(search="customer 4711"),
}
Read = Callable[[], Awaitable[Any]]


class SqliteFloor:
    def __init__(self, path: str) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("PRAGMA mmap_size=268435456")

    async def ids(self, table: str) -> list[bytes]:
        return [row[0] for row in self.db.execute(f"SELECT id FROM {table} LIMIT 100000")]

    async def fetch(self, table: str, ids: list[bytes]) -> None:
        marks = ", ".join("?" * len(ids))
        self.db.execute(f"SELECT * FROM {table} WHERE id IN ({marks})", ids).fetchall()

    async def close(self) -> None:
        self.db.close()


class PostgresFloor:
    def __init__(self, db: Any) -> None:
        self.db = db

    async def ids(self, table: str) -> list[bytes]:
        return [row[0] for row in await self.db.fetch(f"SELECT id FROM {table} LIMIT 100000")]

    async def fetch(self, table: str, ids: list[bytes]) -> None:
        await self.db.fetch(f"SELECT * FROM {table} WHERE id = ANY($1::bytea[])", ids)

    async def close(self) -> None:
        await self.db.close()


Floor = SqliteFloor | PostgresFloor


def measure_reading() -> None:
    with tempfile.TemporaryDirectory() as folder:
        fill(f"sqlite:///{folder}/hub.db", Filling(MESSAGES))
        asyncio.run(_measure("reading", f"sqlite:///{folder}/hub.db"))


def measure_reading_postgres() -> None:
    server = Postgres(shared_buffers="512MB", max_wal_size="4GB").start()
    try:
        url = server.create()
        fill(url, Filling(MESSAGES))
        asyncio.run(_measure("reading_postgres", url))
    finally:
        server.close()


async def _measure(name: str, url: str) -> None:
    store = open_store(url)
    floor: Floor = (
        PostgresFloor(await asyncpg.connect(url))
        if url.startswith("postgresql:")
        else SqliteFloor(url.removeprefix("sqlite:///"))
    )
    try:
        threads = await floor.ids("conversations")
        for what, wanted in LISTS.items():
            await _tell(name, f"list, {what}", _list(store, wanted), floor, "conversations")
        deep = random.Random(1).choices(threads[:1000], k=ROUNDS)
        for what, chosen in (
            ("thread, a long one", deep),
            ("thread, any", random.Random(2).choices(threads, k=ROUNDS)),
        ):
            await _tell(name, what, _thread(store, iter(chosen * 2)), floor, "messages")
        await _tell(name, "thread, after a seq", _after(store, iter(deep * 2)), floor, "messages")
    finally:
        await floor.close()
        await store.close()


def _list(store: Store, wanted: Wanted) -> Read:
    return lambda: store.read(list_conversations, wanted, None, PAGE + 1)


def _thread(store: Store, chosen: Any) -> Read:
    return lambda: store.read(list_messages, next(chosen), None, PAGE + 1)


def _after(store: Store, chosen: Any) -> Read:
    return lambda: store.read(messages_after, next(chosen), 1, PAGE)


async def _tell(name: str, what: str, read: Read, floor: Floor, table: str) -> None:
    """Read and floor in turn, for ROUNDS or MOST seconds."""
    ids = await floor.ids(table)
    took: list[float] = []
    floors: list[float] = []
    await read()
    end = time.monotonic() + MOST
    while len(took) < ROUNDS and time.monotonic() < end:
        chosen = random.choices(ids, k=PAGE + 1)
        begun = time.perf_counter()
        await floor.fetch(table, chosen)
        between = time.perf_counter()
        await read()
        floors.append((between - begun) * 1000)
        took.append((time.perf_counter() - between) * 1000)
    p50, p99 = statistics.median(took), sorted(took)[int(len(took) * 0.99)]
    ratio = p50 / statistics.median(floors)
    print(
        f"{name}: {what}: p50 {p50:.2f} ms, p99 {p99:.2f} ms, {ratio:.1f} times the floor of"
        f" {statistics.median(floors):.2f} ms"
    )
