"""The store on SQLite: its schema, its groups and how many statements it needs."""

import asyncio
import contextlib
import re
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hub.app import open_hub
from hub.clock import Clock
from hub.errors import LeaseLost, SchemaTooNew, StoreUnavailable
from hub.settings import load_settings
from hub.store import Store, open_store
from hub.store.migrate import HEAD, migrate_sqlite, revision_of, upgrade
from hub.store.schema import messages, metadata
from hub.store.sql import lease_now
from hub.store.sqlite import create_engine, explain
from hub.store.writer_process import fork_writer
from tests.databases import only_sqlite
from tests.posting import post_wa, text_item, wa_body
from tests.running import House, overrides, running_hub
from tests.statements import heard_by


def open_at(path: Path, writer: str) -> Store:
    migrate_sqlite(path)
    child = fork_writer(partial(create_engine, path), explain) if writer == "process" else None
    return open_store(f"sqlite:///{path}", child)


def create_table(conn: sa.Connection) -> None:
    conn.exec_driver_sql("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    conn.exec_driver_sql("CREATE TABLE log (place INTEGER PRIMARY KEY, item TEXT, size INTEGER)")


@pytest.fixture(params=["thread", "process"])
def writer(request: pytest.FixtureRequest) -> str:
    """Who writes. What a process is to run must be found by its name."""
    return str(request.param)


@pytest.fixture
async def store(tmp_path: Path, writer: str) -> AsyncIterator[Store]:
    opened = open_at(tmp_path / "hub.db", writer)
    await opened.write(create_table)
    yield opened
    await opened.close()


def is_for_sqlite(_: Any, name: str | None, *__: Any) -> bool:
    return name != "ix_changes_tx_id"


# Neither can read back an index of an expression; `_objects` compares that one.
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified:UserWarning")
@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection:sqlalchemy.exc.SAWarning")
def test_the_migrated_schema_is_the_one_the_code_knows(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    engine = create_engine(path)
    with engine.begin() as conn:
        upgrade(conn)
    assert not migrate_sqlite(path), "there is nothing more to do"
    assert revision_of(path) == HEAD
    with engine.begin() as conn:
        opts = {"compare_type": True, "include_object": is_for_sqlite}
        context = MigrationContext.configure(conn, opts=opts)
        assert compare_metadata(context, metadata) == []
        made = dict(_objects(conn))
    engine.dispose()
    first = tmp_path / "first.db"
    assert migrate_sqlite(first), "a first start makes the tables at once"
    assert revision_of(first) == HEAD
    fresh = create_engine(first)
    with fresh.begin() as conn:
        wanted = dict(_objects(conn))
    fresh.dispose()
    assert made == wanted


def _objects(conn: sa.Connection) -> Iterator[tuple[str, list[str]]]:
    """Every table and index with the words of its SQL, which hold what alembic does not compare:
    partial indexes' conditions, defaults, AUTOINCREMENT."""
    rows = conn.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    for name, sql in rows:
        if name != "alembic_version":
            # The order in which columns and constraints are written means nothing.
            yield name, sorted(re.split(r"[\s,()]+", sql))


@only_sqlite
async def test_a_database_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    migrate_sqlite(path)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match=r"hub\.database.*9999.*newer release"):
        migrate_sqlite(path)
    settings = load_settings(None, overrides(tmp_path, _no_standins(), "http://127.0.0.1:1"))
    with pytest.raises(SchemaTooNew):
        async with open_hub(settings, Clock()):
            pytest.fail("opened a database it does not know")
    with contextlib.closing(sqlite3.connect(path)) as conn:
        assert conn.execute("SELECT version_num FROM alembic_version").fetchall() == [("9999",)]


def _no_standins() -> dict[str, Any]:
    class Nowhere:
        base_url = "http://127.0.0.1:1"

    return {"wa": Nowhere, "sms": Nowhere}


def pragmas(conn: sa.Connection) -> dict[str, Any]:
    names = ("journal_mode", "synchronous", "foreign_keys")
    return {n: conn.exec_driver_sql(f"PRAGMA {n}").scalar() for n in names}


async def test_what_is_acknowledged_is_on_disk(store: Store) -> None:
    assert await store.write(pragmas) == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
    }


