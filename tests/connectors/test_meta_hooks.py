"""Hooks of Messenger and Instagram: whose they are, whether they are genuine, and words in them."""

import hashlib
import hmac
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.whatsapp import WhatsApp
from hub.connector import (
    Connector,
    Hook,
)
from hub.errors import (
    HookRejected,
)
from hub.message import Inbound, Message
from hub.signal import OptOut, Reaction, Unreadable
from tests.connectors import whatsapp_number
from tests.connectors.kit import HOOK_URL, RECEIVED_AT, json_hook
from tests.connectors.meta_words import (
    ACCOUNT,
    APP_SECRET,
    OTHER_SECRET,
    TOKEN,
    VERIFY_TOKEN,
    make_account,
    make_page,
)

Make = Callable[..., Connector]
BOTH = pytest.mark.parametrize("make", [make_page, make_account], ids=["page", "account"])

VECTOR = (
    b'{"object":"page","entry":[{"id":"1","time":1795176000000,"messaging":[{"sender":{"id":"2"},'
    b'"recipient":{"id":"1"},"timestamp":1795176000000,"message":{"mid":"m_1","text":'
    b'"\\u09b9\\u09cd\\u09af\\u09be\\u09b2\\u09cb \\ud83d\\ude00"}}]}]}'
)
DIGEST = "ff84399a7405138889243f60539e0f38b7b4c5cab375cc92d76fd90e0605b8d1"


def offline(make: Make, **more: Any) -> Any:
    return make(None, "http://127.0.0.1:9", **more)


def asked(query: str) -> Hook:
    return Hook("GET", f"{HOOK_URL}?{query}", query, {}, b"", RECEIVED_AT)


# Verification


@BOTH
def test_the_challenge_is_echoed(make: Make) -> None:
    connector = offline(make)
    hook = asked(f"hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=11%3Cb%3E58")
    connector.check(hook)
    assert connector.parse(hook) == []
    answer = connector.answer(hook)
    assert (answer.status, answer.body, answer.content_type) == (200, b"11<b>58", "text/plain")


@BOTH
@pytest.mark.parametrize(
    "query",
    [
        "hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1",
        f"hub.mode=unsubscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1",
        f"hub_mode=subscribe&hub_verify_token={VERIFY_TOKEN}&hub_challenge=1",
    ],
)
def test_a_wrong_challenge_is_rejected(make: Make, query: str) -> None:
    with pytest.raises(HookRejected):
        offline(make).check(asked(query))


def test_the_signature_is_over_the_bytes_of_the_wire() -> None:
    page = offline(make_page, app_secret="demo-app-secret-1", page_id="1")
    hook = Hook("POST", HOOK_URL, "", {"x-hub-signature-256": f"sha256={DIGEST}"}, VECTOR, 1)
    page.check(hook)
    [said] = page.parse(hook)
    assert isinstance(said, Inbound)
    assert said.message == Message.of("হ্যালো 😀")
    written = VECTOR.decode("ascii").encode().decode("unicode_escape")
    decoded = written.encode("utf-16", "surrogatepass").decode("utf-16").encode()
    assert decoded != VECTOR
    with pytest.raises(HookRejected):
        page.check(Hook("POST", HOOK_URL, "", dict(hook.headers), decoded, 1))


@BOTH
def test_the_old_signature_does_not_count(make: Make) -> None:
    old = hmac.new(APP_SECRET.encode(), b"{}", hashlib.sha1).hexdigest()
    hook = Hook("POST", HOOK_URL, "", {"x-hub-signature": f"sha1={old}"}, b"{}", 1)
    with pytest.raises(HookRejected):
        offline(make).check(hook)


def test_one_secret_or_several() -> None:
    one = offline(make_account, app_secret=APP_SECRET)
    assert one.secrets() == (TOKEN, APP_SECRET, VERIFY_TOKEN)
    two = offline(make_account)
    assert two.secrets() == (TOKEN, APP_SECRET, OTHER_SECRET, VERIFY_TOKEN)
    for wrong in ("", (), ("",)):
        with pytest.raises(ValidationError):
            offline(make_account, app_secret=wrong)


# Whose hook it is


