"""A hub that starts while its database is away waits for it, says why, and ends when told to."""

import signal
from pathlib import Path

import aiohttp
import pytest

from hub.store import migrate_database
from tests.faults.processes import Process
from tests.faults.scaled import Scaled, open_scaled
from tests.servers import Postgres

WAITING = "waiting for the database"


async def says(house: Scaled, process: Process, text: str) -> None:
    found = await house.until(lambda: text in process.err.read_text(), 20)
    assert found, process.err.read_text()[-2000:]


@pytest.mark.slow
async def test_all_processes_wait_for_the_server_and_then_work(
    tmp_path: Path, fresh_postgres: str, postgres: Postgres
) -> None:
    url = fresh_postgres.replace("postgres@", "postgres:s3cr3t-w0rd@")
    async with open_scaled(tmp_path, url) as house:
        postgres.kill()
        house.hub = house.spawn(house.port)
        house.workers = [house.spawn_worker(0)]
        for process in (house.hub, *house.workers):
            await says(house, process, WAITING)
            assert process.code is None
            text = process.err.read_text()
            assert "refused" in text or "Connect call failed" in text
            assert "s3cr3t" not in text
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(f"{house.url}/healthz")
            postgres.start()
            await house.hub.first_line()
            async with session.get(f"{house.url}/readyz") as answer:
                assert answer.status == 200
        await says(house, house.workers[0], "the database answers")


@pytest.mark.slow
async def test_who_waits_ends_at_once_when_told_to(
    tmp_path: Path, fresh_postgres: str, postgres: Postgres
) -> None:
    async with open_scaled(tmp_path, fresh_postgres) as house:
        postgres.kill()
        house.hub = house.spawn(house.port)
        house.workers = [house.spawn_worker(0)]
        for process in (house.hub, *house.workers):
            await says(house, process, WAITING)
            process.send(signal.SIGTERM)
            assert await process.ended(3) == 0, process.err.read_text()


@pytest.mark.slow
async def test_who_waits_for_a_server_that_does_not_answer_ends_at_once_too(
    tmp_path: Path, fresh_postgres: str, postgres: Postgres
) -> None:
    async with open_scaled(tmp_path, fresh_postgres) as house:
        with postgres.frozen():
            house.hub = house.spawn(house.port)
            await says(house, house.hub, WAITING)
            house.hub.send(signal.SIGTERM)
            assert await house.hub.ended(3) == 0, house.hub.err.read_text()


@pytest.mark.slow
async def test_what_waiting_does_not_cure_ends_at_once(tmp_path: Path, fresh_postgres: str) -> None:
    for url, said in (
        (f"{fresh_postgres}_nowhere", "does not exist"),
        (fresh_postgres.replace("postgres@", "nobody:s3cr3t-w0rd@"), 'role "nobody"'),
    ):
        async with open_scaled(tmp_path, url) as house:
            for process in (house.spawn(house.port), house.spawn_worker(0)):
                assert await process.ended(20) == 1
                text = process.err.read_text()
                assert "hub.database: " in text
                assert said in text
                assert "s3cr3t" not in text
                assert WAITING not in text


@pytest.mark.slow
async def test_a_server_that_goes_away_within_the_start_is_waited_for_too(
    tmp_path: Path, fresh_postgres: str, postgres: Postgres
) -> None:
    await migrate_database(fresh_postgres)
    name = fresh_postgres.rpartition("/")[2]
    postgres.run(
        "CREATE FUNCTION away() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'away' USING ERRCODE = '57P03'; END $$",
        "CREATE TRIGGER away BEFORE INSERT ON channels FOR EACH ROW EXECUTE FUNCTION away()",
        database=name,
    )
    async with open_scaled(tmp_path, fresh_postgres) as house:
        house.hub = house.spawn(house.port)
        await says(house, house.hub, WAITING)
        postgres.run("DROP TRIGGER away ON channels", database=name)
        await house.hub.first_line()
