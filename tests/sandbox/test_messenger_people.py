"""What people do in Messenger, as the stand-in tells the hook and as their phones show it."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from yarl import URL

from connectors.sandbox.control import ControlError
from tests.sandbox.hook import START
from tests.sandbox.meta_calls import COMMON, NADIA, PAGE, RIMA, Meta, event_of, serving

CHIPS = [
    {"content_type": "text", "title": "হ্যাঁ", "payload": "yes"},
    {"content_type": "text", "title": "না", "payload": "no"},
]
YES = {"id": "yes", "title": "হ্যাঁ"}


@pytest_asyncio.fixture
async def fb() -> AsyncIterator[Meta]:
    async with serving("messenger", receipts=()) as meta:
        yield meta


def posted(event: dict[str, Any]) -> dict[str, Any]:
    """An event without who, when and the ids."""
    told = {key: value for key, value in event.items() if key not in ("sender", "recipient")}
    del told["timestamp"]
    for content in told.values():
        content.pop("mid", None)
    return told


@pytest.mark.parametrize(
    ("deed", "told"),
    [
        ({"text": "সালাম"}, {"message": {"text": "সালাম"}}),
        (
            {"location": {"latitude": 23.7, "longitude": 90.4}},
            {"message": {"attachments": [
                {"type": "location", "payload": {"coordinates": {"lat": 23.7, "long": 90.4}}}
            ]}},
        ),
        (
            {"share": {"url": "https://x.test", "title": "X"}},
            {"message": {"attachments": [
                {"type": "fallback", "payload": {"url": "https://x.test", "title": "X"}}
            ]}},
        ),
        ({"share": {}}, {"message": {"attachments": [{"type": "fallback"}]}}),
        (
            {"share": {"type": "reel", "url": "/reel/123/"}},
            {"message": {"attachments": [{"type": "reel", "payload": {"url": "/reel/123/"}}]}},
        ),
        ({"unsupported": True}, {"message": {}}),
        (
            {"postback": {"id": "menu", "title": "Menu"}},
            {"postback": {"title": "Menu", "payload": "menu"}},
        ),
        ({"get_started": True}, {"postback": {"title": "Get Started", "payload": "GET_STARTED"}}),
        (
            {"text": "hi", "referral": {"product": {"id": "77"}}},
            {"message": {"text": "hi", "referral": {"product": {"id": "77"}}}},
        ),
        (
            {"reaction": {"message_id": "m_1", "emoji": "❤️"}},
            {"reaction": {"action": "react", "reaction": "love", "emoji": "❤️"}},
        ),
        ({"reaction": {"message_id": "m_1"}}, {"reaction": {"action": "unreact"}}),
        ({"raw": {"poem": {"lines": 2}}}, {"poem": {"lines": 2}}),
        (
            {"text": "hi", "raw": {"message": {"text": None, "nlp": {}}}},
            {"message": {"text": None, "nlp": {}}},
        ),
    ],
)  # fmt: skip
async def test_what_she_does_is_told(fb: Meta, deed: dict[str, Any], told: dict[str, Any]) -> None:
    event = await fb.does(**deed)
    assert (event["sender"], event["recipient"]) == ({"id": RIMA}, {"id": PAGE})
    assert event["timestamp"] == int(START * 1000)
    assert posted(event) == told


@pytest.mark.parametrize(
    ("kind", "type", "start"),
    [
        ("image", "image", b"\xff\xd8"),
        ("video", "video", b"\0\0\0\x18ftyp"),
        ("audio", "audio", b""),
        ("voice", "audio", b"\0\0\0\x18ftypM4A"),
        ("document", "file", b"%PDF"),
    ],
)
async def test_her_files(fb: Meta, kind: str, type: str, start: bytes) -> None:
    deed: dict[str, Any] = {kind: {}}
    event = await fb.does(**deed)
    (attachment,) = event["message"]["attachments"]
    assert attachment["type"] == type
    async with fb.http.get(attachment["payload"]["url"]) as response:
        assert (await response.read()).startswith(start)
    assert fb.sandbox.shown(RIMA)[0].media[0]["kind"] == type


async def test_a_file_has_its_name_in_its_address(fb: Meta) -> None:
    event = await fb.does(document={"filename": "চালান ১.pdf"})
    url = URL(event["message"]["attachments"][0]["payload"]["url"], encoded=True)
    assert url.name == "চালান ১.pdf"
    async with fb.http.get(url) as response:
        assert response.status == 200


async def test_an_album_is_one_message(fb: Meta) -> None:
    event = await fb.does(album=[{}, {"mime": "image/png"}, {}])
    attachments = event["message"]["attachments"]
    assert [each["type"] for each in attachments] == ["image"] * 3
    assert len({each["payload"]["url"] for each in attachments}) == 3
    assert len(fb.sandbox.shown(RIMA)[0].media) == 3


@pytest.mark.parametrize(
    ("stickers", "types"),
    [("sticker", ["sticker"]), ("both", ["image", "sticker"]), ("image", ["image"])],
)
async def test_stickers_before_during_and_after_the_change(
    fb: Meta, stickers: str, types: list[str]
) -> None:
    fb.change(stickers=stickers)
    deeds: list[dict[str, Any]] = [{"sticker": {}}, {"like": True}]
    for deed in deeds:
        attachments = (await fb.does(**deed))["message"]["attachments"]
        assert [each["type"] for each in attachments] == types
        assert len({each["payload"]["sticker_id"] for each in attachments}) == 1
    assert attachments[0]["payload"]["sticker_id"] == 369239263222822
    assert fb.sandbox.shown(RIMA)[-1].text == "👍"


async def test_a_tapped_link_is_a_referral_only_in_an_existing_thread(fb: Meta) -> None:
    link = {"ref": "poster", "source": "SHORTLINK", "type": "OPEN_THREAD"}
    first = await fb.does(link={"ref": "poster"})
    assert posted(first) == {
        "postback": {"title": "Get Started", "payload": "GET_STARTED", "referral": link}
    }
    assert posted(await fb.does(link={"ref": "poster"})) == {"referral": link}
    ad = await fb.does(link={"source": "ADS", "ad_id": "6012"})
    assert ad["referral"] == {"source": "ADS", "type": "OPEN_THREAD", "ad_id": "6012"}


async def test_a_quick_reply_is_tapped_once_and_vanishes_with_the_next_message(fb: Meta) -> None:
    await fb.writes()
    first = (await fb.send({"text": "কোনটা?", "quick_replies": CHIPS})).content["message_id"]
    shown = fb.sandbox.shown(RIMA)[-1]
    assert shown.quick_replies == [YES, {"id": "no", "title": "না"}]
    seen = shown.changed
    event = await fb.does(quick_reply={**YES, "reply_to": first})
    assert posted(event) == {
        "message": {
            "text": "হ্যাঁ",
            "quick_reply": {"payload": "yes"},
            "reply_to": {"mid": first, "is_self_reply": False},
        }
    }
    assert shown.quick_replies == []
    assert shown in fb.sandbox.shown(RIMA, after=seen)
    with pytest.raises(ControlError):
        await fb.does(quick_reply={**YES, "reply_to": first})
    second = (await fb.send({"text": "কোনটা?", "quick_replies": CHIPS})).content["message_id"]
    await fb.say("one more thing")
    with pytest.raises(ControlError):
        await fb.does(quick_reply={**YES, "reply_to": second})


async def test_a_button_stays_and_comes_back_as_a_postback(fb: Meta) -> None:
    await fb.writes()
    buttons = [
        {"type": "postback", "title": "হ্যাঁ", "payload": "yes"},
        {"type": "web_url", "title": "দেখুন", "url": "https://x.test/"},
    ]
    payload = {"template_type": "button", "text": "কোনটা?", "buttons": buttons}
    template = {"attachment": {"type": "template", "payload": payload}}
    mid = (await fb.send(template)).content["message_id"]
    shown = fb.sandbox.shown(RIMA)[-1]
    assert (shown.kind, shown.text) == ("text", "কোনটা?")
    assert shown.buttons == [YES, {"id": "", "title": "দেখুন", "url": "https://x.test/"}]
    for _ in range(2):
        event = await fb.does(button={**YES, "reply_to": mid})
        assert posted(event) == {"postback": {"title": "হ্যাঁ", "payload": "yes"}}
    with pytest.raises(ControlError):
        await fb.does(button={"id": "no", "title": "না", "reply_to": mid})
    with pytest.raises(ControlError):
        await fb.does(button=YES)


async def test_cards_are_shown_with_their_buttons(fb: Meta) -> None:
    await fb.writes()
    buttons = [{"type": "postback", "title": "হ্যাঁ", "payload": "yes"}]
    elements = [{"title": "শাড়ি", "subtitle": "লাল"}, {"title": "জামা", "buttons": buttons}]
    payload = {"template_type": "generic", "elements": elements}
    await fb.send({"attachment": {"type": "template", "payload": payload}})
    shown = fb.sandbox.shown(RIMA)[-1]
    assert (shown.text, shown.buttons) == ("শাড়ি\nজামা", [YES])
    assert shown.template == payload


async def test_quotes_say_whose_message_it_was(fb: Meta) -> None:
    own = await fb.writes()
    ours = (await fb.say()).content["message_id"]
    for mid, is_own in ((own, True), (ours, False)):
        event = await fb.does(text="this one", reply_to=mid)
        assert event["message"]["reply_to"] == {"mid": mid, "is_self_reply": is_own}
    assert fb.sandbox.shown(RIMA)[-1].reply_to == ours


async def test_an_edit_is_told_and_at_most_five_times(fb: Meta) -> None:
    mid = await fb.writes("helo")
    for count in range(1, 6):
        event = await fb.does(edit={"message_id": mid, "text": f"hello {count}"})
        assert event["message_edit"] == {"mid": mid, "text": f"hello {count}", "num_edit": count}
    shown = fb.sandbox.shown(RIMA)
    assert [(item.text, item.edits) for item in shown] == [("hello 5", 5)]
    with pytest.raises(ControlError):
        await fb.does(edit={"message_id": mid, "text": "again"})
    with pytest.raises(ControlError):
        await fb.does(NADIA, edit={"message_id": mid, "text": "not hers"})


async def test_an_unsend_is_not_told(fb: Meta) -> None:
    mid = await fb.writes()
    await fb.sandbox.customer_writes(RIMA, unsend=mid, wait=True)
    assert len(fb.hook.deliveries) == 1
    assert [(item.kind, item.text) for item in fb.sandbox.shown(RIMA)] == [("unsent", "")]


async def test_opening_the_thread_reads_all_of_it(fb: Meta) -> None:
    await fb.writes()
    with pytest.raises(ControlError):
        await fb.does(read=True)
    await fb.say("one")
    await fb.say("two")
    fb.clock.now += 5
    event = await fb.does(read=True)
    assert event["read"] == {"watermark": int((START + 5) * 1000)}
    assert [item.status for item in fb.sandbox.shown(RIMA)] == ["received", "read", "read"]


async def test_a_delivery_may_come_without_mids(fb: Meta) -> None:
    fb.change(receipts=("delivered",), delivery_mids=False)
    await fb.writes()
    await fb.say()
    event = event_of((await fb.hook.wait(2))[1])
    assert event["delivery"] == {"watermark": int(START * 1000)}


async def test_an_answer_from_the_inbox_is_echoed_by_another_app(fb: Meta) -> None:
    fb.change(receipts=("sent",))
    await fb.writes()
    url = f"{fb.sandbox.base_url}/_sandbox/accounts/{PAGE}/inbox"
    async with fb.http.post(url, json={"to": RIMA, "text": "মিনা বলছি"}) as response:
        mid = (await response.json())["external_id"]
    event = event_of((await fb.hook.wait(2))[1])
    assert event["message"] == {
        "mid": mid,
        "is_echo": True,
        "app_id": 263902037430900,
        "text": "মিনা বলছি",
    }
    assert fb.sandbox.shown(RIMA)[-1].by == "inbox"
    with pytest.raises(ControlError):
        fb.sandbox.business_writes(PAGE, NADIA, "hello")


async def test_standby_items_have_their_own_list_and_no_payload(fb: Meta) -> None:
    event = await fb.does(postback={"id": "menu", "title": "Menu"}, standby=True)
    assert posted(event) == {"postback": {"title": "Menu"}}
    assert list(fb.hook.deliveries[0].json["entry"][0]) == ["id", "time", "standby"]


async def test_pages_of_an_app_share_a_post(fb: Meta) -> None:
    other = {**COMMON, "page_id": "1048000002", "access_token": "token-4"}
    fb.sandbox.add_account({**other, "hook_url": fb.hook.url})
    said = {"account": PAGE, "text": "one", "batch": True}
    first = await fb.sandbox.customer_writes(RIMA, **said)
    second = await fb.sandbox.customer_writes(NADIA, account="1048000002", text="two", wait=True)
    (delivery,) = fb.hook.deliveries
    entries = delivery.json["entry"]
    assert [entry["id"] for entry in entries] == [PAGE, "1048000002"]
    assert [entry["messaging"][0]["message"]["text"] for entry in entries] == ["one", "two"]
    assert fb.sandbox.webhooks()[0].external_ids == (first.external_id, second.external_id)
    body = {"recipient": {"id": RIMA}, "messaging_type": "RESPONSE", "message": {"text": "x"}}
    assert (await fb.post(body, token="token-4")).content["error"]["error_subcode"] == 2018001
    assert (await fb.post(body)).status == 200


async def test_a_late_webhook_is_overtaken(fb: Meta) -> None:
    fb.sandbox.add_fault("late_webhook", seconds=0.05)
    await fb.sandbox.customer_writes(RIMA, text="first")
    await fb.writes("second")
    texts = [event_of(each)["message"]["text"] for each in await fb.hook.wait(2)]
    assert texts == ["second", "first"]


async def test_a_webhook_comes_again_until_it_is_taken_and_may_come_twice(fb: Meta) -> None:
    fb.hook.answers = [500, 503]
    await fb.writes()
    fb.sandbox.add_fault("duplicate_webhook")
    await fb.writes()
    bodies = [each.body for each in await fb.hook.wait(5)]
    assert len(set(bodies[:3])) == len(set(bodies[3:])) == 1


@pytest.mark.parametrize(
    "deed",
    [
        {"contacts": [{"name": "Karim"}]},
        {"list_row": {"id": "x", "title": "X"}},
        {"image": {"caption": "look"}},
        {"story_mention": True},
        {"story_reply": {"text": "wow"}},
    ],
)
async def test_what_these_phones_cannot_do(fb: Meta, deed: dict[str, Any]) -> None:
    with pytest.raises(ControlError):
        await fb.does(**deed)
    assert fb.sandbox.shown(RIMA) == []


async def test_the_phone_over_http(fb: Meta) -> None:
    phone = f"{fb.sandbox.base_url}/_sandbox/phones/{RIMA}"
    async with fb.http.post(f"{phone}/messages", json={"get_started": True, "wait": True}) as made:
        assert (made.status, (await made.json())["status"]) == (201, 200)
    async with fb.http.post(f"{phone}/messages", json={"poke": True}) as made:
        assert made.status == 400
    async with fb.http.get(phone) as response:
        (item,) = (await response.json())["items"]
    assert (item["kind"], item["text"], item["quick_replies"]) == ("get_started", "Get Started", [])
