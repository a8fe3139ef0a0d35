"""WhatsApp at the Twilio stand-in: taps, typing, places, files, and what its webhooks tell."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from pydantic import ValidationError

from connectors.sandbox.control import ControlError
from connectors.sandbox.media import make_content
from tests.hub.hosts import Server, serve
from tests.sandbox.calls import RIMA, Twilio
from tests.sandbox.hook import Hook
from tests.sandbox.twilio_shop import ASK, FULL, SHOP, SIZES, Shop, shop

__all__ = ["shop"]

FILES = {
    "/a.png": ("image/png", 100),
    "/big.png": ("image/png", 5 * 2**20 + 1),
    "/a.mp4": ("video/mp4", 100),
    "/a.pdf": ("application/pdf", 100),
    "/big.pdf": ("application/pdf", 16 * 2**20 + 1),
    "/a.ogg": ("audio/ogg", 100),
    "/a.webp": ("image/webp", 100),
    "/a.zip": ("application/zip", 100),
}


@pytest_asyncio.fixture
async def files() -> AsyncIterator[Server]:
    async def give(request: web.Request) -> web.StreamResponse:
        if request.path not in FILES:
            return web.Response(status=404)
        mime, size = FILES[request.path]
        return web.Response(body=make_content(mime, size), headers={"Content-Type": mime})

    async with serve(give) as server:
        yield server


async def test_a_tap_is_one_of_what_was_offered(shop: Shop, hook: Hook) -> None:
    await shop.hears()
    ask = await shop.send_content(await shop.create(ASK), FULL)
    assert (shop.shown.kind, shop.shown.text) == ("interactive", "ঠিক আছে, আপা?")
    assert shop.shown.buttons == [{"id": "yes", "title": "হ্যাঁ"}]
    await hook.receipts(3)
    say = shop.sandbox.customer_writes
    tap = {"id": "yes", "title": "হ্যাঁ", "reply_to": ask.id}
    for wrong in ({"id": "no"}, {"title": "না"}):
        with pytest.raises(ControlError):
            await say(RIMA, button=tap | wrong)
    with pytest.raises(ControlError):
        await say(RIMA, list_row=tap)
    await say(RIMA, button=tap, wait=True)
    form = hook.deliveries[-1].form
    told = ("Body", "ButtonText", "ButtonPayload", "MessageType", "OriginalRepliedMessageSid")
    assert [form[name] for name in told] == ["হ্যাঁ", "হ্যাঁ", "yes", "interactive", ask.id]
    assert form["OriginalRepliedMessageSender"] == SHOP


async def test_a_row_and_a_templates_button_are_told_as_such(shop: Shop, hook: Hook) -> None:
    await shop.hears()
    picker = await shop.send_content(
        await shop.create(SIZES), {"1": "মাপ?", "2": "Small", "3": "36"}
    )
    assert (shop.shown.list_button, shop.shown.text) == ("Choose", "মাপ?")
    assert shop.shown.rows == [
        {"id": "s", "title": "Small", "description": "36"},
        {"id": "l", "title": "Large"},
    ]
    sid = await shop.create(ASK)
    shop.sandbox.judge(sid, "approved")
    template = await shop.send_content(sid, FULL)
    assert shop.shown.template == {"name": sid, "language": "bn"}
    await hook.receipts(6)
    say = shop.sandbox.customer_writes
    with pytest.raises(ControlError):
        await say(RIMA, button={"id": "no", "title": "না", "reply_to": template.id})
    row = {"id": "s", "title": "Small", "description": "36", "reply_to": picker.id}
    await say(RIMA, list_row=row, wait=True)
    await say(RIMA, button={"id": "yes", "title": "হ্যাঁ", "reply_to": template.id}, wait=True)
    listed, button = (one.form for one in hook.deliveries[-2:])
    told = ("Body", "ListId", "ListTitle", "ListDescription", "MessageType")
    assert [listed[name] for name in told] == ["Small", "s", "Small", "36", "interactive"]
    assert (button["ButtonPayload"], button["MessageType"]) == ("yes", "button")


async def test_typing_marks_read(shop: Shop) -> None:
    sid = await shop.hears()
    path = "/v3/Indicators/Typing.json"
    wanted = {"channel": "WHATSAPP", "messageId": sid}
    answer = await shop.json("POST", path, wanted)
    assert (answer.status, answer.content) == (200, {"success": True})
    assert shop.shown.status == "read"
    assert shop.sandbox.log()[-1].external_id == sid
    ours = (await shop.tell(Body="hi")).id
    for wrong, code in (({"messageId": ours}, 20404), ({"messageId": "SM1"}, 20404)):
        assert (await shop.json("POST", path, wanted | wrong)).code == code
    assert (await shop.json("POST", path, [])).code == 20001
    shop.sandbox.add_fault("status", on="action", status=429)
    assert (await shop.json("POST", path, wanted)).status == 429


PLACES: list[tuple[str, Any]] = [
    ("geo:23.78,90.41|দোকান, মিরপুর", {"latitude": 23.78, "longitude": 90.41, "name": "দোকান, মিরপুর"}),
    ("geo:-23,-90", {"latitude": -23.0, "longitude": -90.0}),
    ("geo:91,90", None),
    ("geo:23.78,181", None),
    ("geo:here", None),
    ("tel:+880", None),
]


async def test_places(shop: Shop) -> None:
    await shop.hears()
    for action, place in PLACES:
        answer = await shop.tell(Body="এখানে", PersistentAction=action)
        assert (action, answer.content.get("code")) == (action, None if place else 20001)
        if place:
            assert (shop.shown.kind, shop.shown.place) == ("location", place)
            assert shop.shown.text == "এখানে"
            assert (await shop.tell(PersistentAction=action)).code == 21602


SENT_FILES: list[tuple[str, str, str | None]] = [
    ("/a.png", "দেখুন", None),
    ("/a.mp4", "দেখুন", None),
    ("/a.pdf", "", None),
    ("/a.ogg", "", None),
    ("/a.webp", "", None),
    ("/a.zip", "দেখুন", "63021"),
    ("/big.png", "দেখুন", "11751"),
    ("/big.pdf", "দেখুন", "11751"),
    ("/none", "দেখুন", "63019"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("path", "caption", "code"), SENT_FILES)
async def test_files_and_their_captions(
    shop: Shop, hook: Hook, files: Server, path: str, caption: str, code: str | None
) -> None:
    await shop.hears()
    answer = await shop.tell(Body="দেখুন", MediaUrl=files.url(path))
    assert answer.content["body"] == "দেখুন"
    assert (await hook.receipts(1))[0] == ("failed" if code else "sent")
    assert hook.deliveries[1].form.get("ErrorCode") == code
    assert shop.shown.text == caption
    found = await shop.get(f"/Messages/{answer.id}.json")
    assert found.content["body"] == "দেখুন"


async def test_what_she_forwards_and_where_she_comes_from(shop: Shop, hook: Hook) -> None:
    ad = {"source_type": "ad", "source_id": "120208", "ctwa_clid": "ARAkLk", "headline": "শাড়ি"}
    await shop.sandbox.customer_writes(
        RIMA,
        text="দাম?",
        name="রিমা",
        forwarded=True,
        frequently_forwarded=True,
        referral=ad,
        wait=True,
    )
    form = hook.deliveries[0].form
    assert (form["Forwarded"], form["FrequentlyForwarded"]) == ("true", "true")
    told = ("SourceType", "SourceId", "CtwaClid", "Headline")
    assert [form[f"Referral{name}"] for name in told] == ["ad", "120208", "ARAkLk", "শাড়ি"]
    context = {"ProfileName": "রিমা", "WaId": RIMA}
    metadata = orjson.loads(form["ChannelMetadata"])
    assert metadata == {"type": "whatsapp", "data": {"context": context}}
    assert "Forwarded" not in (await said(shop, hook, text="hi"))
    with pytest.raises(ValidationError):
        await shop.sandbox.customer_writes(RIMA, text="hi", referral={"campaign": "x"})


async def said(shop: Shop, hook: Hook, **what: Any) -> dict[str, str]:
    await shop.sandbox.customer_writes(RIMA, wait=True, **what)
    return hook.deliveries[-1].form


async def test_a_quote_names_its_message_and_sender(shop: Shop, hook: Hook) -> None:
    first = await shop.hears()
    ours = (await shop.tell(Body="hi")).id
    await hook.receipts(3)
    for quoted, sender in ((ours, SHOP), (first, f"whatsapp:+{RIMA}")):
        form = await said(shop, hook, text="this", reply_to=quoted)
        assert form["OriginalRepliedMessageSid"] == quoted
        assert form["OriginalRepliedMessageSender"] == sender


async def test_callbacks_tell_of_the_channel(shop: Shop, hook: Hook) -> None:
    await shop.tell(Body="too early")
    await hook.receipts(1)
    failed = hook.deliveries[0].form
    assert (failed["ErrorCode"], failed["ChannelPrefix"]) == ("63016", "whatsapp")
    assert failed["ErrorMessage"] in failed["ChannelStatusMessage"]
    await shop.hears()
    await shop.tell(Body="now")
    await hook.receipts(4)
    read = hook.deliveries[-1].form
    assert (read["MessageStatus"], read["EventType"]) == ("read", "READ")
    assert read["ChannelInstallSid"] == failed["ChannelInstallSid"]
    assert read["ChannelToAddress"] == f"whatsapp:+{RIMA}"
    assert "ChannelStatusMessage" not in read


@pytest.mark.parametrize("what", [{"forwarded": True}, {"referral": {"source_id": "1"}}])
async def test_sms_tells_nothing_of_whatsapps(sms: Twilio, what: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        await sms.sandbox.customer_writes(RIMA, text="hi", **what)
