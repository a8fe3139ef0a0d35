"""What Messenger and Instagram are sent, and what their answers mean."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from connectors._meta_errors import CODES
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
    WindowClosed,
)
from hub.message import Button, ContactCard, Media, Message, Place, TemplateUse
from tests.connectors.kit import CORRELATION, Case, Sends, connector_test, ok, post, status
from tests.connectors.meta_words import IGSID, PAGE, PSID, TOKEN, make_account, make_page, sign
from tests.connectors.provider import Reply

PATH = f"/v25.0/{PAGE}/messages"
ACCEPTED = ok({"recipient_id": PSID, "message_id": "m_out1"})
HEADERS = {"Authorization": f"Bearer {TOKEN}", "User-Agent": "onethread"}
LINK = "https://hub.example/media/f.jpg"
YES, NO = Button(id="yes", title="হ্যাঁ"), Button(id="no", title="না")
SHOP = Button(id="shop", title="Shop", url="https://shop.example")
CALL = Button(id="call", title="Call", url="tel:+8801700000000")
SIZES = tuple(Button(id=f"s{n}", title=f"Size {n}") for n in range(13))
CHIPS = [{"content_type": "text", "title": f"Size {n}", "payload": f"s{n}"} for n in range(13)]
TAPS = [
    {"type": "postback", "title": "হ্যাঁ", "payload": "yes"},
    {"type": "web_url", "title": "Shop", "url": "https://shop.example"},
]


def text(*buttons: Button, body: str = "কোনটা?") -> Message:
    return Message.of(body, buttons=buttons)


def file(kind: Any, words: str = "", **more: Any) -> Message:
    known = {"source_url": LINK} | more
    return Message.of(words, media=(Media(kind=kind, **known),))


def template(body: str, *buttons: Any) -> dict[str, Any]:
    payload = {"template_type": "button", "text": body, "buttons": list(buttons)}
    return {"attachment": {"type": "template", "payload": payload}}


def attachment(kind: str, **payload: Any) -> dict[str, Any]:
    return {"attachment": {"type": kind, "payload": payload}}


CONTENTS: list[tuple[str, Message, dict[str, Any]]] = [
    ("text", Message.of("আমি ভালো 🙂"), {"text": "আমি ভালো 🙂"}),
    ("buttons", text(YES, SHOP), template("কোনটা?", *TAPS)),
    ("quick replies", text(*SIZES), {"text": "কোনটা?", "quick_replies": CHIPS}),
    (
        "buttons below a long text",
        text(SIZES[0], body="দ" * 641),
        {"text": "দ" * 641, "quick_replies": CHIPS[:1]},
    ),
    ("image", file("image"), attachment("image", url=LINK)),
    ("video", file("video"), attachment("video", url=LINK)),
    ("audio", file("audio"), attachment("audio", url=LINK)),
    ("voice", file("voice"), attachment("audio", url=LINK)),
    ("file", file("file", name="bill.pdf"), attachment("file", url=LINK)),
    (
        "attachment uploaded before",
        file("image", source_url="", provider_id="77"),
        attachment("image", attachment_id="77"),
    ),
    (
        "image with quick replies",
        file("image").model_copy(update={"buttons": SIZES[:1]}),
        attachment("image", url=LINK) | {"quick_replies": CHIPS[:1]},
    ),
]

REFUSED: list[tuple[str, Message, type[SendFailed]]] = [
    ("nothing", Message.of("  "), Refused),
    ("image with text", file("image", "look"), Refused),
    ("two images", Message.of(media=(Media(kind="image", source_url=LINK),) * 2), Refused),
    ("image without a link", file("image", source_url=""), MediaFailed),
    ("sticker", file("sticker"), Refused),
    ("fourteen chips", text(*SIZES, YES), Refused),
    ("links among four buttons", text(YES, NO, SHOP, SIZES[0]), Refused),
    ("a link below a long text", text(SHOP, body="x" * 641), Refused),
    ("a number that is none", text(CALL.model_copy(update={"url": "tel:999"})), Refused),
    ("place", Message.of(place=Place(latitude=1, longitude=2)), Refused),
    ("contact", Message.of(contacts=(ContactCard(name="x"),)), Refused),
    ("template", Message.of(template=TemplateUse(name="t", language="bn")), Refused),
]


def error(code: Any, subcode: Any = None, http: int = 400, **more: Any) -> Reply:
    detail = {"message": f"Malformed {TOKEN}", "type": "OAuthException", "code": code, **more}
    if subcode is not None:
        detail["error_subcode"] = subcode
    return status(http, {"error": detail})


USAGE = '{"1":[{"type":"messenger","call_count":100,"estimated_time_to_regain_access":3}]}'

ANSWERS: list[tuple[str, Reply, SendFailed | type[SendFailed]]] = [
    *(
        (f"{code}/{subcode}", error(code, subcode), expected)
        for code, subcode, expected in (
            (10, 2018278, WindowClosed),
            (10, 2018065, WindowClosed),
            (10, 2534022, WindowClosed),
            (551, None, Blocked),
            (551, 1545041, Blocked),
            (200, 1545041, Blocked),
            (100, 2018001, NoSuchRecipient),
            (100, 2534014, NoSuchRecipient),
            (100, 2534001, NoSuchRecipient),
            (2534001, None, NoSuchRecipient),
            (2, None, Unreachable),
            (2, 1545133, Unreachable),
            (1, None, Unreachable),
            (1200, None, Unreachable),
            (1, 1357046, OutcomeUnknown),
            (10, 1893063, Misconfigured),
            (100, 2534029, Misconfigured),
            (368, None, Misconfigured),
            (200, 2534041, Misconfigured),
            (4, None, Busy),
            (4, 2018022, Busy),
            (17, None, Busy),
            (32, None, Busy),
            (613, None, Busy),
            (613, 2534040, Busy),
            (80006, None, Busy),
            (4, 2018354, Refused),
            (9, 2018352, Refused),
            (190, None, Misconfigured),
            (190, 460, Misconfigured),
            (190, 463, Misconfigured),
            (190, 467, Misconfigured),
            (102, None, Misconfigured),
            (10, None, Misconfigured),
            (3, None, Misconfigured),
            (200, None, Misconfigured),
            (230, None, Misconfigured),
            (299, None, Misconfigured),
            (100, None, Refused),
            (100, 2018109, MediaFailed),
            (100, 2018047, MediaFailed),
            (100, 2018007, MediaFailed),
            (36000, None, MediaFailed),
            (100, 2534025, Refused),
            (2022, None, Misconfigured),
            (10904, None, Misconfigured),
            (424242, None, Refused),
        )
    ),
    ("an error with HTTP 200", error(10, 2018278, 200), WindowClosed),
    ("an unknown error with HTTP 200", error(424242, None, 200), Refused),
    ("a passing error with HTTP 200", error(424242, None, 200, is_transient=True), Unreachable),
    ("codes as text", error("10", "2018278"), WindowClosed),
    ("an error that is none", ok({"error": "sorry"}), Refused),
    ("a time to wait", status(429, retry_after=3), Busy(retry_in=3)),
    (
        "a time to wait in the usage",
        replace(error(613), headers={"X-Business-Use-Case-Usage": USAGE}),
        Busy(retry_in=180),
    ),
    (
        "a usage that cannot be read",
        replace(error(613), headers={"X-Business-Use-Case-Usage": '{"1":[null],"2":7}'}),
        Busy(),
    ),
    ("an id that is none", ok({"message_id": None}), OutcomeUnknown),
]


def sends(
    path: str, to: str, named: str, said: Message, message: dict[str, Any], **more: Any
) -> Sends:
    reply_to = more.pop("reply_to", "")
    body = {"recipient": {"id": to}, "message": message, **more}
    if reply_to:
        body["reply_to"] = {"mid": reply_to}
    expect = post(path, json=body, headers=HEADERS)
    return Sends(named, said, expect, ACCEPTED, "m_out1", to=to, reply_to=reply_to)


def to_page(named: str, said: Message, message: dict[str, Any], **more: Any) -> Sends:
    message = message | {"metadata": CORRELATION}
    return sends(PATH, PSID, named, said, message, messaging_type="RESPONSE", **more)


to_account = partial(sends, "/v25.0/me/messages", IGSID)
NUMBER = {"type": "phone_number", "title": "Call", "payload": "+8801700000000"}
PAGE_CASES: list[Case] = [
    *(to_page(*case) for case in CONTENTS),
    to_page("a quote", Message.of("this"), {"text": "this"}, reply_to="m_in1"),
    to_page("a number to dial", text(CALL), template("কোনটা?", NUMBER)),
    *(Sends(named, Message.of("hi"), reply=reply, fails=e) for named, reply, e in ANSWERS),
]
ACCOUNT_CASES: list[Case] = [
    *(to_account(*case, messaging_type="RESPONSE") for case in CONTENTS),
]
OWN_LOGIN_CASES: list[Case] = [
    to_account("text", Message.of("hi"), {"text": "hi"}),
    to_account("a quote", Message.of("this"), {"text": "this"}, reply_to="igm.1"),
]

test_page = connector_test(make_page, PAGE_CASES, sign=sign)
test_account = connector_test(make_account, ACCOUNT_CASES, sign=sign)
test_own_login = connector_test(
    partial(make_account, login="instagram"), OWN_LOGIN_CASES, sign=sign
)


def test_every_code_of_the_table_was_tried() -> None:
    tried = {named for named, _, _ in ANSWERS}
    pairs = {f"{key[0]}/{key[1]}" if isinstance(key, tuple) else f"{key}/None" for key in CODES}
    assert pairs <= tried


@pytest.mark.parametrize(
    ("said", "expected"), [(m, e) for _, m, e in REFUSED], ids=[n for n, _, _ in REFUSED]
)
@pytest.mark.parametrize("make", [make_page, make_account], ids=["page", "account"])
async def test_what_does_not_fit_is_not_sent(make: Any, said: Message, expected: Any) -> None:
    connector = make(None, "http://127.0.0.1:9")
    with pytest.raises(expected):
        await connector.send(Sends("", said).outbound())


async def test_instagram_has_no_button_that_dials() -> None:
    account = make_account(None, "http://127.0.0.1:9")  # type: ignore[arg-type]  # makes no call
    with pytest.raises(Refused):
        await account.send(Sends("", text(CALL)).outbound())
