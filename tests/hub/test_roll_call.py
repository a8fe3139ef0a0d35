"""Nothing is sent again while its receipt may wait in the spool of another process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from connectors.sandbox import twilio, whatsapp
from hub.app import open_hub, serving
from hub.roll_call import RollCall
from hub.settings import load_settings
from hub.store import Store, migrate_database, open_store
from hub.store.schema import messages
from hub.store.spools import may_wait_elsewhere
from tests.faults.scene import FLOWS
from tests.running import CUSTOMER, House, add_accounts, free_port, overrides

ROW, LATER = b"r" * 16, b"l" * 16

FULL = """
    CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$;
    CREATE TRIGGER full_disk BEFORE INSERT ON hooks FOR EACH ROW
    WHEN (position('statuses'::bytea in NEW.body) > 0) EXECUTE FUNCTION full_disk()
"""


def run(conn: sa.Connection, statements: str) -> None:
    for statement in statements.split(";\n"):
        conn.exec_driver_sql(statement)


@contextlib.asynccontextmanager
async def two_hubs(url: str, folder: Path, **limits: float) -> AsyncIterator[House]:
    """A web process and a worker, each with a spool of its own; the House is the web's."""
    await migrate_database(url)
    port = free_port()
    public_url = f"http://127.0.0.1:{port}"
    async with contextlib.AsyncExitStack() as stack:
        sandboxes: dict[str, Any] = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
        for one in sandboxes.values():
            await one.start()
            stack.push_async_callback(one.stop)
        values = overrides(folder, sandboxes, public_url, dialogs=FLOWS, limits=limits)
        values["hub"]["database"] = url
        hubs = []
        for name in ("web", "worker"):
            values["hub"]["spool"] = str(folder / name)
            hubs.append(await stack.enter_async_context(open_hub(load_settings(None, values))))
        await stack.enter_async_context(serving(hubs[0], "127.0.0.1", port, worker=False))
        hubs[1].worker.start()
        stack.push_async_callback(hubs[1].worker.stop)
        add_accounts(sandboxes, public_url)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield House(hubs[0], public_url, sandboxes, session, "")


@pytest.mark.slow
async def test_a_receipt_in_another_processes_spool_stops_the_resend(
    fresh_postgres: str, tmp_path: Path
) -> None:
    limits = {"lease": 2.0, "send_timeout": 0.8, "reconcile_for": 0.5}
    async with two_hubs(fresh_postgres, tmp_path, **limits) as house:
        spool = house.hub.state.spool

        async def states() -> list[str]:
            return [row["state"] for row in await house.rows(messages.c.direction == "out")]

        async def is_unknown() -> bool:
            return await states() == ["unknown"]

        await house.hub.store.write(run, FULL)
        house.whatsapp.add_fault("accept_reset", match={"to": CUSTOMER})
        await house.writes("wa", "hello")
        await house.until(spool.waiting)
        await house.until(is_unknown)
        await asyncio.sleep(4.0)  # many times what a resend waits for
        assert await states() == ["unknown"]
        assert len(await house.heard("wa")) == 1
        await house.hub.store.write(
            lambda conn: conn.exec_driver_sql("DROP TRIGGER full_disk ON hooks").close()
        )

        async def is_delivered() -> bool:
            return set(await states()) <= {"delivered", "read"}

        await house.until(is_delivered)
        await house.until(lambda: not spool.waiting())
        assert [call.method for call in house.whatsapp.log()].count("POST") == 1


@pytest.mark.slow
async def test_without_a_receipt_it_is_sent_again_soon(fresh_postgres: str, tmp_path: Path) -> None:
    limits = {"lease": 2.0, "send_timeout": 0.8, "reconcile_for": 0.5}
    async with two_hubs(fresh_postgres, tmp_path, **limits) as house:
        house.whatsapp.add_fault("reset", match={"to": CUSTOMER})
        await house.writes("wa", "hello")

        async def is_heard() -> bool:
            return len(await house.heard("wa")) == 1

        await house.until(is_heard, 8)


@pytest.fixture
async def stores(fresh_postgres: str) -> AsyncIterator[list[Store]]:
    await migrate_database(fresh_postgres)
    opened = [open_store(fresh_postgres), open_store(fresh_postgres)]
    yield opened
    for store in opened:
        await store.close()


@pytest.mark.slow
async def test_what_waits_is_waited_for_and_who_is_gone_is_not(stores: list[Store]) -> None:
    waiting = 1
    own = RollCall(stores[0], lambda: 0, 0.6)
    other = RollCall(stores[1], lambda: waiting, 0.6)
    assert await own.is_open(ROW), "before it knows of the others"
    await own.report()
    assert not await own.is_open(ROW)
    await other.report()
    for _ in range(4):
        await asyncio.sleep(0.3)
        await other.report()
        assert await own.is_open(ROW), "it lives, and hooks wait there"
    waiting = 0
    assert await own.is_open(LATER), "asked for the first time"
    await other.report()
    assert await own.is_open(LATER), "some may have been spooled after its report before"
    await other.report()
    assert await own.is_open(LATER) is False
    assert await own.is_open(LATER), "asked anew"
    await asyncio.sleep(0.7)
    assert not await own.is_open(ROW), "the other is gone"


@pytest.mark.slow
async def test_who_ends_in_order_is_waited_for_only_with_something_left(
    stores: list[Store],
) -> None:
    waiting = 0
    one = RollCall(stores[1], lambda: waiting, 60.0)
    await one.report()

    async def is_waited_for() -> bool:
        return await stores[0].read(may_wait_elsewhere, "own", 1 << 62, 0)

    assert await is_waited_for()
    await one.end()
    assert not await is_waited_for()
    waiting = 1
    await one.report()
    await one.end()
    assert await is_waited_for()
