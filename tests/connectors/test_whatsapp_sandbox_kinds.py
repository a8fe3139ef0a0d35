"""The connector and the stand-in together: templates, and what is rarer than a text."""

from typing import Any

import aiohttp
import orjson
import pytest

from hub.clock import MINUTE
from hub.errors import NoSuchRecipient, Refused
from hub.message import Alias, Message, OrderItem, TemplateUse
from hub.signal import Echo, Edit, NumberChange, OptOut, TemplateChange, Unsend
from tests.connectors.test_whatsapp_sandbox import Shop, out, trading
from tests.connectors.whatsapp_number import BSUID, NUMBER, RIMA

WABA = "102900000000888"
SHIPPED = {
    "name": "shipped",
    "language": "bn",
    "header_format": "DOCUMENT",
    "body": "{{1}}, আপনার অর্ডার {{2}} আসছে।",
    "buttons": [
        {"type": "URL", "text": "দেখুন", "url": "https://shop.example/o/{{1}}"},
        {"type": "QUICK_REPLY", "text": "সাহায্য"},
    ],
}
NAMED = {"name": "due", "header": "Order {{no}}", "body": "{{who}}, it is due {{day}}."}
PAPER = "https://shop.example/17.pdf"


def use(name: str, language: str, **variables: str) -> Message:
    return Message.of(template=TemplateUse(name=name, language=language, variables=variables))


async def ask(shop: Shop, path: str, body: dict[str, Any]) -> None:
    url = f"{shop.sandbox.base_url}/_sandbox/{path}"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.status in (200, 201), await response.text()


async def test_templates_are_sent_outside_the_window() -> None:
    async with trading(templates=[SHIPPED, NAMED], receipts=[]) as shop:
        whole = {"1": "Rima", "2": "17", "header.document": PAPER, "button.0": "17"}
        message = use("shipped", "bn", **whole, **{"payload.1": "help:17"})
        await shop.connector.send(out(message))
        await shop.connector.send(
            out(use("due", "en", who="Rima", day="today", **{"header.no": "17"}))
        )
        first, second = shop.sandbox.shown(RIMA)
        assert first.text == "Rima, আপনার অর্ডার 17 আসছে।"
        assert first.buttons[0]["url"] == "https://shop.example/o/17"
        assert second.text == "Order 17\n\nRima, it is due today."
        tap = {"id": "help:17", "title": "সাহায্য", "reply_to": first.external_id}
        heard = await shop.hear_message(button=tap)
        assert heard.message.choice is not None
        assert (heard.message.choice.type, heard.message.choice.id) == ("quick_reply", "help:17")


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (use("due", "bn", who="x", day="y"), "132001"),
        (use("due", "en", who="x"), "132000"),
        (use("due", "en", who="x", when="y", **{"header.no": "17"}), "132012"),
        (use("paused", "en"), "132015"),
    ],
)
async def test_templates_that_do_not_fit_are_refused(message: Message, code: str) -> None:
    paused = {"name": "paused", "body": "x", "status": "PAUSED"}
    async with trading(templates=[NAMED, paused]) as shop:
        with pytest.raises(Refused) as caught:
            await shop.connector.send(out(message))
    assert caught.value.code == code


async def test_templates_are_listed_and_their_news_heard() -> None:
    many = [{"name": f"t{n}", "body": "{{1}}", "quality": "YELLOW"} for n in range(450)]
    async with trading(templates=[SHIPPED, *many], waba_id=WABA) as shop:
        settings = shop.connector.settings
        shop.connector.settings = settings.model_copy(update={"waba_id": WABA})
        found = await shop.connector.list_templates()
        assert len(found) == 451
        one = found[0]
        assert (one.name, one.language, one.status, one.quality, one.category) == (
            *("shipped", "bn", "approved", "green"),
            "utility",
        )
        assert one.body == SHIPPED["body"]
        shop.sandbox.change_template(NUMBER, "shipped", "bn", status="PAUSED", quality="RED")
        news = [await shop.said.get() for _ in range(2)]
    told = [
        (one.sender, one.name, one.language, one.status, one.quality)
        for one in news
        if isinstance(one, TemplateChange)
    ]
    assert told == [
        (WABA, "shipped", "bn", "paused", ""),
        (WABA, "shipped", "bn", "", "red"),
    ]


