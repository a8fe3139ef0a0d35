"""What Telegram is asked to do, and what its answers mean."""

from typing import Any

import pytest

from connectors._telegram_calls import is_linkable
from connectors._telegram_ids import callback_data
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    Moved,
    NoSuchRecipient,
    OutcomeUnknown,
    Refused,
    Unreachable,
    WindowClosed,
)
from hub.message import (
    Button,
    ContactCard,
    Format,
    Media,
    Message,
    Place,
)
from tests.connectors.kit import Case, Sends, connector_test, ok, post, status
from tests.connectors.telegram_bot import GROUP, RAFI, TOKEN, make, sent_as, sign

PATH = f"/bot{TOKEN}"
LINK = "https://shop.example/f"


def sends(name: str, message: Message, method: str, to: str = str(RAFI), **more: Any) -> Sends:
    reply_to = more.pop("reply_to", "")
    body = {"chat_id": int(to.partition("@")[0].partition("#")[0]), **more}
    chat = to.partition("#")[0]
    return Sends(
        name,
        message,
        expect=post(f"{PATH}/{method}", json=body),
        reply=ok({"ok": True, "result": sent_as(chat=body["chat_id"])}),
        sent=f"{chat}:77",
        to=to,
        reply_to=reply_to,
    )


def attached(kind: Any, text: str = "", **more: Any) -> Message:
    return Message.of(text, media=(Media(kind=kind, source_url=LINK, **more),))


def buttons(*titles: str) -> tuple[Button, ...]:
    return tuple(Button(id=f"b{at}", title=title) for at, title in enumerate(titles))


def row(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"text": text, "callback_data": data} for text, data in pairs]


def keys(*rows: list[dict[str, str]]) -> dict[str, Any]:
    return {"inline_keyboard": list(rows)}


QUOTE = {"message_id": 10, "allow_sending_without_reply": True}
TWELVE = tuple(Button(id=f"s{n}", title=f"Size {n}") for n in range(12))
LONG_ID = "পণ্যের-নাম-" * 4
MINA = ContactCard(name="Mina, K", phones=("+8801711000002",))
POINT: dict[str, Any] = {"latitude": 1.5, "longitude": 2.0}

