"""Courtesies over the real connector and stand-in: typing, read marks and acknowledgements are made
where they should be, once, and never get in the way."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from aiohttp import web

from connectors.whatsapp import WhatsApp
from hub.message import Inbound, Message
from hub.store.schema import messages
from tests.faults.scene import FLOWS
from tests.flows import bench
from tests.hub.hosts import serve
from tests.running import WA_ACCOUNT, House, running_hub

ONE = Inbound(WA_ACCOUNT, "8801711000001", "wamid.0", "wamid.0", Message(text="hello"), 1)


class Acknowledging(WhatsApp):
    """Tells the provider of each message, as Telegram's connector does of buttons."""

    async def acknowledge(self, inbound: Inbound) -> None:
        await self._mark(inbound.external_id)


def marks(house: House, *, typing: bool) -> list[str]:
    """The messages that the stand-in was told are read, with or without typing."""
    bodies = [call.body for call in house.whatsapp.log() if call.method == "POST"]
    return [
        body["message_id"]
        for body in bodies
        if body.get("status") == "read" and ("typing_indicator" in body) == typing
    ]


async def thread_of(house: House) -> str:
    _, found = await house.api("GET", "/conversations")
    return str(found["items"][0]["id"])


async def post(house: House, thread: str, what: str) -> int:
    url = f"{house.url}/api/v1/conversations/{thread}/{what}"
    headers = {"Authorization": f"Bearer {house.token}"}
    async with house.session.post(url, headers=headers) as answer:
        return answer.status


async def last_in(house: House) -> str:
    rows = await house.rows(messages.c.direction == "in")
    return str(rows[-1]["external_id"])


async def test_what_an_agent_has_read_is_shown_once(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "one")
        await house.writes("wa", "two")
        await house.settled()
        thread = await thread_of(house)
        for _ in range(3):
            assert await post(house, thread, "read") == 204
        await house.until(lambda: house.counted("courtesies", what="read", outcome="done") == 1)
        assert marks(house, typing=False) == [await last_in(house)]
        await house.writes("wa", "three")
        await house.settled()
        assert await post(house, thread, "read") == 204
        await house.until(lambda: len(marks(house, typing=False)) == 2)


async def test_that_an_agent_types_is_shown_until_it_would_vanish(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "one")
        await house.settled()
        thread = await thread_of(house)
        for _ in range(3):
            assert await post(house, thread, "typing") == 204
        await house.until(lambda: house.counted("courtesies", what="typing", outcome="done") == 1)
        assert marks(house, typing=True) == [await last_in(house)]
        assert await post(house, "00000000-0000-7000-8000-000000000000", "typing") == 404
        await house.writes("sms", "by SMS, which has no typing")
        await house.settled()


async def test_a_slow_turn_shows_typing_and_a_quick_one_does_not(tmp_path: Path) -> None:
    bench.reset()
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "quick")
        await house.settled()
        await house.writes("wa", "hold on")
        try:
            await house.until(lambda: bench.calls)
            assert marks(house, typing=True) == []
            await house.until(lambda: marks(house, typing=True), 5)
        finally:
            bench.go.set()
        assert marks(house, typing=True) == [await last_in(house)]
        await house.settled()
        await asyncio.sleep(0.2)
        assert len(marks(house, typing=True)) == 1


async def test_each_new_message_is_acknowledged_and_a_repeated_one_is_not(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        channel = house.hub.channels.by_name["wa"]
        told = channel.connector
        channel.connector = Acknowledging(told.channel, told.settings, told.http)
        house.hub.intake.acknowledge = house.hub.state.courtesy.acknowledge
        house.whatsapp.add_fault("duplicate_webhook", times=1)
        await house.writes("wa", "one")
        await house.until(lambda: house.counted("messages_duplicate", channel="wa") == 1)
        await house.writes("wa", "two")
        await house.settled()
        rows = await house.rows(messages.c.direction == "in")
        await house.until(lambda: len(marks(house, typing=False)) == 2)
        assert marks(house, typing=False) == [row["external_id"] for row in rows]


async def test_a_provider_that_does_not_answer_holds_up_nothing(tmp_path: Path) -> None:
    """Acknowledgements go to a host that never answers: at most eight wait there."""
    never = asyncio.Event()

    async def answer(_request: web.Request) -> web.StreamResponse:
        await never.wait()
        return web.Response()

    async with serve(answer) as host, running_hub(tmp_path, dialogs=FLOWS) as house:
        channel = house.hub.channels.by_name["wa"]
        told, courtesy = channel.connector, house.hub.state.courtesy
        stuck = told.settings.model_copy(update={"api_base": host.url("")})
        channel.connector = Acknowledging(told.channel, stuck, told.http)
        for n in range(40):
            courtesy.acknowledge(channel, replace(ONE, external_id=f"wamid.{n}"))

        def waiting() -> int:
            return sum(path.endswith(f"{WA_ACCOUNT}/messages") for path, _ in host.seen)

        await house.until(lambda: waiting() == 8)
        assert house.counted("courtesies", what="acknowledge", outcome="dropped") == 32
        channel.connector = told
        begun = time.monotonic()
        await house.writes("wa", "hello")
        await house.settled()
        assert "echo hello" in await house.heard("wa")
        assert time.monotonic() - begun < 4
        assert waiting() == 8
        courtesy_ended = time.monotonic()
        await courtesy.aclose()
        assert time.monotonic() - courtesy_ended < 1
        assert house.counted("courtesies", outcome="failed") == 8


async def test_a_refused_courtesy_is_counted_and_told_to_nobody(tmp_path: Path) -> None:
    async with running_hub(tmp_path, dialogs=FLOWS) as house:
        await house.writes("wa", "one")
        await house.settled()
        thread = await thread_of(house)
        house.whatsapp.accounts[WA_ACCOUNT].access_token = "another"
        assert await post(house, thread, "read") == 204
        await house.until(lambda: house.counted("courtesies", outcome="failed") == 1)
        assert house.hub.channels.by_name["wa"].paused is None, "only a send pauses a channel"
        fields: dict[str, Any] = (await house.api("GET", f"/conversations/{thread}"))[1]
        assert fields["unread"] == 0
