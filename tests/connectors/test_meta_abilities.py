"""Verification of Messenger and Instagram, whose hook it is, and the calls beside sending."""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from connectors.instagram import Instagram
from connectors.messenger import Messenger
from connectors.whatsapp import WhatsApp
from hub.clock import SECOND
from hub.connector import (
    Connector,
    Expires,
    FetchesMedia,
    Hook,
    Http,
    Identifies,
    MarksRead,
    Reconciles,
    Types,
)
from hub.errors import HookRejected, MediaFailed, Misconfigured, OutcomeUnknown, SendFailed
from hub.message import Inbound, Media, Message
from hub.signal import OptOut, Unreadable
from tests.connectors import whatsapp_number
from tests.connectors.kit import HOOK_URL, RECEIVED_AT, Sends, json_hook, ok, status
from tests.connectors.meta_words import (
    ACCOUNT,
    APP_SECRET,
    CDN,
    OTHER_SECRET,
    PAGE,
    PSID,
    TOKEN,
    VERIFY_TOKEN,
    make_account,
    make_page,
)
from tests.connectors.provider import Provider, Reply, running

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


# Calls


@BOTH
def test_abilities(make: Make) -> None:
    connector = offline(make)
    for ability in (FetchesMedia, Types, MarksRead, Identifies, Expires):
        assert isinstance(connector, ability)
    assert not isinstance(connector, Reconciles)


async def calling(
    make: Make, act: Callable[[Any], Awaitable[Any]], *replies: Reply, **more: Any
) -> tuple[Provider, Any]:
    """What `act` gives, or the error it raises, and what the provider was asked."""
    async with running(*replies) as provider, aiohttp.ClientSession() as session:
        connector = make(Http(session), provider.url, **more)
        try:
            return provider, await act(connector)
        except SendFailed as failure:
            return provider, failure


OUT = Sends("", Message.of(""), to=PSID, reply_to="m_in1").outbound()


@pytest.mark.parametrize(
    ("make", "node"), [(make_page, PAGE), (make_account, "me")], ids=["page", "account"]
)
@pytest.mark.parametrize(
    ("act", "action"),
    [
        (lambda connector: connector.show_typing(OUT), "typing_on"),
        (lambda connector: connector.mark_read(OUT), "mark_seen"),
    ],
    ids=["typing", "seen"],
)
async def test_an_action_is_a_request_of_its_own(
    make: Make, node: str, act: Any, action: str
) -> None:
    provider, _ = await calling(make, act, ok({"recipient_id": PSID}))
    [request] = provider.requests
    assert (request.method, request.path) == ("POST", f"/v25.0/{node}/messages")
    assert request.json == {"recipient": {"id": PSID}, "sender_action": action}


@BOTH
async def test_a_call_is_proven_where_the_app_demands_it(make: Make) -> None:
    act = lambda connector: connector.mark_read(OUT)  # noqa: E731  # a case's own word
    provider, _ = await calling(make, act, ok({"recipient_id": PSID}), proves=True)
    proof = hmac.new(APP_SECRET.encode(), TOKEN.encode(), hashlib.sha256).hexdigest()
    assert provider.requests[0].query == f"appsecret_proof={proof}"


@BOTH
async def test_a_file_is_fetched_without_the_token(make: Make) -> None:
    secure: Any = make(None, "https://graph.facebook.com")
    url, headers = await secure.media_request(Media(kind="image", source_url=CDN))
    assert (url, headers) == (CDN, {})
    for wrong in ("", "http://scontent.xx.fbcdn.net/1.jpg", "file:///etc/passwd", "/reel/1/"):
        with pytest.raises(MediaFailed):
            await secure.media_request(Media(kind="image", source_url=wrong))


SUBSCRIBED = ok({"data": [{"id": "3", "subscribed_fields": ["messages", "message_reads"]}]})
DEAF = ok({"data": [{"id": "3", "subscribed_fields": ["feed"]}]})
NOT_SUBSCRIBED = ", but its messages are not subscribed to"


def who(connector: Any) -> Any:
    return connector.who_am_i()


@pytest.mark.parametrize(
    ("subscriptions", "told"),
    [
        (SUBSCRIBED, ""),
        (DEAF, NOT_SUBSCRIBED),
        (ok({"data": []}), NOT_SUBSCRIBED),
        (status(403, {"error": {"code": 200}}), ""),
    ],
)
async def test_who_the_page_is(subscriptions: Reply, told: str) -> None:
    facts = ok({"id": PAGE, "name": "দোকান"})
    provider, said = await calling(make_page, who, facts, subscriptions)
    assert said == f"দোকান ({PAGE}){told}"
    assert [request.path for request in provider.requests] == [
        "/v25.0/me",
        f"/v25.0/{PAGE}/subscribed_apps",
    ]