async def test_the_number_stands_well_and_its_token_lasts() -> None:
    async with trading(token_ends=1_800_000_000, quality="YELLOW") as shop:
        who = await shop.connector.who_am_i()
        assert "quality yellow, may write first to 2K customers a day" in who
        assert await shop.connector.expires_at() == 1_800_000_000 * MINUTE // 60


async def test_a_flow_comes_back_filled() -> None:
    async with trading() as shop:
        answers = {"size": "M", "colour": "লাল", "flow_token": "t"}
        heard = await shop.hear_message(flow={"response": answers})
    assert heard.message.text == "Sent\nsize: M\ncolour: লাল"
    assert heard.message.choice is not None
    assert orjson.loads(heard.message.choice.id) == answers


async def test_an_order() -> None:
    item = {"product_retailer_id": "sku-1", "quantity": 2, "item_price": 450.5}
    async with trading() as shop:
        heard = await shop.hear_message(order={"text": "please", "product_items": [item]})
    assert heard.message.kind == "order"
    assert heard.message.order is not None
    assert heard.message.order.items == (
        OrderItem(product_id="sku-1", quantity=2, price=450.5, currency="BDT"),
    )


async def test_what_she_corrects_takes_back_forwards_and_cannot_send() -> None:
    async with trading() as shop:
        heard = await shop.hear_message(text="mroning", forwarded=True)
        assert heard.message.forwarded
        key = heard.external_id
        [edit] = await shop.hear(edit={"message_id": key, "text": "morning"})
        assert isinstance(edit, Edit)
        assert (edit.external_id, edit.message.text) == (key, "morning")
        [gone] = await shop.hear(unsend={"message_id": key})
        assert isinstance(gone, Unsend)
        assert gone.external_id == key
        poll = await shop.hear_message(unsupported={"type": "poll"})
    assert poll.message.kind == "unsupported"
    assert isinstance(poll.raw, dict)
    assert poll.raw["unsupported"] == {"type": "poll"}


async def test_a_group_is_a_thread_of_its_own() -> None:
    async with trading() as shop:
        heard = await shop.hear_message(text="all of us", group="Y2FwaV9n")
        assert (heard.group, heard.sender, heard.aliases) == ("Y2FwaV9n", RIMA, ())
        sent = await shop.connector.send(out(Message.of("hello all"), to=heard.group))
        receipt = await shop.receipt()
        assert (receipt.external_id, receipt.recipient) == (sent.external_id, "Y2FwaV9n")
        with pytest.raises(NoSuchRecipient):
            await shop.connector.send(out(Message.of("x"), to="Y2FwaV9unknown"))


async def test_preferences_a_new_number_and_an_echo() -> None:
    async with trading() as shop:
        await ask(shop, f"phones/{RIMA}/preferences", {"value": "stop"})
        stop = await shop.said.get()
        assert isinstance(stop, OptOut)
        assert (stop.sender, stop.on, stop.scope) == (RIMA, True, "marketing")
        await ask(shop, f"phones/{RIMA}/preferences", {"value": "resume"})
        resumed = await shop.said.get()
        assert isinstance(resumed, OptOut)
        assert not resumed.on
        await ask(shop, f"phones/{RIMA}/echoes", {"text": "typed on the phone"})
        echo = await shop.said.get()
        assert isinstance(echo, Echo)
        assert (echo.sender, echo.message.text) == (RIMA, "typed on the phone")
        await ask(shop, f"phones/{RIMA}/moves", {"number": "8801900000009"})
        moved = await shop.said.get()
    assert isinstance(moved, NumberChange)
    assert (moved.sender, moved.new_sender) == (RIMA, "8801900000009")
    assert moved.aliases == (Alias("phone", "+8801900000009"),)


async def test_both_ids_of_one_who_has_a_username_and_a_number() -> None:
    async with trading() as shop:
        shop.sandbox.set_phone(RIMA, user_id=BSUID)
        heard = await shop.hear_message(text="hi")
    assert (heard.sender, heard.also) == (RIMA, (BSUID,))
