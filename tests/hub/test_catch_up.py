"""SMS whose webhook was lost: found in Twilio's list, and in their thread once, in their order."""

import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import structlog

from connectors.sandbox import twilio, whatsapp
from hub.catch_up import GRACE, CatchingUp
from hub.clock import SECOND, Clock
from hub.errors import Misconfigured, SendFailed, Unreachable
from hub.store.missed import begin_catch_up, end_catch_up
from hub.store.schema import messages
from tests.databases import only_sqlite
from tests.faults.processes import House as Outside
from tests.faults.processes import StandIn
from tests.posting import post_sms, sms_form
from tests.running import CUSTOMER, SMS_NUMBER, House, free_port, running_hub

FLOWS = {"modules": ["tests.flows"], "default": "echo"}
MISSED = ["এক", "two", "three", "four", "five"]
ECHOED = [f"echo {text}" for text in MISSED]


@contextlib.asynccontextmanager
async def provider(clock: Clock) -> AsyncIterator[dict[str, Any]]:
    """Stand-ins that outlive the hub."""
    sandboxes = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    for one in sandboxes.values():
        one.now = lambda: clock.now() / 1e6
        await one.start()
    try:
        yield sandboxes
    finally:
        for one in sandboxes.values():
            await one.stop()


@contextlib.asynccontextmanager
async def opened(
    folder: Path, clock: Clock, sandboxes: dict[str, Any], **settings: Any
) -> AsyncIterator[House]:
    async with running_hub(
        folder, clock=clock, sandboxes=sandboxes, dialogs=FLOWS, **settings
    ) as house:
        account = house.twilio.account(None)
        house.twilio.add_account(account.model_copy(update={"retry": False}))
        yield house


async def met(folder: Path, clock: Clock, sandboxes: dict[str, Any], **settings: Any) -> None:
    """The hub runs for the first time and goes; a day's look back has its beginning."""
    async with opened(folder, clock, sandboxes, **settings) as house:
        await house.writes("sms", "hello")
        await house.until(lambda: answered(house, 1))
        await house.settled()


async def lost(
    clock: Clock, sandbox: twilio.Sandbox, *, texts: list[str] = MISSED, **more: Any
) -> None:
    """She writes while nobody listens: a minute ago, a message a second."""
    for text in texts:
        clock.move(1)  # Twilio's times are given to the second
        said = more or {"text": text}
        written = await sandbox.customer_writes(CUSTOMER, wait=True, **said)
        assert written.status is None, "nobody answered the hook"
    clock.move(60)


async def said(house: House, direction: str = "in") -> list[str]:
    return [row["text"] for row in await house.rows(messages.c.direction == direction)]


async def answered(house: House, count: int) -> bool:
    return len(await house.heard("sms")) >= count


def catching(house: House) -> CatchingUp:
    hub = house.hub
    return CatchingUp(
        hub.store,
        hub.clock,
        hub.channels,
        hub.intake,
        hub.metrics,
        alone=False,
        hooks_wait=lambda: False,
    )


async def catch_up(house: House) -> int:
    channel = house.hub.channels.by_name["sms"]
    connector: Any = channel.connector
    return await catching(house).catch_up(channel, connector)


async def test_what_was_lost_while_the_hub_was_down_is_in_the_thread_and_answered_once(
    tmp_path: Path,
) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"])
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.until(lambda: answered(house, 6))
            await house.settled()
            assert await said(house) == ["hello", *MISSED]
            assert await house.heard("sms") == ["echo hello", *ECHOED]
            assert house.counted("messages_caught_up", channel="sms") == 5
            rows = await house.rows(messages.c.direction == "in")
            assert len({row["conversation_id"] for row in rows}) == 1
            sent = [row["sent_at"] for row in rows]
            assert sent == sorted(sent)
            assert all(row["position"] == row["sent_at"] for row in rows[1:]), "shown when sent"
            # Another look finds nothing, nor does a late delivery of the hook change anything.
            clock.move(60)
            assert await catch_up(house) == 0
            assert house.counted("messages_duplicate", channel="sms") == 0
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.settled()
            await house.writes("sms", "and now")
            await house.until(lambda: answered(house, 7))
            assert await said(house) == ["hello", *MISSED, "and now"]
            assert house.counted("messages_caught_up", channel="sms") == 0