@pytest.mark.parametrize(
    ("login", "facts", "subscriptions", "told"),
    [
        ("facebook", {"instagram_business_account": {"id": ACCOUNT}}, DEAF, "shop"),
        ("facebook", {"instagram_business_account": {"id": ACCOUNT}}, ok({"data": []}), None),
        ("instagram", {"id": "24800000000000001", "user_id": ACCOUNT}, SUBSCRIBED, "shop"),
        ("instagram", {"id": "24800000000000001", "user_id": int(ACCOUNT)}, DEAF, None),
    ],
)
async def test_who_the_account_is(
    login: str, facts: Any, subscriptions: Reply, told: str | None
) -> None:
    known = ok({"name": "shop", "username": "shop"} | facts)
    _, said = await calling(make_account, who, known, subscriptions, login=login)
    assert said == f"shop ({ACCOUNT})" + (NOT_SUBSCRIBED if told is None else "")


@pytest.mark.parametrize(
    ("make", "facts", "more"),
    [
        (make_page, {"id": "1048000000002", "name": "another"}, {}),
        (make_page, {}, {}),
        (make_account, {"id": PAGE, "name": "no Instagram"}, {}),
        (make_account, {"instagram_business_account": {"id": "17841400000000043"}}, {}),
        (make_account, {"user_id": "17841400000000043"}, {"login": "instagram"}),
        (make_account, {"user_id": None, "id": ACCOUNT}, {"login": "instagram"}),
    ],
)
async def test_a_token_of_another_account(make: Make, facts: Any, more: Any) -> None:
    _, error = await calling(make, who, ok(facts or {"x": 1}), **more)
    assert isinstance(error, Misconfigured)


def end(connector: Any) -> Any:
    return connector.expires_at()


@BOTH
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"is_valid": True, "expires_at": 0}, None),
        ({"is_valid": True, "expires_at": 1_800_000_000}, 1_800_000_000 * SECOND),
        ({"expires_at": 0, "data_access_expires_at": 1_799_000_000}, 1_799_000_000 * SECOND),
        ({"expires_at": "soon"}, None),
    ],
)
async def test_when_a_pages_token_ends(make: Make, data: Any, expected: int | None) -> None:
    provider, at = await calling(make, end, ok({"data": data}), app_id="310000000000001")
    assert at == expected
    [request] = provider.requests
    assert (request.path, request.query) == ("/v25.0/debug_token", f"input_token={TOKEN}")
    assert request.headers["authorization"] == f"Bearer 310000000000001|{APP_SECRET}"


async def test_a_page_asks_by_its_own_token_where_the_app_is_not_known() -> None:
    provider, _ = await calling(make_page, end, ok({"data": {"is_valid": True}}))
    assert provider.requests[0].headers["authorization"] == f"Bearer {TOKEN}"


async def test_a_dead_token() -> None:
    _, error = await calling(make_page, end, ok({"data": {"is_valid": False}}))
    assert isinstance(error, Misconfigured)


async def test_an_instagram_token_is_prolonged() -> None:
    async def act(account: Any) -> Any:
        at = await account.expires_at()
        await account.mark_read(OUT)
        return at

    new = ok({"access_token": "IGAA-new", "token_type": "bearer", "expires_in": 5_184_000})
    before = time.time_ns() // 1000
    provider, at = await calling(make_account, act, new, ok({"x": 1}), login="instagram")
    assert 0 <= at - before - 5_184_000 * SECOND < 60 * SECOND
    first, second = provider.requests
    assert (first.path, first.query) == ("/refresh_access_token", "grant_type=ig_refresh_token")
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert second.headers["authorization"] == "Bearer IGAA-new"


@pytest.mark.parametrize("answer", [{"x": 1}, {"expires_in": 0}, {"expires_in": "60"}])
async def test_a_refresh_that_tells_no_end(answer: Any) -> None:
    _, error = await calling(make_account, end, ok(answer), login="instagram")
    assert isinstance(error, OutcomeUnknown)


def test_where_the_api_is() -> None:
    assert Messenger.Settings.model_fields["api_base"].default == "https://graph.facebook.com"
    hosts = {"facebook": "https://graph.facebook.com", "instagram": "https://graph.instagram.com"}
    for login, host in hosts.items():
        account = make_account(None, "", login=login)  # type: ignore[arg-type]  # makes no call
        assert isinstance(account, Instagram)
        assert account.root == f"{host}/v25.0"
