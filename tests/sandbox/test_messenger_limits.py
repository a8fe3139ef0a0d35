"""Messenger's and Instagram's limits, each row at the edge or just past it."""

from typing import Any

import pytest

from connectors.sandbox.meta_rules import (
    ATTACHMENT,
    IMAGE,
    INSTAGRAM,
    MESSENGER,
    Rules,
    check_message,
    check_mime,
    check_type,
    size_limit,
    too_large,
)
from connectors.sandbox.refusal import Refusal


def text(words: Any, **more: Any) -> dict[str, Any]:
    return {"text": words, **more}


def chips(count: int = 1, title: str = "হ্যাঁ", payload: str = "yes", **more: Any) -> dict[str, Any]:
    replies = [{"content_type": "text", "title": title, "payload": payload} for _ in range(count)]
    return {"text": "কোনটা?", "quick_replies": replies, **more}


def attached(kind: str, **payload: Any) -> dict[str, Any]:
    return {"attachment": {"type": kind, "payload": payload}}


def postback(title: str = "হ্যাঁ", payload: str = "yes") -> dict[str, Any]:
    return {"type": "postback", "title": title, "payload": payload}


def buttons(*offered: dict[str, Any], words: Any = "কোনটা?") -> dict[str, Any]:
    return attached("template", template_type="button", text=words, buttons=list(offered))


def cards(*elements: dict[str, Any]) -> dict[str, Any]:
    return attached("template", template_type="generic", elements=list(elements))


def card(title: str = "শাড়ি", **more: Any) -> dict[str, Any]:
    return {"title": title, "subtitle": "লাল", **more}


LINK = {"type": "web_url", "title": "দেখুন", "url": "https://x.test/a"}
PHONE = {"type": "phone_number", "title": "কল", "payload": "+8801711000001"}
URL = "https://x.test/a.jpg"