def insert(conn: sa.Connection, items: Sequence[int]) -> list[Any]:
    """A batch that fails as a whole for a negative item; the result of 7 is an error."""
    for item in items:
        conn.execute(sa.text("INSERT INTO t VALUES (:n)"), {"n": item})
        if item < 0:
            raise ValueError(f"{item} is negative")
    return [LeaseLost("seven") if item == 7 else item for item in items]


async def kept(store: Store) -> list[int]:
    def read(conn: sa.Connection) -> list[int]:
        return list(conn.execute(sa.text("SELECT n FROM t ORDER BY n")).scalars())

    return await store.read(read)


async def test_one_units_error_harms_no_other(store: Store) -> None:
    items = [1, 2, -3, 4, 7, 2, -5, 6]  # one value twice: the second violates the primary key
    outcomes = await asyncio.gather(
        *(store.each(insert, item) for item in items), return_exceptions=True
    )
    assert [type(o) if isinstance(o, Exception) else o for o in outcomes] == [
        1, 2, ValueError, 4, LeaseLost, sa.exc.IntegrityError, ValueError, 6
    ]  # fmt: skip
    assert await kept(store) == [1, 2, 4, 6, 7]


def fail(conn: sa.Connection) -> None:
    conn.execute(sa.text("INSERT INTO t VALUES (99)"))
    raise KeyError("gone")


def add(conn: sa.Connection, number: int) -> int:
    conn.execute(sa.text("INSERT INTO t VALUES (:n)"), {"n": number})
    return number


async def test_a_group_keeps_other_batches_when_one_fails(store: Store) -> None:
    outcomes = await asyncio.gather(
        store.write(add, 10), store.write(fail), store.write(add, 11), return_exceptions=True
    )
    assert outcomes[0] == 10
    assert isinstance(outcomes[1], KeyError)
    assert outcomes[2] == 11
    assert await kept(store) == [10, 11]


def note(conn: sa.Connection, items: Sequence[str]) -> list[None]:
    for item in items:
        row = {"item": item, "size": len(items)}
        conn.execute(sa.text("INSERT INTO log (item, size) VALUES (:item, :size)"), row)
    return [None] * len(items)


def note_urgent(conn: sa.Connection, items: Sequence[str]) -> list[None]:
    return note(conn, items)


def noted(conn: sa.Connection) -> list[tuple[str, int]]:
    rows = conn.execute(sa.text("SELECT item, size FROM log ORDER BY place"))
    return [(row.item, row.size) for row in rows]


async def test_many_units_share_few_commits(store: Store) -> None:
    await asyncio.gather(*(store.each(note, str(number)) for number in range(100, 400)))
    rows = await store.read(noted)
    assert len(rows) == 300
    assert max(size for _, size in rows) <= 64
    assert sum(1 / size for _, size in rows) < 100


def hold(conn: sa.Connection, items: Sequence[float]) -> list[None]:
    time.sleep(max(items))
    return [None] * len(items)


async def test_the_urgent_go_first(store: Store) -> None:
    held = store.each(hold, 0.5)  # until everybody waits
    rest = [store.each(note, f"rest {n}") for n in range(200)]
    urgent = [store.each(note_urgent, f"urgent {n}", urgent=True) for n in range(20)]
    await asyncio.gather(held, *rest, *urgent)
    order = [item for item, _ in await store.read(noted)]
    last_urgent = max(index for index, one in enumerate(order) if one.startswith("urgent"))
    assert last_urgent < 130, "at most one group was before them"


