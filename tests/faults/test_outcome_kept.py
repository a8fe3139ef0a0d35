"""The database goes away while a provider is answering, for longer than any lease: what it said is
known, so nothing is sent twice."""

from pathlib import Path

import pytest

from tests.faults.hooks import Line, external_id_of, hook_of
from tests.faults.scaled import open_scaled
from tests.servers import Postgres

AWAY = 5.0  # seconds; lease, send_timeout and reconcile_for are 4 s together


@pytest.mark.slow
async def test_an_answer_outlasts_an_outage(
    tmp_path: Path, postgres: Postgres, fresh_postgres: str
) -> None:
    line = Line("wa", "+8801711000001")
    async with open_scaled(tmp_path, fresh_postgres, delay=0.0) as house:
        await house.open_windows([line])
        await house.start()
        standin = house.standins["wa"]
        await standin.post("faults", [{"do": "slow", "seconds": 0.8}, {"do": "no_receipts"}])
        hook = hook_of(house.url, line, external_id_of(line, "hello"), "hello")
        async with standin.session.post(
            house.url + hook.path, data=hook.body, headers=hook.headers
        ) as answer:
            assert answer.status == 200

        async def is_sent() -> bool:
            return bool(await standin.sends())

        assert await house.until(is_sent, 10, 0.01)
        postgres.stop()
        await house.until(lambda: False, AWAY)
        postgres.start()
        await house.settled()
        calls = [call for call in await standin.sends() if call.text == "re hello"]
        assert [call.status for call in calls] == [200]
