"""A channel whose credentials stopped working and were mended: it goes on by itself, everything
that waited arrives once and in order, and whoever watches was told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from aiohttp import WSMsgType

from connectors.whatsapp import WhatsApp
from hub.app import Hub
from hub.channels import Channel
from hub.clock import HOUR, SECOND, Clock
from hub.errors import Misconfigured
from hub.store.channels import ChannelRow, load_channels
from hub.store.pauses import list_pauses, pause, resume, take_trial
from hub.store.schema import changes, messages
from tests.faults.scene import FLOWS
from tests.hub.test_two_workers import Three, three
from tests.running import WA_ACCOUNT, WA_TOKEN, House, running_hub

__all__ = ["three"]

NUMBERS = [f"+88017110001{n:02}" for n in range(4)]
SAID = [f"n{n}" for n in range(3)]


class Mute(WhatsApp):
    """A connector that cannot say who it is."""

    who_am_i = None  # type: ignore[assignment]  # as if it had none


class Restricted(WhatsApp):
    """A connector of an account that is known still and may not send."""

    async def who_am_i(self) -> str:
        return "known"


@contextlib.asynccontextmanager
async def opened(folder: Path, **settings: Any) -> AsyncIterator[House]:
    """A hub to which all of NUMBERS have written."""
    async with running_hub(
        folder, dialogs=FLOWS, accounts={"receipt_delay": 0.0}, **settings
    ) as house:
        for number in NUMBERS:
            await house.writes("wa", "open", number=number)
        await house.settled()
        yield house


def break_token(house: House) -> None:
    house.whatsapp.accounts[WA_ACCOUNT].access_token = "another"


def mend_token(house: House) -> None:
    house.whatsapp.accounts[WA_ACCOUNT].access_token = WA_TOKEN


def wa_of(hub: Hub) -> Channel:
    return hub.channels.by_name["wa"]


async def row_of(house: House) -> ChannelRow:
    rows = await house.hub.store.read(load_channels, [wa_of(house.hub).id])
    return rows[wa_of(house.hub).id]


async def write_all(house: House) -> None:
    for text in SAID:
        for number in NUMBERS:
            await house.writes("wa", text, number=number)


async def all_queued(house: House) -> bool:
    waiting = await house.rows(messages.c.direction == "out", messages.c.state == "queued")
    return len(waiting) == len(SAID) * len(NUMBERS)


async def assert_all_once_in_order(house: House, before: list[str]) -> None:
    wanted = before + [f"echo {text}" for text in SAID]

    async def is_there() -> bool:
        return all([await house.heard("wa", number) == wanted for number in NUMBERS])

    await house.until(is_there)
    sent = await house.rows(messages.c.direction == "out")
    assert {row["unknowns"] for row in sent} == {0}
    shown = [item.text for number in NUMBERS for item in house.whatsapp.shown(number)]
    assert len([text for text in shown if text.startswith("echo n")]) == len(SAID) * len(NUMBERS)


async def channel_json(house: House, name: str = "wa") -> dict[str, Any]:
    status, found = await house.api("GET", "/channels")
    assert status == 200
    return next(one for one in found["items"] if one["name"] == name)


async def test_a_channel_goes_on_by_itself_once_it_is_mended(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as house:
        break_token(house)
        await write_all(house)
        await house.until(lambda: all_queued(house))
        shown = await channel_json(house)
        assert shown["pause"]["code"] == "190"
        assert "system user" in shown["pause"]["remedy"]
        assert shown["paused"] == shown["pause"]["reason"]
        assert shown["waiting"] == len(SAID) * len(NUMBERS)
        assert 0 < shown["error_rate"] < 1
        assert (await channel_json(house, "sms"))["pause"] is None
        calls = len(house.whatsapp.log())
        clock.move(181.0)
        await house.until(lambda: house.counted("channel_pauses", what="tried") == 1)
        clock.move(361.0)
        await house.until(lambda: house.counted("channel_pauses", what="tried") == 2)
        await asyncio.sleep(0.3)
        assert len(house.whatsapp.log()) <= calls + 2 * 2, "nothing was sent, who-am-I was asked"
        assert (await row_of(house)).trials == 2
        mend_token(house)
        clock.move(400.0)
        await asyncio.sleep(0.3)
        assert house.counted("channel_pauses", what="tried") == 2, "it is tried ever more rarely"
        clock.move(400.0)
        await assert_all_once_in_order(house, ["echo open"])
        assert house.counted("channel_pauses", what="resumed") == 1
        shown = await channel_json(house)
        assert (shown["paused"], shown["pause"], shown["waiting"]) == (None, None, 0)


async def test_an_admin_resumes_it_at_once_and_screens_are_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        headers = {"Authorization": f"Bearer {house.token}"}
        async with house.session.ws_connect(f"{house.url}/api/v1/live", headers=headers) as screen:
            await screen.send_json({"type": "hello", "cursor": None})
            break_token(house)
            await write_all(house)
            await house.until(lambda: all_queued(house))
            assert await told_of_channel(screen) == "wa"
            mend_token(house)
            status, shown = await house.api("POST", "/channels/wa/resume")
            assert (status, shown["paused"]) == (200, None)
            assert await told_of_channel(screen) == "wa"
        await assert_all_once_in_order(house, ["echo open"])
        assert (await house.api("POST", "/channels/wa/resume"))[0] == 200, "there is no pause"
        assert (await house.api("POST", "/channels/nowhere/resume"))[0] == 404
        assert house.counted("channel_pauses", what="resumed") == 1


async def told_of_channel(screen: Any) -> str:
    while True:
        frame = await asyncio.wait_for(screen.receive(), 10)
        assert frame.type is WSMsgType.TEXT
        for item in frame.json().get("items", ()):
            if item["kind"] == "channel":
                assert item["message"] is item["conversation"] is None
                return str(item["channel"])


async def test_resumed_too_early_it_pauses_again_and_nothing_is_lost(tmp_path: Path) -> None:
    async with opened(tmp_path) as house:
        break_token(house)
        await write_all(house)
        await house.until(lambda: all_queued(house))
        assert (await house.api("POST", "/channels/wa/resume"))[0] == 200
        await house.until(lambda: house.counted("channel_pauses", what="paused") == 2)
        await house.until(lambda: all_queued(house))
        mend_token(house)
        assert (await house.api("POST", "/channels/wa/resume"))[0] == 200
        await assert_all_once_in_order(house, ["echo open"])


async def test_where_nobody_can_be_asked_one_message_is_tried(tmp_path: Path) -> None:
    clock = Clock()
    async with opened(tmp_path, clock=clock) as house:
        channel = wa_of(house.hub)
        told = channel.connector
        channel.connector = Mute(told.channel, told.settings, told.http)
        break_token(house)
        await write_all(house)
        await house.until(lambda: all_queued(house))
        calls = len(house.whatsapp.log())
        clock.move(181.0)
        await house.until(lambda: house.counted("channel_pauses", what="tried") == 1)
        await asyncio.sleep(0.3)
        assert len(house.whatsapp.log()) == calls + 1, "one message was tried"
        assert channel.paused
        mend_token(house)
        clock.move(361.0)
        await assert_all_once_in_order(house, ["echo open"])


async def test_an_account_that_may_not_send_stays_paused(tmp_path: Path) -> None:
    """Meta tells who a restricted account is, and refuses all that it sends."""
    clock = Clock()
    async with opened(tmp_path, clock=clock) as house:
        channel = wa_of(house.hub)
        told = channel.connector
        channel.connector = Restricted(told.channel, told.settings, told.http)
        break_token(house)
        await write_all(house)
        await house.until(lambda: all_queued(house))
        for number, later in enumerate((181.0, 361.0), 1):
            calls = len(house.whatsapp.log())
            clock.move(later)
            await house.until(lambda: len(house.whatsapp.log()) > calls)  # noqa: B023  # called in its round
            await asyncio.sleep(0.3)
            assert house.counted("channel_pauses", what="tried") == number
            assert len(house.whatsapp.log()) == calls + 1, "one message was tried"
            assert channel.paused
        assert house.counted("channel_pauses", what="paused") == 1
        assert house.counted("channel_pauses", what="resumed") == 0
        mend_token(house)
        clock.move(721.0)
        await assert_all_once_in_order(house, ["echo open"])
        assert house.counted("channel_pauses", what="resumed") == 1


async def test_all_processes_pause_and_go_on_together(three: Three) -> None:
    """Told over the bus alone: these look once in ten minutes."""
    house = three.house
    hubs = [house.hub, *three.workers]
    for number in NUMBERS:
        await house.writes("wa", "open", number=number)
    await assert_heard(house, ["echo open"])
    break_token(house)
    await write_all(house)
    await house.until(lambda: all(wa_of(hub).paused for hub in hubs))
    await house.until(lambda: all_queued(house))
    mend_token(house)
    assert await three.workers[1].state.pauses.resume(wa_of(three.workers[1]))
    await house.until(lambda: not any(wa_of(hub).paused for hub in hubs))
    await assert_all_once_in_order(house, ["echo open"])


async def assert_heard(house: House, wanted: list[str]) -> None:
    async def heard() -> bool:
        return all([await house.heard("wa", number) == wanted for number in NUMBERS])

    await house.until(heard)


async def test_a_process_follows_what_the_row_says(tmp_path: Path) -> None:
    """As when no hint of it arrives."""
    async with opened(tmp_path) as house:
        channel, store = wa_of(house.hub), house.hub.store
        at = house.hub.clock.now()
        await store.write(pause, channel.id, Misconfigured("elsewhere", code="190"), at)
        await house.until(lambda: channel.paused == "elsewhere")
        await house.writes("wa", "n0", number=NUMBERS[0])
        await asyncio.sleep(0.3)
        assert await house.heard("wa", NUMBERS[0]) == ["echo open"]
        assert await store.write(resume, channel.id, at)
        await house.until(lambda: channel.paused is None)

        async def heard() -> bool:
            return await house.heard("wa", NUMBERS[0]) == ["echo open", "echo n0"]

        await house.until(heard)


async def test_the_row_of_a_pause(tmp_path: Path) -> None:
    never = {"resume_after": 1e9, "poll": 600.0}
    async with running_hub(tmp_path, dialogs=FLOWS, limits=never) as house:
        store, id = house.hub.store, wa_of(house.hub).id
        at, wrong = house.hub.clock.now(), Misconfigured("no", code="190")

        async def seen() -> Any:
            return (await store.read(list_pauses, [id])).get(id)

        await store.write(pause, id, wrong, at)
        await store.write(pause, id, Misconfigured("later"), at + 5)
        first = await seen()
        assert (first.reason, first.code, first.at, first.trials) == ("no", "190", at, 0)
        assert await store.write(take_trial, first, at + 10)
        assert not await store.write(take_trial, first, at + 10), "another process has it"
        assert (await seen()).trials == 1
        assert await store.write(resume, id, at + 20)
        assert not await store.write(resume, id, at + 20)
        assert not await store.write(take_trial, first._replace(trials=1), at + 30)
        await store.write(pause, id, wrong, at + 60 * SECOND)
        assert (await seen()).trials == 1, "it worked for a minute only"
        await store.write(resume, id, at + HOUR)
        await store.write(pause, id, wrong, at + 3 * HOUR)
        assert (await seen()).trials == 0

        def told(conn: sa.Connection) -> int:
            query = sa.select(sa.func.count()).where(changes.c.kind == "channel")
            return int(conn.execute(query).scalar_one())

        assert await store.read(told) == 5
        assert (await row_of(house)).paused_at == at + 3 * HOUR
