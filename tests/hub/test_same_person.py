"""One person who writes on two channels at once, each taken in by another process."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa

from hub.message import Alias
from hub.store import Store, migrate_database, open_store
from hub.store.accept import Acceptance, accept
from hub.store.accounts import enrol
from hub.store.schema import addresses, customers
from tests.hub.line import AT, Line

ROUNDS = 20


def count(conn: sa.Connection, table: sa.Table) -> int:
    return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


@pytest.mark.slow
async def test_her_first_words_on_two_channels_at_once_are_one_thread(fresh_postgres: str) -> None:
    await migrate_database(fresh_postgres)
    stores: list[Store] = [open_store(fresh_postgres), open_store(fresh_postgres)]
    try:
        wanted = [("whatsapp", "1", "wa"), ("twilio", "2", "sms")]
        channels = [row["id"] for row in await stores[0].write(enrol, wanted, AT)]
        line = Line(stores[0], channels[0])

        async def write(number: str, place: int) -> Any:
            arrival = line.arrival(
                f"{number} on {place}",
                channel_id=channels[place],
                aliases=(Alias("phone", number, verified=True),),
            )
            done = await stores[place].each(accept, Acceptance(AT, arrivals=[arrival]), urgent=True)
            return done.stored[0].conversation_id

        for round_ in range(ROUNDS):
            number = f"+88017110{round_:05}"
            assert len(set(await asyncio.gather(write(number, 0), write(number, 1)))) == 1
        assert await stores[0].read(count, customers) == ROUNDS
        assert await stores[0].read(count, addresses) == ROUNDS * 2
    finally:
        for store in stores:
            await store.close()