async def test_who_is_cancelled_does_not_undo_the_commit(store: Store) -> None:
    task = asyncio.create_task(store.each(insert, 5))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.each(insert, 6)
    assert await kept(store) == [5, 6]


async def test_closing_commits_what_waits_and_refuses_the_rest(tmp_path: Path, writer: str) -> None:
    opened = open_at(tmp_path / "hub.db", writer)
    await opened.write(create_table)
    waiting = [asyncio.create_task(opened.each(insert, number)) for number in range(100, 150)]
    await asyncio.sleep(0)
    await opened.close()
    assert await asyncio.gather(*waiting) == list(range(100, 150))
    for refused in (opened.each(insert, 1), opened.read(lease_now)):
        with pytest.raises(StoreUnavailable):
            await refused


def be_impatient(conn: sa.Connection) -> None:
    conn.exec_driver_sql("PRAGMA busy_timeout=30")


async def test_it_waits_for_no_one_who_holds_the_lock_for_ever(
    store: Store, tmp_path: Path
) -> None:
    await store.write(be_impatient)
    with contextlib.closing(sqlite3.connect(tmp_path / "hub.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        outcomes = await asyncio.gather(
            *(store.each(insert, number) for number in range(10)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {StoreUnavailable}
        assert await kept(store) == [], "reading goes on"
        other.execute("ROLLBACK")
    assert await store.each(insert, 1) == 1
    assert await kept(store) == [1]


class Watch:
    """Every statement any engine runs while it is switched on, with its last parameters."""

    def __init__(self) -> None:
        self.seen: dict[str, Any] = {}
        self.counts: Counter[str] = Counter()

    def __call__(
        self, conn: Any, cursor: Any, sql: str, parameters: Any, context: Any, many: bool
    ) -> None:
        self.seen[sql] = parameters[0] if many else parameters
        self.counts[sql] += 1


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    with heard_by(watch):
        yield watch


async def _settled_posts(house: House, bodies: list[bytes]) -> None:
    assert set(await asyncio.gather(*(post_wa(house, body) for body in bodies))) == {200}
    await house.settled()
    await house.whatsapp.deliveries.drained()
    await house.settled()


def per_message(watch: Watch, count: int) -> float:
    worked = sum(
        n
        for sql, n in watch.counts.items()
        if sql.split()[0] in ("SELECT", "UPDATE", "DELETE", "INSERT", "WITH")
    )
    return worked / count


@only_sqlite
async def test_the_statements_of_one_message_are_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Printed and bounded, so that a change that adds some is seen. The sweep that looks for
    missed work is switched off, since how often it comes hangs on the time."""
    numbers = [f"88017110{number:05}" for number in range(300)]
    async with running_hub(
        tmp_path,
        dialogs={"modules": ("tests.flows",), "default": "echo"},
        accounts={"receipt_delay": 0.0},
        limits={"poll": 3600.0, "lease": 60.0, "send_timeout": 30.0},
    ) as house:
        for number in numbers:
            await house.whatsapp.customer_writes(number, text="open the window")
        await house.whatsapp.deliveries.drained()
        await house.settled()
        await asyncio.sleep(0.2)
        with watching() as alone:
            body = wa_body(messages=[text_item("wamid.alone", "hello", numbers[0])])
            await _settled_posts(house, [body])
        bodies = [
            wa_body(messages=[text_item(f"wamid.{number}", "hello", number)]) for number in numbers
        ]
        with watching() as together:
            await _settled_posts(house, bodies)
        answered = await house.rows(messages.c.text == "echo hello", messages.c.state == "read")
        assert len(answered) == len(numbers) + 1
    figures = per_message(alone, 1), per_message(together, len(numbers))
    with capsys.disabled():
        print(  # noqa: T201  # a figure to be read in every run
            f"\nstatements for a message, its turn, its reply and three receipts: {figures[0]:.0f}"
            f" alone, {figures[1]:.1f} each of {len(numbers)} at once"
        )
    assert figures[0] <= 70
    assert figures[1] <= 20