BOTH: list[tuple[str, Any, bool]] = [
    ("no message", None, False),
    ("empty message", {}, False),
    ("empty text", text(""), False),
    ("text of spaces", text("  "), False),
    ("text that is no string", text(5), False),
    ("text and a file", {**attached("image", url=URL), "text": "x"}, False),
    ("unknown key", text("x", caption="x"), False),
    ("13 quick replies", chips(13), True),
    ("14 quick replies", chips(14), False),
    ("no quick replies", chips(0), False),
    ("quick replies alone", {"quick_replies": chips()["quick_replies"]}, False),
    ("quick replies under a picture",
     {**attached("image", url=URL), "quick_replies": chips()["quick_replies"]}, True),
    ("chip title of 20", chips(title="ক" * 20), True),
    ("chip title of 21", chips(title="ক" * 21), False),
    ("chip without a title", chips(title=""), False),
    ("chip payload of 1000", chips(payload="ক" * 1000), True),
    ("chip payload of 1001", chips(payload="x" * 1001), False),
    ("chip without a payload", chips(payload=""), False),
    ("chip of unknown type",
     {"text": "x", "quick_replies": [{"content_type": "location"}]}, False),
    ("chip for her e-mail",
     {"text": "x", "quick_replies": [{"content_type": "user_email"}]}, True),
    ("metadata of 999", text("x", metadata="x" * 999), True),
    ("metadata of 1000", text("x", metadata="x" * 1000), False),
    ("quote", text("x", reply_to={"mid": "m_1"}), True),
    ("quote of nothing", text("x", reply_to={}), False),
    ("one button", buttons(postback()), True),
    ("three buttons", buttons(*[postback()] * 3), True),
    ("four buttons", buttons(*[postback()] * 4), False),
    ("no buttons", buttons(), False),
    ("button text of 640", buttons(postback(), words="ক" * 640), True),
    ("button text of 641", buttons(postback(), words="ক" * 641), False),
    ("no button text", buttons(postback(), words=None), False),
    ("button title of 20", buttons(postback(title="ক" * 20)), True),
    ("button title of 21", buttons(postback(title="ক" * 21)), False),
    ("button payload of 1000", buttons(postback(payload="x" * 1000)), True),
    ("button payload of 1001", buttons(postback(payload="x" * 1001)), False),
    ("link button", buttons(LINK), True),
    ("link button to nowhere", buttons({**LINK, "url": "x.test"}), False),
    ("button of unknown type", buttons({"type": "share", "title": "x"}), False),
    ("ten cards", cards(*[card()] * 10), True),
    ("eleven cards", cards(*[card()] * 11), False),
    ("no cards", cards(), False),
    ("card title of 80", cards(card("ক" * 80)), True),
    ("card title of 81", cards(card("ক" * 81)), False),
    ("card subtitle of 80", cards(card(subtitle="ক" * 80)), True),
    ("card subtitle of 81", cards(card(subtitle="ক" * 81)), False),
    ("card with three buttons", cards(card(buttons=[postback()] * 3)), True),
    ("card with four buttons", cards(card(buttons=[postback()] * 4)), False),
    ("card with a title alone", cards({"title": "x"}), False),
    ("card with a bad picture", cards(card(image_url="x")), False),
    ("unknown template", attached("template", template_type="list"), False),
    ("picture by its link", attached("image", url=URL, is_reusable=True), True),
    ("picture by its id", attached("image", attachment_id="1"), True),
    ("picture by both", attached("image", url=URL, attachment_id="1"), False),
    ("picture by neither", attached("image"), False),
    ("picture with a caption", attached("image", url=URL, caption="x"), False),
    ("file by a bad link", attached("file", url="My Documents/x.doc"), False),
    ("place", attached("location", coordinates={"lat": 1, "long": 2}), False),
    ("type that is a list", {"attachment": {"type": ["image"], "payload": {"url": URL}}}, False),
    ("button type that is an object", buttons({**postback(), "type": {}}), False),
    ("quote that is no object", text("x", reply_to="m_1"), False),
    ("several pictures", {"attachments": [attached("image", url=URL)["attachment"]] * 2}, False),
]  # fmt: skip
OWN: list[tuple[Rules, str, Any, bool]] = [
    (MESSENGER, "text of 2000", text("ক" * 2000), True),
    (MESSENGER, "text of 2001", text("ক" * 2001), False),
    (INSTAGRAM, "text of 1000 bytes", text("x" * 1000), True),
    (INSTAGRAM, "text of 1001 bytes", text("x" * 1001), False),
    (INSTAGRAM, "Bangla of 999 bytes", text("ক" * 333), True),
    (INSTAGRAM, "Bangla of 1002 bytes", text("ক" * 334), False),
    (INSTAGRAM, "emoji of 1000 bytes", text("😀" * 250), True),
    (INSTAGRAM, "emoji of 1004 bytes", text("😀" * 251), False),
    (MESSENGER, "call button", buttons(PHONE), True),
    (MESSENGER, "call button without a plus", buttons({**PHONE, "payload": "01711"}), False),
    (INSTAGRAM, "call button", buttons(PHONE), False),
    (MESSENGER, "heart", {"attachment": {"type": "like_heart"}}, False),
    (INSTAGRAM, "heart", {"attachment": {"type": "like_heart"}}, True),
    (MESSENGER, "post", attached("MEDIA_SHARE", id="1"), False),
    (INSTAGRAM, "post", attached("MEDIA_SHARE", id="1"), True),
]
TABLE = [(rules, *row) for rules in (MESSENGER, INSTAGRAM) for row in BOTH] + OWN


def code_of(check: Any, *given: Any) -> int | None:
    try:
        check(*given)
    except Refusal as refusal:
        return refusal.code
    return None


@pytest.mark.parametrize(
    ("rules", "name", "message", "passed"),
    TABLE,
    ids=[f"{'fb' if row[0] is MESSENGER else 'ig'}-{row[1]}" for row in TABLE],
)
def test_limit(rules: Rules, name: str, message: Any, passed: bool) -> None:
    assert code_of(check_message, message, rules) == (None if passed else 100)