async def test_a_hook_that_comes_after_all_changes_nothing(tmp_path: Path) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"])
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.until(lambda: answered(house, 6))
            for row in (await house.rows(messages.c.direction == "in"))[1:]:
                assert await post_sms(house, sms_form(row["external_id"], row["text"])) == 200
            await house.settled()
            assert await said(house) == ["hello", *MISSED]
            assert house.counted("messages_duplicate", channel="sms") == 5
            assert await house.heard("sms") == ["echo hello", *ECHOED]


async def test_what_has_a_hook_on_its_way_is_left_to_it(tmp_path: Path) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"], texts=["old"])
        await sandboxes["sms"].customer_writes(CUSTOMER, text="young", wait=True)
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.until(lambda: answered(house, 2))
            assert await said(house) == ["hello", "old"]
            clock.move(GRACE / SECOND + 1)
            assert await catch_up(house) == 1
            assert await said(house) == ["hello", "old", "young"]


async def test_a_hub_takes_nothing_of_before_its_time_nor_of_other_numbers(tmp_path: Path) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        async with opened(tmp_path / "first", clock, sandboxes):
            pass  # the stand-in knows its account now
        await lost(clock, sandboxes["sms"])
        (tmp_path / "second").mkdir()
        async with opened(tmp_path / "second", clock, sandboxes) as house:
            await house.writes("sms", "hello")
            await house.until(lambda: answered(house, 1))
            other = {"number": "+15550199", "hook_url": ""}
            account = house.twilio.account(SMS_NUMBER)
            house.twilio.add_account(account.model_copy(update=other))
            await house.twilio.customer_writes(CUSTOMER, text="elsewhere", account="+15550199")
            clock.move(600)
            assert await catch_up(house) == 0
            assert await said(house) == ["hello"]


async def test_an_hour_and_its_pictures_are_caught_up_in_their_order(tmp_path: Path) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        for n in range(6):
            image = {"image": {"mime": "image/png", "caption": "3"}} if n == 3 else {}
            await lost(clock, sandboxes["sms"], texts=[f"{n}"], **image)
            clock.move(600)
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.until(lambda: answered(house, 7))
            assert await said(house) == ["hello", *"012345"]
            [picture] = await house.rows(messages.c.kind == "image")

            async def is_stored() -> bool:
                [row] = await house.rows(messages.c.id == picture["id"])
                return bool(row["content"]["media"][0].get("state") == "stored")

            assert picture["text"] == "3"
            await house.until(is_stored)


async def test_a_wish_not_to_be_written_to_is_caught_up(tmp_path: Path) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"], texts=["STOP"])
        async with opened(tmp_path, clock, sandboxes) as house:
            await house.until(lambda: house.counted("messages_caught_up") == 1)
            await house.settled()
            assert not [text for text in await house.heard("sms") if text.startswith("echo STOP")]
            rows = await house.rows(messages.c.direction == "out", messages.c.lane.isnot(None))
            assert rows == []


async def test_a_switch_turns_it_off(tmp_path: Path) -> None:
    clock = Clock()
    off = {"channels": {"sms": {"catch_up": 0}}}
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"])
        async with opened(tmp_path, clock, sandboxes, **off) as house:
            await house.writes("sms", "now")
            await house.until(lambda: answered(house, 2))
            assert not listings(house)
            assert await said(house) == ["hello", "now"]


async def test_it_looks_back_no_further_than_it_is_told_and_says_so(tmp_path: Path) -> None:
    clock = Clock()
    two_hours = {"channels": {"sms": {"catch_up": 2}}}
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"], texts=["yesterday"])
        clock.move(5 * 3600)
        await lost(clock, sandboxes["sms"], texts=["today"])
        with structlog.testing.capture_logs() as logs:
            async with opened(tmp_path, clock, sandboxes, **two_hours) as house:
                await house.until(lambda: answered(house, 2))
                assert await said(house) == ["hello", "today"]
        assert any("too old to list" in line["event"] for line in logs)


