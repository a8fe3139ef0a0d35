"""One send cut off by a kill, accepted or not, with or without a receipt: what comes of it."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.checker import Call, Row
from tests.faults.hooks import Line, external_id_of, hook_of
from tests.faults.processes import House, StandIn, open_house

WA = Line("wa", "+8801711000001")
SMS = Line("sms", "+8801711000001")
TOKEN = "tk-cut"
PATIENCE = 3.0


async def write(house: House, line: Line, text: str = TOKEN) -> None:
    hook = hook_of(house.url, line, external_id_of(line, text), text)
    async with (
        aiohttp.ClientSession() as session,
        session.post(house.url + hook.path, data=hook.body, headers=hook.headers) as answer,
    ):
        assert answer.status == 200


async def sends(standin: StandIn) -> list[Call]:
    return [call for call in await standin.sends() if call.text == f"re {TOKEN}"]


async def cut_off(house: House, line: Line, fault: str) -> float:
    """Let the hub be killed inside the first send; when that was."""
    standin = house.standins[line.channel]
    await standin.post("faults", [{"do": fault}])
    await house.start()
    await write(house, line)

    async def is_open() -> bool:
        return [call.status for call in await sends(standin)] == [None]

    assert await house.until(is_open, 10, 0.02)
    assert house.hub is not None
    house.hub.send(signal.SIGKILL)
    await house.hub.ended()
    return time.time()


def reply(house: House) -> Row:
    [row] = [row for row in house.rows() if row.text == f"re {TOKEN}"]
    return row


LIMITS: dict[str, Any] = {"reconcile_for": PATIENCE, "send_timeout": 30.0, "lease": 40.0}


@pytest.mark.slow
async def test_a_receipt_after_the_start_settles_it_and_nothing_is_sent_again(
    tmp_path: Path,
) -> None:
    async with open_house(tmp_path, limits=LIMITS) as house:
        await house.open_windows([WA])
        await house.add_accounts(receipt_delay=[0.6, 0.7])
        await cut_off(house, WA, "accept_silent")
        assert reply(house).state == "sending"
        await house.start()
        assert await house.until(lambda: reply(house).state == "delivered", 10)
        await asyncio.sleep(PATIENCE)
        await house.settled()
        assert len(await sends(house.standins["wa"])) == 1
        assert (reply(house).unknowns, reply(house).error) == (1, None)


@pytest.mark.slow
async def test_without_a_receipt_it_is_sent_once_more_after_the_wait(tmp_path: Path) -> None:
    async with open_house(tmp_path, limits=LIMITS) as house:
        await house.open_windows([WA])
        await house.add_accounts(receipts=[])
        killed_at = await cut_off(house, WA, "accept_silent")
        started = time.monotonic()
        await house.start()
        await house.settled()
        assert time.monotonic() - started > PATIENCE
        first, second = await sends(house.standins["wa"])
        assert first.external_id != second.external_id
        assert second.at - killed_at > PATIENCE
        assert (reply(house).state, reply(house).unknowns) == ("sent", 1)


@pytest.mark.slow
async def test_the_provider_is_asked_first_where_it_can_be(tmp_path: Path) -> None:
    async with open_house(tmp_path, limits={**LIMITS, "reconcile_for": 1.0}) as house:
        await house.add_accounts(receipts=[])
        await cut_off(house, SMS, "accept_silent")
        await house.start()
        await house.settled()
        assert len(await sends(house.standins["sms"])) == 1
        assert (reply(house).state, reply(house).unknowns) == ("sent", 1)


@pytest.mark.slow
@pytest.mark.parametrize("line", [WA, SMS], ids=["whatsapp", "sms"])
async def test_what_never_arrived_is_sent_again_and_arrives_once(
    tmp_path: Path, line: Line
) -> None:
    async with open_house(tmp_path, limits={**LIMITS, "reconcile_for": 1.0}) as house:
        await house.open_windows([line])
        await cut_off(house, line, "hang")
        await house.start()
        await house.settled()
        calls = await sends(house.standins[line.channel])
        assert [call.external_id is not None for call in calls] == [False, True]
        assert (reply(house).state, reply(house).unknowns) == ("delivered", 1)


@pytest.mark.slow
async def test_a_second_kill_in_the_resend_ends_it_as_unknown(tmp_path: Path) -> None:
    """Exactly one resend: a second unknown outcome is told, not tried again."""
    async with open_house(tmp_path, limits={**LIMITS, "reconcile_for": 0.5}) as house:
        await house.open_windows([WA])
        await house.add_accounts(receipts=[])
        standin = house.standins["wa"]
        await cut_off(house, WA, "hang")
        await standin.post("faults", [{"do": "hang"}])
        await house.start()

        async def is_resent() -> bool:
            return len(await sends(standin)) == 2

        assert await house.until(is_resent, 10, 0.02)
        assert house.hub is not None
        await house.hub.kill()
        await house.start()
        await house.settled()
        row = reply(house)
        assert (row.state, row.error, row.unknowns) == ("failed", "outcome_unknown", 2)
        assert len(await sends(standin)) == 2
        nexts = [call.text for call in await standin.sends() if call.external_id]
        assert nexts == [f"next {TOKEN}"]
        told = house.query(
            "SELECT count(*) FROM changes WHERE message_id = ?", bytes.fromhex(row.id)
        )
        assert told == [(3,)], "written, unknown, failed: whoever looks on hears of each"


@pytest.mark.slow
async def test_the_later_parts_of_a_message_given_up_are_cancelled(tmp_path: Path) -> None:
    """Half of an answer is worse than none; the question after it is another message."""
    text = "tk-cut " + "word " * 1000
    async with open_house(tmp_path, limits={**LIMITS, "reconcile_for": 0.5}) as house:
        await house.open_windows([WA])
        standin = house.standins["wa"]
        await standin.post("faults", [{"do": "hang", "times": 2}])
        await house.start()
        await write(house, WA, text)
        for count in (1, 2):

            async def is_open(count: int = count) -> bool:
                return len(await standin.sends()) == count

            assert await house.until(is_open, 10, 0.02)
            assert house.hub is not None
            await house.hub.kill()
            await house.start()
        await house.settled()
        found = [(row.text.split()[0], row.state, row.error) for row in house.rows()]
        assert [one for one in found if one[1] != "received"] == [
            ("re", "failed", "outcome_unknown"),
            ("word", "cancelled", "earlier_part_failed"),
            ("next", "delivered", None),
            ("word", "delivered", None),
        ]
