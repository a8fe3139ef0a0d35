"""What is PostgreSQL's own: races between processes, the order of changes, a server that is away.

The units themselves are tested on it by ONETHREAD_TEST_DATABASE=postgresql (see databases).
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.check import find
from hub.errors import LeaseLost, StoreUnavailable
from hub.settings import load_settings
from hub.store import Store, migrate_database, open_store
from hub.store.accept import Acceptance, accept
from hub.store.accounts import enrol
from hub.store.changes import START, changes_after, is_kept, newest_place
from hub.store.claims import Claim, Leased, Work, claim
from hub.store.postgres import LANES, create_engine, look
from hub.store.schema import addresses, changes, channels, customers, messages
from tests.hub.line import AT, Line
from tests.servers import Postgres

SECOND = 1_000_000


@pytest.fixture
async def stores(fresh_postgres: str) -> AsyncIterator[list[Store]]:
    """Two on one database, as two processes have them."""
    await migrate_database(fresh_postgres)
    opened = [open_store(fresh_postgres), open_store(fresh_postgres)]
    yield opened
    for store in opened:
        await store.close()


async def open_line(store: Store) -> Line:
    [channel] = await store.write(enrol, [("whatsapp", "1", "wa")], AT)
    return Line(store, channel["id"])


def count(conn: sa.Connection) -> dict[str, int]:
    def rows(table: sa.Table) -> int:
        return conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()

    return {table.name: rows(table) for table in (customers, addresses, messages)}


async def test_one_process_migrates_and_the_others_wait(fresh_postgres: str) -> None:
    done = await asyncio.gather(*(migrate_database(fresh_postgres) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    assert not await migrate_database(fresh_postgres)


async def test_a_new_customer_in_two_processes_at_once_is_one(stores: list[Store]) -> None:
    line = await open_line(stores[0])
    for round_ in range(10):
        arrivals = [line.arrival(f"her{round_}", f"{round_}-{n}") for n in range(6)]
        stored = await asyncio.gather(
            *(
                stores[n % 2].each(accept, Acceptance(AT, arrivals=[arrival]), urgent=True)
                for n, arrival in enumerate(arrivals)
            )
        )
        seqs = sorted(one.stored[0].seq for one in stored)
        assert seqs == [1, 2, 3, 4, 5, 6]
        assert len({one.stored[0].conversation_id for one in stored}) == 1
    assert await stores[0].read(count) == {"customers": 10, "addresses": 10, "messages": 60}


async def test_a_redelivery_in_two_processes_at_once_is_stored_once(stores: list[Store]) -> None:
    line = await open_line(stores[0])
    for number in range(10):
        arrival = line.arrival("her", f"text {number}")
        twice = [Acceptance(AT, arrivals=[line.arrival("her", f"text {number}")]) for _ in range(3)]
        for one in twice:
            one.arrivals[0].row["dedupe_key"] = arrival.row["dedupe_key"]
        told = await asyncio.gather(
            *(stores[n % 2].each(accept, one, urgent=True) for n, one in enumerate(twice))
        )
        assert sum(one.stored[0].new for one in told) == 1
    assert (await stores[0].read(count))["messages"] == 10


async def test_a_conversation_is_claimed_by_one_of_two_processes(stores: list[Store]) -> None:
    line = await open_line(stores[0])
    stored = [await line.accept(line.arrival(f"customer {n}")) for n in range(8)]
    ids = [one[0].conversation_id for one in stored]
    asked = [Claim(id, 30 * SECOND, AT) for id in ids]
    told = await asyncio.gather(*(store.each(claim, one) for one in asked for store in stores))
    kinds = Counter(type(one) for one in told)
    assert kinds[Work] == 8
    assert kinds[Leased] + kinds[type(None)] == 8


def insert_change(conn: sa.Connection, kind: str) -> None:
    conn.execute(changes.insert().values(conversation_id=b"c" * 16, kind=kind, at=AT))


async def test_a_change_that_is_committed_late_is_not_skipped(
    stores: list[Store], fresh_postgres: str
) -> None:
    engine = create_engine(fresh_postgres)
    async with engine.connect() as slow:
        await slow.run_sync(insert_change, "slow")
        await stores[0].write(insert_change, "quick")
        assert await stores[0].read(changes_after, START, 10) == [], "the slow one may be before it"
        assert await stores[0].read(newest_place) == START
        await slow.commit()
    await engine.dispose()
    found = await stores[0].read(changes_after, START, 10)
    assert [change.kind for change in found] == ["slow", "quick"]
    place = found[0].place
    assert [c.kind for c in await stores[0].read(changes_after, place, 10)] == ["quick"]
    assert await stores[0].read(newest_place) == found[1].place


def change_server(conn: sa.Connection) -> None:
    """What a dump restored into another server looks like: transactions count anew there."""
    conn.execute(changes.update().values(tx=changes.c.tx + 1_000_000))


async def test_a_place_of_another_server_cannot_be_followed(stores: list[Store]) -> None:
    await stores[0].write(insert_change, "before")
    place = await stores[0].read(newest_place)
    assert await stores[0].read(is_kept, place)
    await stores[0].write(change_server)
    [of_old] = await stores[0].read(lambda conn: list(conn.execute(sa.select(changes.c.tx))))
    await stores[0].write(insert_change, "after")
    assert [c.kind for c in await stores[0].read(changes_after, START, 10)] == ["after"]
    # Nothing would come after it for a million transactions: who asks must look at all anew.
    assert not await stores[0].read(is_kept, place._replace(tx=of_old.tx))


def lock_both(conn: sa.Connection, items: Sequence[tuple[bytes, bytes]]) -> list[None]:
    """Lock two rows in the order given, with time for another to do it the other way round."""
    for pair in items:
        for id in pair:
            conn.execute(sa.update(channels).where(channels.c.id == id).values(paused_reason="x"))
            conn.execute(sa.select(sa.func.pg_sleep(0.05)))
    return [None] * len(items)


async def test_who_loses_a_deadlock_is_run_again(stores: list[Store]) -> None:
    rows = await stores[0].write(enrol, [("whatsapp", n, n) for n in ("1", "2")], AT)
    one, two = (row["id"] for row in rows)
    await asyncio.gather(
        stores[0].each(lock_both, (one, two)), stores[1].each(lock_both, (two, one))
    )


def insert_or_fail(conn: sa.Connection, items: Sequence[int]) -> list[Any]:
    for item in items:
        conn.execute(changes.insert().values(conversation_id=b"c" * 16, kind=str(item), at=AT))
        if item < 0:
            raise ValueError(f"{item} is negative")
    return [LeaseLost("seven") if item == 7 else item for item in items]


async def test_one_units_error_harms_no_other(stores: list[Store]) -> None:
    outcomes = await asyncio.gather(
        *(stores[0].each(insert_or_fail, item) for item in (1, 2, -3, 7, 4)),
        return_exceptions=True,
    )
    assert [type(o) if isinstance(o, Exception) else o for o in outcomes] == [
        1, 2, ValueError, LeaseLost, 4
    ]  # fmt: skip
    found = await stores[0].read(changes_after, START, 10)
    assert sorted(change.kind for change in found) == ["1", "2", "4", "7"]


def answer_too_few(_conn: sa.Connection, _items: Sequence[int]) -> list[int]:
    return []


async def test_a_mistake_of_ours_leaves_nobody_waiting(stores: list[Store]) -> None:
    for _ in range(LANES + 1):
        with pytest.raises(ValueError, match="shorter"):
            await asyncio.wait_for(stores[0].each(answer_too_few, 1), 5)
    assert await asyncio.wait_for(stores[0].each(insert_or_fail, 1), 5) == 1


def pause_all(conn: sa.Connection, items: Sequence[bytes]) -> list[None]:
    for id in items:
        conn.execute(sa.update(channels).where(channels.c.id == id).values(paused_reason="x"))
    return [None] * len(items)


async def test_what_waits_for_a_lock_does_not_hold_up_the_rest(
    stores: list[Store], fresh_postgres: str
) -> None:
    [row] = await stores[0].write(enrol, [("whatsapp", "1", "1")], AT)
    engine = create_engine(fresh_postgres)
    async with engine.connect() as other:
        await other.run_sync(pause_all, [row["id"]])
        waits = asyncio.create_task(stores[0].each(pause_all, row["id"]))
        await asyncio.sleep(0)
        told = [await asyncio.wait_for(stores[0].each(insert_or_fail, n), 5) for n in range(5)]
        assert told == [0, 1, 2, 3, 4]
        assert not waits.done()
        await other.rollback()
    await asyncio.wait_for(waits, 5)
    await engine.dispose()


async def test_a_server_that_is_away_and_comes_back(
    stores: list[Store], postgres: Postgres
) -> None:
    store = stores[0]
    line = await open_line(store)
    await line.accept(line.arrival("her", "before"))
    postgres.kill()
    for attempt in (line.accept(line.arrival("her", "lost")), store.read(count)):
        with pytest.raises(StoreUnavailable):
            await attempt
    postgres.start()
    with contextlib.suppress(StoreUnavailable):  # connections of before may still be in the pool
        await line.accept(line.arrival("her", "again"))
    await line.accept(line.arrival("her", "after"))
    assert (await store.read(count))["customers"] == 1


async def test_who_waits_when_it_closes_is_committed(fresh_postgres: str) -> None:
    await migrate_database(fresh_postgres)
    store = open_store(fresh_postgres)
    waiting = [asyncio.create_task(store.each(insert_or_fail, n)) for n in range(100, 250)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*waiting) == list(range(100, 250))
    with pytest.raises(StoreUnavailable):
        await store.each(insert_or_fail, 1)


async def test_a_url_may_say_what_postgresqls_own_tools_know(fresh_postgres: str) -> None:
    name = sa.text("SELECT current_setting('application_name')")
    for query in ("sslmode=prefer", "sslmode=disable&application_name=shop"):
        found = await look(f"{fresh_postgres}?{query}", lambda conn: conn.execute(name).scalar())
        assert found == "onethread"
    required = f"{fresh_postgres}?sslmode=require"  # this server has no certificate
    with pytest.raises(StoreUnavailable, match="SSL"):
        await look(required, sa.Connection.get_isolation_level)
    with pytest.raises(StoreUnavailable):
        await migrate_database(required)


async def test_check_says_what_is_wrong_with_the_server(
    fresh_postgres: str, postgres: Postgres, tmp_path: Path
) -> None:
    async def told(url: str) -> tuple[bool, str]:
        values = {"hub": {"database": url, "secret_key": "k" * 40, "media": str(tmp_path)}}
        found = await find(load_settings(None, values))
        [line] = [one for one in found if one.name == "hub.database"]
        return line.ok, line.text

    assert await told(fresh_postgres) == (
        True,
        "PostgreSQL answers; the database will be migrated by the next start",
    )
    await migrate_database(fresh_postgres)
    assert (await told(fresh_postgres))[1].endswith("the database is up to date")
    by_socket = postgres.socket_url(fresh_postgres.rpartition("/")[2])
    assert (await told(by_socket))[0]
    ok, text = await told(fresh_postgres + "_nowhere")
    assert not ok
    assert "does not exist" in text
    postgres.kill()
    ok, text = await told(fresh_postgres)
    assert not ok
    assert "127.0.0.1" in text