@pytest.mark.parametrize(
    ("fault", "raised"),
    [
        ({"do": "status", "status": 503}, Unreachable),
        ({"do": "status", "status": 401}, Misconfigured),
        ({"do": "reset"}, SendFailed),
    ],
)
async def test_a_list_that_fails_is_asked_again_and_loses_nothing(
    tmp_path: Path, fault: dict[str, Any], raised: type[SendFailed]
) -> None:
    clock = Clock()
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        await lost(clock, sandboxes["sms"])
        sandboxes["sms"].add_fault(**fault, on="list", times=-1)
        with structlog.testing.capture_logs() as logs:
            async with opened(tmp_path, clock, sandboxes) as house:
                await house.until(lambda: [x for x in logs if x["event"] == "catching up failed"])
                with pytest.raises(raised):
                    await catch_up(house)
                assert await said(house) == ["hello"]
                house.twilio.clear_faults()
                assert await catch_up(house) == 5
                assert await said(house) == ["hello", *MISSED]
                channel = house.hub.channels.by_name["sms"]
                assert channel.paused is None, "its sends have their own say"
                await house.until(lambda: answered(house, 6))
        assert not [line for line in logs if CUSTOMER in str(line) or "two" in str(line)]


async def test_one_process_at_a_time_looks(tmp_path: Path) -> None:
    clock = Clock()
    off = {"channels": {"sms": {"catch_up": 0}}}
    async with provider(clock) as sandboxes:
        await met(tmp_path, clock, sandboxes)
        async with opened(tmp_path, clock, sandboxes, **off) as house:
            channel, store = house.hub.channels.by_name["sms"], house.hub.store
            clock.move(600)
            at = clock.now()

            async def begin(*, alone: bool = False) -> Any:
                return await store.write(
                    begin_catch_up, channel.id, at, at, 60 * SECOND, alone=alone
                )

            assert await begin() is not None
            assert await begin() is None
            assert await catch_up(house) == 0
            assert await begin(alone=True) is not None, "whoever had it is gone"
            await store.write(end_catch_up, channel.id)
            assert await begin() is not None


@only_sqlite
async def test_a_kill_in_the_middle_leaves_each_once(tmp_path: Path) -> None:
    """Half an hour of messages; the hub dies between two pieces of the list, and comes back."""
    offset = -7200.0
    sandboxes = {"wa": whatsapp.Sandbox(), "sms": twilio.Sandbox()}
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for one in sandboxes.values():
            one.now = lambda: time.time() + offset
            await one.start()
            stack.push_async_callback(one.stop)
        standins = {
            name: StandIn(name, None, one.base_url, session)  # type: ignore[arg-type]  # lives here
            for name, one in sandboxes.items()
        }
        house = Outside(tmp_path, free_port(), standins, {}, 0.0)
        await house.add_accounts()
        account = sandboxes["sms"].account(None)
        sandboxes["sms"].add_account(account.model_copy(update={"retry": False}))
        stack.push_async_callback(lambda: house.hub.kill() if house.hub else None)
        hub = await house.start()
        await house.until(lambda: first_look(house), 20)
        await hub.kill()
        with contextlib.closing(sqlite3.connect(house.database)) as database:
            database.execute(
                "UPDATE channels SET caught_up_to = caught_up_to - 7200000000,"
                " created_at = created_at - 7300000000 WHERE kind = 'twilio'"
            )
            database.commit()
        texts = [f"{n}" for n in range(24)]
        for text in texts:
            await sandboxes["sms"].customer_writes(CUSTOMER, text=text)
            offset += 100
        for do, times in (("slow", 2), ("hang", 1)):
            sandboxes["sms"].add_fault(do, on="list", times=times, seconds=0.01)
        hub = await house.start()
        await house.until(lambda: hanging(sandboxes["sms"]), 20)
        assert 0 < len(inbound(house)) < len(texts), "killed in the midst"
        await hub.kill()
        await house.start()
        await house.until(lambda: len(inbound(house)) == len(texts), 20)
        await house.settled()
        assert inbound(house) == texts
        rows = house.rows()
        assert len({row.thread for row in rows}) == 1
        replies = [row for row in rows if row.direction == "out"]
        assert len(replies) == 36, "each was answered once"
        calls = [call for call in sandboxes["sms"].log() if call.method == "POST"]
        assert {call.body["Body"] for call in calls} == {row.text for row in replies}
        assert len(calls) - 36 <= sum(row.unknowns for row in replies), "but for sends cut off"


def first_look(house: Outside) -> bool:
    found = house.query("SELECT caught_up_to FROM channels WHERE kind = 'twilio'")
    return bool(found and found[0][0])


def hanging(sandbox: twilio.Sandbox) -> bool:
    return any(call.fault == "hang" for call in sandbox.log())


def inbound(house: Outside) -> list[str]:
    return [row.text for row in house.rows() if row.direction == "in"]


def listings(house: House) -> list[Any]:
    return [call for call in house.twilio.log() if call.method == "GET"]
