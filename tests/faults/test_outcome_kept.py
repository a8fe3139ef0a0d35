"""The database goes away while a provider is answering: what it said is known, so nothing is sent
twice, neither after an outage longer than any lease nor after a stop within one."""

import signal
from pathlib import Path

import pytest

from tests.faults.hooks import Line, external_id_of, hook_of
from tests.faults.scaled import Scaled, open_scaled
from tests.servers import Postgres

LINE = Line("wa", "+8801711000001")
AWAY = 5.0  # seconds; lease, send_timeout and reconcile_for are 4 s together


async def being_sent(house: Scaled) -> None:
    """Start the hub; returns while its first call is under way. The receipts never come."""
    await house.open_windows([LINE])
    await house.start()
    standin = house.standins["wa"]
    await standin.post("faults", [{"do": "slow", "seconds": 0.8}, {"do": "no_receipts"}])
    hook = hook_of(house.url, LINE, external_id_of(LINE, "hello"), "hello")
    async with standin.session.post(
        house.url + hook.path, data=hook.body, headers=hook.headers
    ) as answer:
        assert answer.status == 200

    async def is_called() -> bool:
        return bool(await standin.sends())

    assert await house.until(is_called, 10, 0.01)


async def answers(house: Scaled) -> list[int | None]:
    """What each call with the first reply was answered."""
    calls = await house.standins["wa"].sends()
    return [call.status for call in calls if call.text == "re hello"]


@pytest.mark.slow
async def test_an_answer_outlasts_an_outage(
    tmp_path: Path, postgres: Postgres, fresh_postgres: str
) -> None:
    async with open_scaled(tmp_path, fresh_postgres, delay=0.0) as house:
        await being_sent(house)
        postgres.stop()
        await house.until(lambda: False, AWAY)
        postgres.start()
        await house.settled()
        assert await answers(house) == [200]


@pytest.mark.slow
async def test_an_answer_outlasts_a_stop_within_an_outage(
    tmp_path: Path, postgres: Postgres, fresh_postgres: str
) -> None:
    async with open_scaled(tmp_path, fresh_postgres, delay=0.0) as house:
        await being_sent(house)
        postgres.stop()
        for worker in house.workers:
            worker.send(signal.SIGTERM)
        await house.until(lambda: False, 2.0)
        postgres.start()
        assert [await worker.ended() for worker in house.workers] == [0, 0]
        house.workers.clear()
        house.start_workers()
        await house.settled()
        assert await answers(house) == [200]