CONTENTS: list[Case] = [
    sends("text", Message.of("হ্যালো <b>& *x*"), "sendMessage", text="হ্যালো <b>& *x*"),
    sends(
        "formats",
        Message.of(
            "😀 bold here",
            formats=(
                Format(type="bold", start=2, length=4),
                Format(type="link", start=7, length=4, url=LINK),
                Format(type="mention", start=0, length=1),
            ),
        ),
        "sendMessage",
        text="😀 bold here",
        entities=[
            {"type": "bold", "offset": 3, "length": 4},
            {"type": "text_link", "offset": 8, "length": 4, "url": LINK},
        ],
    ),
    sends(
        "quote",
        Message.of("hi"),
        "sendMessage",
        text="hi",
        reply_to=f"{RAFI}:10",
        reply_parameters=QUOTE,
    ),
    sends("quote of a tap", Message.of("hi"), "sendMessage", text="hi", reply_to="tap:4382"),
    sends("group", Message.of("hi"), "sendMessage", str(GROUP), text="hi"),
    sends("topic", Message.of("hi"), "sendMessage", f"{GROUP}#7", text="hi", message_thread_id=7),
    sends(
        "business",
        Message.of("hi"),
        "sendMessage",
        f"{RAFI}@c0nn",
        text="hi",
        business_connection_id="c0nn",
    ),
    sends(
        "two short buttons in a row",
        Message.of("Pick", buttons=buttons("Yes", "না", "Maybe")),
        "sendMessage",
        text="Pick",
        reply_markup=keys(row(("Yes", "b0"), ("না", "b1")), row(("Maybe", "b2"))),
    ),
    sends(
        "long labels one in a row",
        Message.of("Pick", buttons=buttons("Yes", "a label of more than twenty")),
        "sendMessage",
        text="Pick",
        reply_markup=keys(row(("Yes", "b0")), row(("a label of more than twenty", "b1"))),
    ),
    sends(
        "twelve",
        Message.of("Pick", buttons=TWELVE),
        "sendMessage",
        text="Pick",
        reply_markup=keys(
            *(row((f"Size {n}", f"s{n}"), (f"Size {n + 1}", f"s{n + 1}")) for n in range(0, 12, 2))
        ),
    ),
    sends(
        "an id of more than 64 bytes",
        Message.of("Pick", buttons=(Button(id=LONG_ID, title="চাল"),)),
        "sendMessage",
        text="Pick",
        reply_markup=keys(row(("চাল", callback_data(LONG_ID)))),
    ),
    sends(
        "links",
        Message.of(
            "See",
            buttons=(
                Button(id="u", title="Open", url=LINK),
                Button(id="v", title="Here", url="http://localhost/x"),
            ),
        ),
        "sendMessage",
        text="See\nHere: http://localhost/x",
        reply_markup=keys([{"text": "Open", "url": LINK}]),
    ),
    sends("photo", attached("image", "দাম"), "sendPhoto", photo=LINK, caption="দাম"),
    sends("gif", attached("image", mime="image/gif"), "sendAnimation", animation=LINK),
    sends("video", attached("video"), "sendVideo", video=LINK),
    sends("audio", attached("audio"), "sendAudio", audio=LINK),
    sends("voice", attached("voice"), "sendVoice", voice=LINK),
    sends("document", attached("file", "read"), "sendDocument", document=LINK, caption="read"),
    sends("sticker", attached("sticker"), "sendSticker", sticker=LINK),
    sends(
        "caption with formats",
        Message.of(
            "দাম",
            media=(Media(kind="image", source_url=LINK),),
            formats=(Format(type="bold", start=0, length=3),),
        ),
        "sendPhoto",
        photo=LINK,
        caption="দাম",
        caption_entities=[{"type": "bold", "offset": 0, "length": 3}],
    ),
    sends("location", Message.of(place=Place(latitude=1.5, longitude=2)), "sendLocation", **POINT),
    sends(
        "venue",
        Message.of(place=Place(latitude=1.5, longitude=2, name="Shop", address="Road 1")),
        "sendVenue",
        **POINT,
        title="Shop",
        address="Road 1",
    ),
    sends(
        "venue without an address",
        Message.of(place=Place(latitude=1.5, longitude=2, name="Shop")),
        "sendVenue",
        **POINT,
        title="Shop",
        address="Shop",
    ),
    sends(
        "contact",
        Message.of(contacts=(MINA,)),
        "sendContact",
        phone_number="+8801711000002",
        first_name="Mina, K",
    ),
    sends(
        "contact with an e-mail",
        Message.of(contacts=(MINA.model_copy(update={"emails": ("m@example.com",)}),)),
        "sendContact",
        phone_number="+8801711000002",
        first_name="Mina, K",
        vcard="BEGIN:VCARD\nVERSION:3.0\nFN:Mina\\, K\nTEL:+8801711000002\n"
        "EMAIL:m@example.com\nEND:VCARD",
    ),
    sends(
        "contact without a number",
        Message.of(contacts=(ContactCard(name="Mina", emails=("m@example.com",)),)),
        "sendMessage",
        text="Mina: m@example.com",
    ),
]


def album(name: str, media: list[dict[str, str]], *kinds: Any) -> Sends:
    items = tuple(Media(kind=kind, source_url=LINK) for kind in kinds)
    return Sends(
        name,
        Message.of("all", media=items),
        expect=post(f"{PATH}/sendMediaGroup", json={"chat_id": RAFI, "media": media}),
        reply=ok({"ok": True, "result": [sent_as(77), sent_as(78)]}),
        sent=f"{RAFI}:77",
        to=str(RAFI),
    )


ALBUMS: list[Case] = [
    album(
        "photos and videos",
        [{"type": "photo", "media": LINK, "caption": "all"}, {"type": "video", "media": LINK}],
        "image",
        "video",
    ),
    album(
        "documents",
        [
            {"type": "document", "media": LINK},
            {"type": "document", "media": LINK, "caption": "all"},
        ],
        "file",
        "file",
    ),
]


def refused(name: str, code: int, description: str, fails: Any, **parameters: Any) -> Sends:
    answer = {"ok": False, "error_code": code, "description": description}
    if parameters:
        answer["parameters"] = parameters
    return Sends(
        name, Message.of("hello there"), reply=status(code, answer), fails=fails, to=str(RAFI)
    )


