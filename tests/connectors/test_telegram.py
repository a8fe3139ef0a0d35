"""Every kind of content a Telegram message may have, and what the hub makes of it."""

from typing import Any

import orjson
import pytest

from connectors.telegram import Telegram
from hub.connector import Hook
from hub.errors import HookRejected
from hub.message import (
    Alias,
    Choice,
    ContactCard,
    Format,
    FormatType,
    Media,
    Message,
    Place,
    Referral,
    ReplyTo,
    Share,
)
from hub.signal import OptOut, Unreadable
from tests.connectors.kit import (
    HOOK_URL,
    RECEIVED_AT,
    Case,
    connector_test,
)
from tests.connectors.telegram_bot import (
    ALIAS,
    AT,
    BOT,
    RAFI,
    SECRET,
    TOKEN,
    USER,
    hears,
    inbound,
    item,
    make,
    says,
    sign,
    update,
)


def entity(kind: str, offset: int, length: int, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": offset, "length": length, **more}


def file(name: str, **more: Any) -> dict[str, Any]:
    return {"file_id": name, "file_unique_id": f"u-{name}", "file_size": 2048, **more}


def attached(kind: Any, id: str, text: str = "", **more: Any) -> Message:
    return Message.of(text, media=(Media(kind=kind, provider_id=id, size=2048, **more),))


def formatted(text: str, *formats: tuple[FormatType, int, int]) -> Message:
    found = tuple(Format(type=kind, start=at, length=long) for kind, at, long in formats)
    return Message.of(text, formats=found)


def unsupported(text: str, **content: Any) -> Any:
    said = Message(text=text, kind="unsupported")
    return inbound(said, raw=item(**content))


SIZES = [
    file("small", width=90, height=60),
    file("large", width=1280, height=853),
    file("middle", width=320, height=213),
]
POINT = {"latitude": 23.7806, "longitude": 90.4074}
POLL = {"id": "5", "question": "Size?", "options": [{"text": "S"}, {"text": "M"}]}
TASKS = {"title": "To buy", "tasks": [{"id": 1, "text": "rice"}]}
VCARD = "BEGIN:VCARD\r\nEMAIL;TYPE=home:rafi@example.com\r\nEND:VCARD"
OWN_PHONE = {"phone_number": "8801711000001", "first_name": "Rafi", "user_id": RAFI}
FRIEND = {"phone_number": "01711-000002", "first_name": "Mina", "last_name": "K", "vcard": VCARD}
CALLED = {"id": 5, "is_bot": False, "first_name": "Mina"}

TEXTS: list[Case] = [
    says("text", Message.of("অর্ডার কোথায়? 👍🏽"), text="অর্ডার কোথায়? 👍🏽"),
    says("joiners", Message.of("র‍্যাব \u200eabc"), text="র‍্যাব \u200eabc"),
    says("NFD", Message.of("é ক\u09cb"), text="e\u0301 ক\u09c7\u09be"),
    says(
        "half an emoji",
        Message.of("ok"),
        text="ok\ud83d".encode("utf-16", "surrogatepass").decode("utf-16", "ignore"),
    ),
    says(
        "formats",
        formatted(
            "bold it under gone 🙈 code",
            ("bold", 0, 4),
            ("italic", 5, 2),
            ("strike", 14, 4),
            ("code", 21, 4),
        ),
        text="bold it under gone 🙈 code",
        entities=[
            entity("bold", 0, 4),
            entity("italic", 5, 2),
            entity("strikethrough", 14, 4),
            entity("code", 22, 4),
            entity("hashtag", 0, 4),
        ],
    ),
    says(
        "formats after composition",
        formatted("ক\u09cb 😀 bold", ("bold", 5, 4), ("spoiler", 3, 1)),
        text="ক\u09c7\u09be 😀 bold",
        entities=[entity("bold", 7, 4), entity("spoiler", 4, 2)],
    ),
    says(
        "a link under words",
        Message.of(
            "see here", formats=(Format(type="link", start=4, length=4, url="https://a.example/"),)
        ),
        text="see here",
        entities=[
            entity("text_link", 4, 4, url="https://a.example/"),
            entity("text_link", 4, 4, url="javascript:alert(1)"),
        ],
    ),
    says(
        "quote and mention",
        formatted(
            "a b c", ("quote", 0, 1), ("mention", 2, 1), ("quote", 4, 1), ("underline", 0, 5)
        ),
        text="a b c",
        entities=[
            entity("blockquote", 0, 1),
            entity("text_mention", 2, 1, user=CALLED),
            entity("expandable_blockquote", 4, 1),
            entity("underline", 0, 99),
            entity("pre", 40, 2),
        ],
    ),
    hears(
        "start with a payload",
        [
            inbound(
                Message.of("/start promo_eid-26"),
                referral=Referral(ref="promo_eid-26", source="telegram", type="start"),
            ),
            OptOut(BOT, str(RAFI), AT, on=False),
        ],
        message=item(text="/start promo_eid-26", entities=[entity("bot_command", 0, 6)]),
    ),
    hears(
        "start alone",
        [inbound(Message.of("/start")), OptOut(BOT, str(RAFI), AT, on=False)],
        message=item(text="/start"),
    ),
    says("start of something else", Message.of("/start with a word"), text="/start with a word"),
    *(
        hears(
            f"opt-out {text}",
            [inbound(Message.of(text)), OptOut(BOT, str(RAFI), AT)],
            message=item(text=text),
        )
        for text in ("/stop", "Stop", "/stop@hub_bot", "STOP.")
    ),
    says("no opt-out", Message.of("do not stop"), text="do not stop"),
]

MEDIA: list[Case] = [
    says("the largest photo", attached("image", "large", mime="image/jpeg"), photo=SIZES),
    says(
        "caption",
        Message.of(
            "দাম কত?",
            media=(Media(kind="image", provider_id="large", size=2048, mime="image/jpeg"),),
            formats=(Format(type="bold", start=0, length=3),),
        ),
        photo=SIZES,
        caption="দাম কত?",
        caption_entities=[entity("bold", 0, 3)],
    ),
    says(
        "a live photo", attached("image", "large", mime="image/jpeg"), live_photo={"photo": SIZES}
    ),
    says("video", attached("video", "v", mime="video/mp4"), video=file("v", mime_type="video/mp4")),
    says("video note", attached("video", "v", mime="video/mp4"), video_note=file("v", length=240)),
    says(
        "animation over document",
        attached("video", "a", mime="video/mp4", name="hi.mp4"),
        animation=file("a", mime_type="video/mp4", file_name="hi.mp4"),
        document=file("d", mime_type="video/mp4", file_name="hi.mp4"),
    ),
    says(
        "audio",
        attached("audio", "s", mime="audio/mpeg", name="গান.mp3"),
        audio=file("s", mime_type="audio/mpeg", file_name="গান.mp3"),
    ),
    says(
        "voice", attached("voice", "v", mime="audio/ogg", voice=True), voice=file("v", duration=3)
    ),
    says(
        "document",
        attached("file", "d", mime="application/pdf", name="a.pdf"),
        document=file("d", mime_type="application/pdf", file_name="a.pdf"),
    ),
    says(
        "sticker",
        attached("sticker", "s", mime="image/webp", name="👍"),
        sticker=file("s", emoji="👍", is_animated=False, is_video=False),
    ),
    says(
        "animated sticker",
        attached("sticker", "s", mime="application/x-tgsticker"),
        sticker=file("s", is_animated=True),
    ),
    says(
        "video sticker",
        attached("sticker", "s", mime="video/webm"),
        sticker=file("s", is_video=True),
    ),
    says(
        "album",
        attached("image", "large", mime="image/jpeg").model_copy(update={"album": "13577"}),
        photo=SIZES,
        media_group_id="13577",
    ),
]

OTHERS: list[Case] = [
    says("location", Message.of(place=Place(latitude=23.7806, longitude=90.4074)), location=POINT),
    says(
        "venue over location",
        Message.of(place=Place(latitude=1.5, longitude=2, name="Shop", address="Road 1")),
        location=POINT,
        venue={"location": {"latitude": 1.5, "longitude": 2}, "title": "Shop", "address": "Road 1"},
    ),
    hears(
        "own phone",
        inbound(
            Message.of(
                contacts=(ContactCard(name="Rafi", phones=("+8801711000001",), is_sender=True),)
            ),
            aliases=(ALIAS, Alias("phone", "+8801711000001")),
        ),
        message=item(contact=OWN_PHONE),
    ),
    says(
        "another's contact",
        Message.of(
            contacts=(
                ContactCard(name="Mina K", phones=("01711-000002",), emails=("rafi@example.com",)),
            )
        ),
        contact=FRIEND,
    ),
    says(
        "another's contact with an id",
        Message.of(contacts=(ContactCard(name="Rafi", phones=("8801711000001",)),)),
        contact=OWN_PHONE | {"user_id": 5},
    ),
    says(
        "mini app",
        Message.of("Order", choice=Choice(type="postback", id='{"sku":1}', title="Order")),
        web_app_data={"data": '{"sku":1}', "button_text": "Order"},
    ),
    says("dice", Message.of("🎲"), dice={"emoji": "🎲", "value": 4}),
    says(
        "story",
        Message.of(share=Share(url="https://t.me/shop/s/3", type="story")),
        story={"chat": {"id": -1005, "type": "channel", "username": "shop"}, "id": 3},
    ),
    says(
        "forward",
        Message.of("news", forwarded=True),
        text="news",
        forward_origin={"type": "hidden_user", "sender_user_name": "M", "date": 1},
    ),
    hears(
        "reply with a quote",
        inbound(Message.of("yes"), reply_to=ReplyTo(external_id=f"{RAFI}:9", quote="pick")),
        message=item(
            text="yes",
            reply_to_message=item(9, text="pick one"),
            quote={"text": "pick", "position": 0},
        ),
    ),
    hears(
        "reply to another chat",
        inbound(Message.of("?"), reply_to=ReplyTo(external_id="-1005:31")),
        message=item(
            text="?",
            external_reply={
                "origin": {},
                "chat": {"id": -1005, "type": "channel"},
                "message_id": 31,
            },
        ),
    ),
    hears(
        "reply to a story",
        inbound(Message.of("nice"), reply_to=ReplyTo(story_url="https://t.me/shop/s/3")),
        message=item(
            text="nice",
            reply_to_story={"chat": {"id": -1005, "type": "channel", "username": "shop"}, "id": 3},
        ),
    ),
    hears("poll", unsupported("Size?\n- S\n- M", poll=POLL), message=item(poll=POLL)),
    hears(
        "checklist", unsupported("To buy\n- rice", checklist=TASKS), message=item(checklist=TASKS)
    ),
    hears(
        "a kind of tomorrow", unsupported("", hologram={"x": 1}), message=item(hologram={"x": 1})
    ),
    hears(
        "a paid photo",
        unsupported("mine", paid_media={}, caption="mine"),
        message=item(paid_media={}, caption="mine"),
    ),
    hears("a note of Telegram's own", [], message=item(pinned_message=item(9, text="x"))),
    hears(
        "no id of the chat",
        [Unreadable(BOT, "message without a chat's id", update(message={"message_id": 1}))],
        message={"message_id": 1},
    ),
    hears("a key of tomorrow", [], telepathy={"id": 1}),
    hears("a poll's answer", [], poll_answer={"poll_id": "5", "user": USER, "option_ids": [0]}),
]

# Whoever knows the secret token is Telegram: nothing binds it to a body.
test_contents = connector_test(make, [*TEXTS, *MEDIA, *OTHERS], sign=sign, signs_body=False)


def test_lone_halves_of_emoji_and_nuls_are_left_out() -> None:
    body = orjson.dumps(update(message=item(text="a?b"))).replace(b"?", b"\\ud83d\\u0000")
    hook = Hook("POST", HOOK_URL, "", {}, body, RECEIVED_AT)
    [found] = make(None, "http://127.0.0.1:9").parse(hook)  # type: ignore[arg-type]  # makes no call
    assert found.message.text == "ab"  # type: ignore[union-attr]  # it is an Inbound


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_only_a_post_is_genuine(method: str) -> None:
    hook = Hook(method, HOOK_URL, "", {"x-telegram-bot-api-secret-token": SECRET}, b"", 1)
    with pytest.raises(HookRejected):
        make(None, "http://127.0.0.1:9").check(hook)  # type: ignore[arg-type]  # as above


def test_a_polled_bot_takes_no_hooks() -> None:
    bot = make(None, "http://127.0.0.1:9", mode="polling", secret_token="")  # type: ignore[arg-type]  # as above
    for given in ("", SECRET):
        with pytest.raises(HookRejected):
            bot.check(
                Hook("POST", HOOK_URL, "", {"x-telegram-bot-api-secret-token": given}, b"{}", 1)
            )


@pytest.mark.parametrize(
    "wrong",
    [
        {"bot_token": "no-colon"},
        {"bot_token": "7:a b"},
        {"secret_token": "with space"},
        {"secret_token": "x" * 257},
        {"secret_token": ""},
        {"mode": "carrier pigeon"},
        {"api_base": "ftp://x"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    given = {"bot_token": TOKEN, "secret_token": SECRET} | wrong
    with pytest.raises(ValueError, match=next(iter(wrong))) as caught:
        Telegram.Settings(kind="telegram", **given)
    assert "AAinvented" not in repr(caught.value.errors(include_input=False))  # type: ignore[attr-defined]  # pydantic's


def test_the_account_is_the_bots_id() -> None:
    given = {"kind": "telegram", "bot_token": TOKEN, "secret_token": SECRET}
    assert Telegram.account(Telegram.Settings.model_validate(given)) == BOT
