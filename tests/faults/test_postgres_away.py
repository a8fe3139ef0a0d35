"""PostgreSQL goes away under two web processes, each with a spool of its own: what they took in
meanwhile is stored in order, once, when it is back, though all of it was delivered twice."""

import asyncio
from pathlib import Path

import aiohttp
import pytest

from hub.spool_files import survey
from tests.faults import hooks
from tests.faults.scaled import Scaled, open_scaled
from tests.running import free_port
from tests.servers import Postgres

CUSTOMERS, EACH, AWAY_FOR = 6, 8, 3.0
LINES = [hooks.Line("wa", f"+88017220000{number:02}") for number in range(CUSTOMERS)]


class Poster:
    """Posts what the customers write to two web processes."""

    def __init__(self, session: aiohttp.ClientSession, urls: list[str]) -> None:
        self._session = session
        self._urls = urls

    async def post(self, line: hooks.Line, number: int, url: str) -> int:
        wamid = hooks.external_id_of(line, str(number))
        hook = hooks.whatsapp_hook([(line, wamid, f"text {number}")])
        whole = url + hook.path
        async with self._session.post(whole, data=hook.body, headers=hook.headers) as answer:
            return answer.status

    async def write(self, numbers: range) -> set[int]:
        """Each customer's messages go to one process in her order, then to the other, as of a
        provider that saw no answer. All statuses."""

        async def one(place: int, line: hooks.Line) -> set[int]:
            own = place % len(self._urls)
            found: set[int] = set()
            for url in (self._urls[own], self._urls[1 - own]):
                for number in numbers:
                    found.add(await self.post(line, number, url))
            return found

        sets = await asyncio.gather(*(one(place, line) for place, line in enumerate(LINES)))
        return set().union(*sets)


def threads(house: Scaled) -> list[list[str]]:
    """What each customer wrote, in the order of her thread."""
    found: dict[str, list[str]] = {}
    for row in house.rows():
        if row.direction == "in":
            found.setdefault(row.thread, []).append(row.text)
    return list(found.values())


@pytest.mark.slow
async def test_two_spools_are_replayed_in_order_and_once(
    tmp_path: Path, fresh_postgres: str, postgres: Postgres
) -> None:
    async with open_scaled(tmp_path, fresh_postgres) as house:
        await house.open_windows(LINES)
        await house.start()
        port = free_port()
        second = house.spawn(port, "hub2")
        house.workers.append(second)  # so that it ends with the others
        await second.first_line()
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            poster = Poster(session, [house.url, f"http://127.0.0.1:{port}"])
            assert await poster.write(range(2)) == {200}
            postgres.kill()
            assert await poster.write(range(2, EACH)) == {200}
            kept = sum(one.records for one in survey(tmp_path / "spool").values())
            assert kept == CUSTOMERS * (EACH - 2) * 2
            assert len(list((tmp_path / "spool").glob("*/lock"))) >= 2, "each has its own"
            await asyncio.sleep(AWAY_FOR)
            postgres.start()
            assert await poster.write(range(EACH, EACH + 2)) == {200}
        assert await house.until(lambda: not survey(tmp_path / "spool"), 30)
        await house.settled(60)
        expected = [f"text {number}" for number in range(EACH + 2)]
        assert threads(house) == [expected] * CUSTOMERS
        for process in (house.hub, second, *house.workers):
            assert process is not None
            assert process.code is None