BAD = "Bad Request: "
NO = "Forbidden: "
ERRORS: list[Case] = [
    refused("blocked", 403, NO + "bot was blocked by the user", Blocked(code="403")),
    refused("deactivated", 403, NO + "user is deactivated", Blocked),
    refused("kicked", 403, NO + "bot was kicked from the supergroup chat", Blocked),
    refused("no member", 403, NO + "bot is not a member of the channel chat", Blocked),
    refused("never started", 403, NO + "bot can't initiate conversation with a user", Blocked),
    refused("forbidden", 403, NO + "bot can't send messages to bots", Refused),
    refused("no chat", 400, BAD + "chat not found", NoSuchRecipient(code="400")),
    refused("no peer", 400, BAD + "PEER_ID_INVALID", NoSuchRecipient),
    refused(
        "moved",
        400,
        BAD + "group chat was upgraded to a supergroup chat",
        Moved(str(GROUP)),
        migrate_to_chat_id=GROUP,
    ),
    refused(
        "throttled",
        429,
        "Too Many Requests: retry after 9",
        Busy(retry_in=9, code="429"),
        retry_after=9,
    ),
    refused("url not fetched", 400, BAD + "failed to get HTTP URL content", Unreachable),
    refused("wrong file", 400, BAD + "wrong file identifier/HTTP URL specified", Unreachable),
    refused("wrong type", 400, BAD + "wrong type of the web page content", MediaFailed),
    refused("too large", 413, "Request Entity Too Large", MediaFailed),
    refused("no photo", 400, BAD + "PHOTO_INVALID_DIMENSIONS", MediaFailed),
    *(
        refused(text, 400, BAD + text, Refused(code="400"))
        for text in (
            "message is too long",
            "message caption is too long",
            "message text is empty",
            "can't parse entities: unsupported start tag",
            "BUTTON_DATA_INVALID",
            "BUTTON_URL_INVALID",
            "message to be replied not found",
            "TOPIC_CLOSED",
            "message thread not found",
            "not enough rights to send text messages to the chat",
            "a reason of tomorrow",
        )
    ),
    refused("business window", 400, BAD + "BUSINESS_PEER_USAGE_MISSING", WindowClosed),
    refused("business left", 400, BAD + "BUSINESS_CONNECTION_INVALID", Blocked),
    refused("revoked", 401, "Unauthorized", Misconfigured(code="401")),
    refused("malformed", 404, "Not Found", Misconfigured(code="404")),
    refused(
        "conflict",
        409,
        "Conflict: terminated by other getUpdates request",
        Misconfigured(code="409"),
    ),
    refused("bad gateway", 502, "Bad Gateway", Unreachable),
    Sends(
        "an error in a 200",
        Message.of("hello"),
        reply=ok(
            {"ok": False, "error_code": 403, "description": NO + "bot was blocked by the user"}
        ),
        fails=Blocked,
    ),
    Sends(
        "an unreadable success",
        Message.of("hello"),
        reply=ok({"ok": True, "result": {"message_id": "x"}}),
        fails=OutcomeUnknown,
    ),
    Sends(
        "a success without a date",
        Message.of("hello"),
        reply=ok({"ok": True, "result": {"message_id": 8}}),
        sent="8801700000001:8",
    ),
]

test_sends = connector_test(make, [*CONTENTS, *ALBUMS, *ERRORS], sign=sign)


def test_the_data_of_a_button_fits_and_is_its_own() -> None:
    assert callback_data("ক" * 21) == "ক" * 21
    long = {callback_data(f"{'ক' * 22}{n}") for n in range(50)}
    assert len(long) == 50
    assert all(0 < len(data.encode()) <= 64 for data in long)
    assert callback_data(LONG_ID) == callback_data(LONG_ID)


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://a.example/x", True),
        ("tg://resolve?domain=x", True),
        ("http://localhost/x", False),
        ("mailto:a@b.example", False),
        ("https://[", False),
    ],
)
def test_which_links_a_button_may_have(url: str, taken: bool) -> None:
    assert is_linkable(url) is taken
