"""The connector and the stand-in, each written from Meta's documentation alone, together."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from connectors.sandbox.faults import Fault
from connectors.sandbox.whatsapp import Sandbox
from connectors.whatsapp import WhatsApp
from hub.connector import Hook, Http
from hub.errors import Busy, Misconfigured, NoSuchRecipient, OutcomeUnknown, WindowClosed
from hub.message import Alias, Button, Choice, Inbound, Message, Outbound, Receipt, ReplyTo
from hub.signal import Parsed, Reaction
from tests.connectors.kit import HOOK_URL, RECEIVED_AT
from tests.connectors.whatsapp_calls import outbound
from tests.connectors.whatsapp_number import (
    APP_SECRET,
    BSUID,
    NUMBER,
    RIMA,
    TOKEN,
    VERIFY_TOKEN,
    make,
)


@dataclass
class Shop:
    """One business number: the stand-in, and the connector behind a hook."""

    sandbox: Sandbox
    connector: WhatsApp
    said: asyncio.Queue[Parsed] = field(default_factory=asyncio.Queue)

    async def take(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = request.rel_url.raw_query_string
        body = await request.read()
        hook = Hook(request.method, HOOK_URL, query, headers, body, RECEIVED_AT)
        self.connector.check(hook)
        for item in self.connector.parse(hook):
            self.said.put_nowait(item)
        answer = self.connector.answer(hook)
        return web.Response(body=answer.body, content_type=answer.content_type)

    async def hear(self, **said: Any) -> list[Parsed]:
        """What the hook makes of one message of hers."""
        await self.sandbox.customer_writes(RIMA, wait=True, **said)
        return [self.said.get_nowait() for _ in range(self.said.qsize())]

    async def hear_message(self, **said: Any) -> Inbound:
        [item] = await self.hear(**said)
        assert isinstance(item, Inbound)
        return item

    async def receipt(self) -> Receipt:
        item = await asyncio.wait_for(self.said.get(), 5)
        assert isinstance(item, Receipt)
        return item


@asynccontextmanager
async def trading(**account: Any) -> AsyncIterator[Shop]:
    sandbox = Sandbox()
    base = await sandbox.start()
    app = web.Application()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    async with aiohttp.ClientSession() as session:
        connector = make(Http(session), base)
        assert isinstance(connector, WhatsApp)
        shop = Shop(sandbox, connector)
        app.router.add_route("*", "/hooks/wa", shop.take)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        known = {
            "phone_number_id": NUMBER,
            "access_token": TOKEN,
            "app_secret": APP_SECRET,
            "verify_token": VERIFY_TOKEN,
            "hook_url": f"http://127.0.0.1:{runner.addresses[0][1]}/hooks/wa",
            "receipt_delay": 0,
        }
        sandbox.add_account(known | account)
        try:
            yield shop
        finally:
            await sandbox.stop()
            await runner.cleanup()


def out(message: Message, to: str = RIMA, reply_to: str = "") -> Outbound:
    sent = outbound(message, reply_to=reply_to)
    return replace(sent, to=replace(sent.to, external_id=to))


HELLO = out(Message.of("আপনার অর্ডার আসছে"))


async def test_the_hook_is_verified() -> None:
    async with trading() as shop:
        assert await shop.sandbox.verify(NUMBER)


async def test_a_message_and_its_receipts() -> None:
    async with trading() as shop:
        heard = await shop.hear_message(text="ধন্যবাদ 😀 & ok", name="Rima")
        assert (heard.sender, heard.account, heard.message.text) == (RIMA, NUMBER, "ধন্যবাদ 😀 & ok")
        assert (heard.profile.name, heard.aliases) == ("Rima", (Alias("phone", f"+{RIMA}"),))
        sent = await shop.connector.send(out(Message.of("hi"), reply_to=heard.external_id))
        receipts = [await shop.receipt() for _ in range(3)]
    assert [receipt.status for receipt in receipts] == ["sent", "delivered", "read"]
    assert {receipt.external_id for receipt in receipts} == {sent.external_id}
    assert {receipt.correlation_id for receipt in receipts} == {"m-42"}
    assert {receipt.recipient for receipt in receipts} == {RIMA}


async def test_a_tapped_button_and_a_tapped_row() -> None:
    async with trading(receipts=[]) as shop:
        await shop.hear(text="hi")
        for count, kind in ((2, "button"), (4, "list")):
            buttons = tuple(Button(id=f"b{n}", title=f"বোতাম {n}") for n in range(count))
            sent = await shop.connector.send(out(Message.of("কোনটা?", buttons=buttons)))
            tap = {"id": "b1", "title": "বোতাম 1", "reply_to": sent.external_id}
            heard = await shop.hear_message(**{"button" if kind == "button" else "list_row": tap})
            assert heard.message.choice == Choice.model_validate(
                {"type": kind, "id": "b1", "title": "বোতাম 1"}
            )
            assert heard.reply_to == ReplyTo(external_id=sent.external_id)


async def test_a_picture_is_fetched() -> None:
    async with trading() as shop:
        heard = await shop.hear_message(image={"caption": "this one"})
        [media] = heard.message.media
        assert (media.kind, heard.message.text) == ("image", "this one")
        url, headers = await shop.connector.media_request(media)
        reply = await shop.connector.http.request("GET", url, headers=headers)
        assert reply.status == 200
        assert reply.body.startswith((b"\xff\xd8", b"\x89PNG"))


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"voice": {}}, "voice"),
        ({"document": {"filename": "চালান.pdf"}}, "file"),
        ({"sticker": {}}, "sticker"),
        ({"location": {"latitude": 23.8, "longitude": 90.4}}, "location"),
        ({"contacts": [{"name": "Karim", "phones": ["+8801811000000"]}]}, "contacts"),
    ],
)
async def test_the_kinds_come_in(said: dict[str, Any], kind: str) -> None:
    async with trading() as shop:
        assert (await shop.hear_message(**said)).message.kind == kind


async def test_a_reaction() -> None:
    async with trading(receipts=[]) as shop:
        await shop.hear(text="hi")
        sent = await shop.connector.send(HELLO)
        [item] = await shop.hear(reaction={"message_id": sent.external_id, "emoji": "👍"})
    assert isinstance(item, Reaction)
    assert (item.sender, item.external_id, item.emoji) == (RIMA, sent.external_id, "👍")


async def test_a_customer_with_a_username_is_answered_by_user_id() -> None:
    async with trading() as shop:
        shop.sandbox.set_phone(RIMA, username="rima.b", user_id=BSUID)
        heard = await shop.hear_message(text="hi")
        assert (heard.sender, heard.also, heard.aliases) == (BSUID, (), ())
        sent = await shop.connector.send(out(Message.of("hi"), to=heard.sender))
        assert (await shop.receipt()).external_id == sent.external_id


@pytest.mark.parametrize("late", [False, True])
async def test_the_window_is_closed_until_she_writes(late: bool) -> None:
    async with trading(async_window_error=late) as shop:
        if late:
            await shop.connector.send(HELLO)
            error = (await shop.receipt()).error
            assert error
            assert (error.code, error.error_class) == ("131047", "window_closed")
        else:
            with pytest.raises(WindowClosed):
                await shop.connector.send(HELLO)
        await shop.hear(text="hi")
        assert (await shop.connector.send(HELLO)).external_id


async def test_a_number_that_is_not_on_whatsapp() -> None:
    async with trading() as shop:
        await shop.hear(text="hi")
        shop.sandbox.set_phone(RIMA, fails_with=131026, at_once=True)
        with pytest.raises(NoSuchRecipient):
            await shop.connector.send(HELLO)


async def test_an_answer_that_is_lost_comes_back_as_a_receipt() -> None:
    async with trading() as shop:
        await shop.hear(text="hi")
        shop.sandbox.faults.add(Fault(do="accept_reset"))
        with pytest.raises(OutcomeUnknown):
            await shop.connector.send(HELLO)
        assert (await shop.receipt()).correlation_id == HELLO.correlation_id


async def test_being_throttled() -> None:
    async with trading() as shop:
        shop.sandbox.faults.add(Fault(do="status", status=429, retry_after=3))
        with pytest.raises(Busy) as caught:
            await shop.connector.send(HELLO)
    assert caught.value.retry_in == 3


async def test_typing_and_who_am_i() -> None:
    async with trading() as shop:
        heard = await shop.hear_message(text="hi")
        await shop.connector.show_typing(out(Message.of(""), reply_to=heard.external_id))
        assert "Sandbox shop" in await shop.connector.who_am_i()
        shop.sandbox.add_account(
            {
                "phone_number_id": NUMBER,
                "access_token": "another",
                "app_secret": APP_SECRET,
                "hook_url": "http://127.0.0.1:9",
            }
        )
        with pytest.raises(Misconfigured):
            await shop.connector.who_am_i()