@pytest.mark.parametrize(
    ("product", "kind"),
    [
        ("page", "messenger"),
        ("instagram", "instagram"),
        ("whatsapp_business_account", "whatsapp"),
        ("user", None),
        ("", None),
        (7, None),
    ],
)
@pytest.mark.parametrize(
    "make", [make_page, make_account, whatsapp_number.make], ids=["page", "account", "number"]
)
def test_the_kind_of_a_hook(make: Make, product: Any, kind: str | None) -> None:
    connector = offline(make)
    assert connector.app == "meta"
    hook = json_hook({"object": product, "entry": [{"id": "1"}]})
    assert connector.kind_of(hook) == (kind or connector.channel.kind)


@BOTH
def test_a_hook_that_tells_no_kind_is_its_channels_own(make: Make) -> None:
    connector = offline(make)
    for body in (b"", b"[]", b"{}", b"\xff", b'{"entry":[1]}'):
        hook = Hook("POST", HOOK_URL, "", {}, body, 1)
        assert connector.kind_of(hook) == connector.channel.kind
    assert connector.kind_of(asked("hub.mode=subscribe")) == connector.channel.kind


def test_a_whatsapp_channel_tells_whose_entry_it_cannot_take() -> None:
    number = offline(whatsapp_number.make)
    assert isinstance(number, WhatsApp)
    entry: Any = {"id": ACCOUNT, "messaging": [{"private": True}]}
    hook = json_hook({"object": "instagram", "entry": [entry, {"id": "x y"}, 7]})
    nameless = "an entry of no product that the hub reads"
    assert number.parse(hook) == [
        Unreadable(ACCOUNT, f"no channel has the Instagram account {ACCOUNT}", entry),
        Unreadable("", nameless, {"id": "x y"}),
        Unreadable("", nameless, 7),
    ]


# Words of their own


@BOTH
@pytest.mark.parametrize(
    ("said", "wish"),
    [
        (" Stop ", True),
        ("বন্ধ", True),
        ("UNSUBSCRIBE", True),
        ("Subscribe", False),
        ("start", None),
        ("please stop", None),
        ("", None),
    ],
)
def test_the_words_that_stop_marketing(make: Make, said: str, wish: bool | None) -> None:
    connector = offline(make)
    message = {"mid": "m_1", "text": said}
    item = {"sender": {"id": "77"}, "recipient": {"id": "1"}, "message": message}
    hook = json_hook({"entry": [{"id": "1", "messaging": [item]}]})
    heard, *wishes = connector.parse(hook)
    assert heard.message.text == said
    marketing = OptOut("1", "77", RECEIVED_AT, bool(wish), "marketing")
    assert wishes == ([] if wish is None else [marketing])


@BOTH
def test_words_of_the_settings(make: Make) -> None:
    connector = offline(make, stop_words=("থামুন",), start_words=())
    message = {"mid": "m_1", "text": "stop"}
    item: Any = {"sender": {"id": "77"}, "recipient": {"id": "1"}, "message": message}
    hooks = [json_hook({"entry": [{"id": "1", "messaging": [item]}]})]
    item = {**item, "message": {**message, "text": "থামুন"}}
    hooks.append(json_hook({"entry": [{"id": "1", "messaging": [item]}]}))
    assert [len(connector.parse(hook)) for hook in hooks] == [1, 2]


@pytest.mark.parametrize(
    ("name", "emoji"),
    [
        ("smile", "😆"),
        ("laugh", "😂"),
        ("angry", "😠"),
        ("sad", "😢"),
        ("wow", "😮"),
        ("love", "❤️"),
        ("like", "👍"),
        ("dislike", "👎"),
        ("brand_new", "❔"),
    ],
)
def test_a_reaction_by_its_name_alone(name: str, emoji: str) -> None:
    reaction = {"mid": "m_1", "action": "react", "reaction": name}
    item = {"sender": {"id": "77"}, "recipient": {"id": "1"}, "reaction": reaction}
    hook = json_hook({"object": "page", "entry": [{"id": "1", "messaging": [item]}]})
    assert offline(make_page).parse(hook) == [Reaction("1", "77", RECEIVED_AT, "m_1", emoji)]
