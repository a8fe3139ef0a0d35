"""The connector and the stand-in, each written from Twilio's documentation alone, together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connectors.sandbox.faults import Fault
from connectors.sandbox.twilio import Sandbox
from connectors.twilio import Twilio
from hub.clock import SECOND
from hub.connector import ChannelRef, Hook, Http
from hub.errors import Busy, OptedOut, OutcomeUnknown
from hub.message import Inbound, Message, Receipt
from hub.signal import OptOut, Parsed
from tests.connectors.kit import RECEIVED_AT, Sends
from tests.connectors.twilio_account import RIMA, SENDER, SID, TOKEN

OUT = replace(Sends("", Message.of("আপনার অর্ডার আসছে"), to=RIMA).outbound(), correlation_id="a/b c")


@dataclass
class Shop:
    """One SMS number: the stand-in, and the connector behind a hook."""

    sandbox: Sandbox
    connector: Twilio
    said: asyncio.Queue[Parsed] = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        origin = self.connector.channel.hook_url.removesuffix("/hooks/sms")
        url = origin + request.rel_url.raw_path_qs
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.rel_url.raw_query_string
        hook = Hook("POST", url, query, headers, await request.read(), RECEIVED_AT)
        self.connector.check(hook)
        for item in self.connector.parse(hook):
            self.said.put_nowait(item)
        answer = self.connector.answer(hook)
        return web.Response(body=answer.body, content_type=answer.content_type)

    async def hear(self, **said: Any) -> list[Parsed]:
        """What the hook makes of one message of hers."""
        await self.sandbox.customer_writes(RIMA.removeprefix("+"), wait=True, **said)
        return [self.said.get_nowait() for _ in range(self.said.qsize())]


@asynccontextmanager
async def trading(number: str = SENDER) -> AsyncIterator[Shop]:
    sandbox = Sandbox()
    base = await sandbox.start()
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    async with aiohttp.ClientSession() as session:
        settings = Twilio.Settings(
            kind="twilio", account_sid=SID, auth_token=TOKEN, sender=number, api_base=base
        )
        shop = Shop(sandbox, Twilio(ChannelRef(b"", "sms", "twilio", ""), settings, Http(session)))
        app.router.add_post("/hooks/sms", shop.take)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        hook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/sms"
        shop.connector.channel = ChannelRef(b"", "sms", "twilio", hook_url)
        account = {"account_sid": SID, "auth_token": TOKEN, "number": number}
        sandbox.add_account(account | {"hook_url": hook_url, "receipt_delay": 0})
        try:
            yield shop
        finally:
            await sandbox.stop()
            await runner.cleanup()


async def test_a_message_and_its_receipts() -> None:
    async with trading() as shop:
        sent = await shop.connector.send(OUT)
        receipts = [await asyncio.wait_for(shop.said.get(), 5) for _ in range(2)]
    assert receipts == [
        Receipt(SENDER, sent.external_id, status, RECEIVED_AT, "a/b c", recipient=RIMA)
        for status in ("sent", "delivered")
    ]


async def test_a_text_and_a_picture_come_in() -> None:
    async with trading() as shop:
        [text] = await shop.hear(text="ধন্যবাদ & ok+")
        [picture] = await shop.hear(image={"caption": "this one"})
        assert isinstance(text, Inbound)
        assert isinstance(picture, Inbound)
        assert (text.sender, text.account, text.message.text) == (RIMA, SENDER, "ধন্যবাদ & ok+")
        [media] = picture.message.media
        assert (media.kind, picture.message.text) == ("image", "this one")
        url, headers = await shop.connector.media_request(media)
        async with shop.connector.http.stream("GET", url, headers=headers) as response:
            assert response.status == 302
        async with shop.connector.http.stream("GET", response.headers["Location"]) as response:
            assert (await response.read()).startswith((b"\xff\xd8", b"\x89PNG"))


async def test_stop_and_start() -> None:
    async with trading() as shop:
        stopped = await shop.hear(text="stop")
        with pytest.raises(OptedOut):
            await shop.connector.send(OUT)
        started = await shop.hear(text="START")
        await shop.connector.send(OUT)
    assert [stopped[1], started[1]] == [
        OptOut(SENDER, RIMA, RECEIVED_AT, on=True),
        OptOut(SENDER, RIMA, RECEIVED_AT, on=False),
    ]


async def test_the_window_is_closed_until_she_writes() -> None:
    async with trading(f"whatsapp:{SENDER}") as shop:
        await shop.connector.send(OUT)
        failed = await asyncio.wait_for(shop.said.get(), 5)
        assert isinstance(failed, Receipt)
        assert failed.error
        assert (failed.status, failed.error.error_class) == ("failed", "window_closed")
        [heard] = await shop.hear(location={"latitude": 23.78, "longitude": 90.41, "name": "Home"})
        assert isinstance(heard, Inbound)
        assert (heard.sender, heard.account) == (RIMA, f"whatsapp:{SENDER}")
        assert heard.message.place
        sent = await shop.connector.send(OUT)
        receipt = await asyncio.wait_for(shop.said.get(), 5)
        assert isinstance(receipt, Receipt)
        assert (receipt.external_id, receipt.status) == (sent.external_id, "sent")


async def test_a_send_whose_answer_is_lost_is_found_again() -> None:
    async with trading() as shop:
        before = round(shop.sandbox.now() * SECOND)
        assert await shop.connector.look_up(OUT, before) is None
        shop.sandbox.faults.add(Fault(do="accept_reset"))
        with pytest.raises(OutcomeUnknown):
            await shop.connector.send(OUT)
        found = await shop.connector.look_up(OUT, before)
        assert found
        assert found.external_id.startswith("SM")
        assert await shop.connector.look_up(OUT, before + 60 * SECOND) is None


async def test_being_throttled() -> None:
    async with trading() as shop:
        shop.sandbox.faults.add(Fault(do="status", status=429, retry_after=3))
        with pytest.raises(Busy) as caught:
            await shop.connector.send(OUT)
    assert caught.value.retry_in == 3


async def test_who_am_i() -> None:
    async with trading() as shop:
        assert await shop.connector.who_am_i() == f"Sandbox shop ({SID})"