DAY = 86_400.0
TAGGED = {"messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT"}


@pytest.mark.parametrize(
    ("rules", "body", "life"),
    [
        (MESSENGER, {"messaging_type": "RESPONSE"}, DAY),
        (MESSENGER, {"messaging_type": "UPDATE"}, DAY),
        (MESSENGER, TAGGED, 7 * DAY),
        (MESSENGER, {}, None),
        (MESSENGER, {"messaging_type": "reply"}, None),
        (MESSENGER, {"messaging_type": "MESSAGE_TAG"}, None),
        (MESSENGER, {**TAGGED, "messaging_type": "RESPONSE"}, None),
        (MESSENGER, {**TAGGED, "tag": "ACCOUNT_UPDATE"}, None),
        (MESSENGER, {**TAGGED, "tag": "CONFIRMED_EVENT_UPDATE"}, None),
        (MESSENGER, {**TAGGED, "tag": "POST_PURCHASE_UPDATE"}, None),
        (MESSENGER, {**TAGGED, "tag": "NON_PROMOTIONAL_SUBSCRIPTION"}, None),
        (INSTAGRAM, {}, DAY),
        (INSTAGRAM, {"messaging_type": "RESPONSE"}, DAY),
        (INSTAGRAM, TAGGED, 7 * DAY),
        (INSTAGRAM, {"tag": "HUMAN_AGENT"}, 7 * DAY),
        (INSTAGRAM, {**TAGGED, "tag": "ACCOUNT_UPDATE"}, None),
    ],
)
def test_types_and_tags(rules: Rules, body: dict[str, Any], life: float | None) -> None:
    if life is None:
        with pytest.raises(Refusal) as caught:
            check_type(body, rules, may_tag=True)
        assert caught.value.code == 100
    else:
        assert check_type(body, rules, may_tag=True) == life


def test_human_agents_need_the_review() -> None:
    with pytest.raises(Refusal) as caught:
        check_type(TAGGED, MESSENGER, may_tag=False)
    assert (caught.value.code, caught.value.subcode) == (10, None)


@pytest.mark.parametrize(
    ("rules", "kind", "mime", "passed"),
    [
        (MESSENGER, "image", "image/png", True),
        (MESSENGER, "image", "image/gif", True),
        (MESSENGER, "image", "text/html", False),
        (MESSENGER, "audio", "audio/mpeg", True),
        (MESSENGER, "audio", "video/mp4", False),
        (MESSENGER, "video", "video/mp4; codecs=avc1", True),
        (MESSENGER, "file", "application/pdf", True),
        (INSTAGRAM, "image", "image/jpeg", True),
        (INSTAGRAM, "image", "image/gif", False),
        (INSTAGRAM, "image", "image/webp", False),
        (INSTAGRAM, "audio", "audio/mp4", True),
        (INSTAGRAM, "audio", "audio/mpeg", False),
        (INSTAGRAM, "audio", "audio/ogg; codecs=opus", False),
        (INSTAGRAM, "video", "video/quicktime", True),
        (INSTAGRAM, "video", "video/3gpp", False),
        (INSTAGRAM, "file", "application/pdf", True),
    ],
)
def test_file_types(rules: Rules, kind: str, mime: str, passed: bool) -> None:
    assert code_of(check_mime, kind, mime, rules) == (None if passed else 100)


def test_file_sizes() -> None:
    assert [size_limit(kind) for kind in ("image", "audio", "video", "file")] == [
        IMAGE, ATTACHMENT, ATTACHMENT, ATTACHMENT,
    ]  # fmt: skip
    assert (IMAGE, ATTACHMENT) == (8 * 2**20, 25 * 2**20)
    assert too_large("image").code == 36000
    assert (too_large("file").code, too_large("file").subcode) == (100, 2018109)
