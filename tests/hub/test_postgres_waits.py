"""PostgreSQL: who waits too long for another process hears that the database cannot work now, and
nobody's migration is cut off for being slow."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
import sqlalchemy as sa

from hub.errors import StoreUnavailable
from hub.store import Store, migrate_database, open_store
from hub.store.accounts import enrol
from hub.store.health import try_write
from hub.store.postgres import POOL, create_engine
from hub.store.schema import channels
from tests.hub.line import AT


@pytest.fixture
async def store(fresh_postgres: str) -> AsyncIterator[Store]:
    await migrate_database(fresh_postgres)
    opened = open_store(fresh_postgres)
    yield opened
    await opened.close()


def lock_channel(conn: sa.Connection, items: Sequence[bytes]) -> list[None]:
    conn.execute(sa.text("SET LOCAL lock_timeout = '100ms'"))
    for id in items:
        conn.execute(sa.select(channels.c.id).where(channels.c.id == id).with_for_update())
    return [None] * len(items)


async def test_a_lock_that_is_never_let_go_is_no_fault_of_what_waits(
    store: Store, fresh_postgres: str
) -> None:
    """A process that is frozen within a transaction holds its locks. What waits for them must not
    count as something that can never be stored: intake would make it a dead letter."""
    rows = await store.write(enrol, [("whatsapp", "1", "wa")], AT)
    frozen = create_engine(fresh_postgres)
    async with frozen.connect() as conn:
        await conn.run_sync(lock_channel, [rows[0]["id"]])
        told = await asyncio.gather(
            *(store.each(lock_channel, rows[0]["id"]) for _ in range(3)), return_exceptions=True
        )
        assert [type(one) for one in told] == [StoreUnavailable] * 3
        await conn.rollback()
        await store.each(lock_channel, rows[0]["id"])
    await frozen.dispose()


async def test_a_process_frozen_within_its_trial_write_holds_up_no_others(
    store: Store, fresh_postgres: str
) -> None:
    frozen = create_engine(fresh_postgres)
    async with frozen.connect() as conn:
        await conn.run_sync(try_write, AT)
        await asyncio.wait_for(store.write(try_write, AT), 5)
    await frozen.dispose()


def sleep(conn: sa.Connection, seconds: float) -> None:
    conn.execute(sa.select(sa.func.pg_sleep(seconds)))


async def test_slow_reads_hold_up_no_write(store: Store) -> None:
    reads = [asyncio.create_task(store.read(sleep, 1.0)) for _ in range(POOL + 4)]
    await asyncio.sleep(0.1)
    writes = [asyncio.create_task(store.write(sleep, 0.0)) for _ in range(20)]
    done, _ = await asyncio.wait([*reads, *writes], return_when=asyncio.FIRST_COMPLETED)
    assert done <= set(writes)
    await asyncio.gather(*writes)
    assert not any(read.done() for read in reads)
    await asyncio.gather(*reads)


def lose(conn: sa.Connection, code: str) -> None:
    conn.execute(sa.text(f"DO $$ BEGIN RAISE EXCEPTION 'lost' USING ERRCODE = '{code}'; END $$"))


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_who_loses_every_race_comes_again_later(store: Store, code: str) -> None:
    with pytest.raises(StoreUnavailable):
        await store.write(lose, code)


@pytest.mark.slow
async def test_a_slow_migration_is_waited_for(fresh_postgres: str) -> None:
    """An index on a large table takes minutes. Neither the process that makes it nor one that
    waits for it gives up."""
    engine = create_engine(fresh_postgres)
    async with engine.begin() as conn:
        await conn.execute(sa.text(SLOW))
        await conn.execute(
            sa.text("CREATE EVENT TRIGGER slow ON ddl_command_end EXECUTE FUNCTION slow()")
        )
    await engine.dispose()
    done = await asyncio.gather(*(migrate_database(fresh_postgres) for _ in range(2)))
    assert sorted(done) == [False, True]


SLOW = """
CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_sleep(16) FROM pg_event_trigger_ddl_commands()
    WHERE object_type = 'table' AND object_identity = 'public.alembic_version';
END $$
"""
