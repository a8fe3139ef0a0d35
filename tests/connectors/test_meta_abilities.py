"""The calls of Messenger's and Instagram's connectors beside sending."""

import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from connectors.instagram import Instagram
from connectors.messenger import Messenger
from hub.clock import SECOND
from hub.connector import (
    Connector,
    Expires,
    FetchesMedia,
    Http,
    Identifies,
    Introduces,
    MarksRead,
    Reconciles,
    Types,
)
from hub.errors import (
    MediaFailed,
    Misconfigured,
    OutcomeUnknown,
    Refused,
    SendFailed,
)
from hub.message import Media, Message, Profile
from tests.connectors.kit import Sends, ok, status
from tests.connectors.meta_words import (
    ACCOUNT,
    APP_SECRET,
    CDN,
    PAGE,
    PSID,
    TOKEN,
    make_account,
    make_page,
)
from tests.connectors.provider import Provider, Reply, running

Make = Callable[..., Connector]
BOTH = pytest.mark.parametrize("make", [make_page, make_account], ids=["page", "account"])


def offline(make: Make, **more: Any) -> Any:
    return make(None, "http://127.0.0.1:9", **more)


@BOTH
def test_abilities(make: Make) -> None:
    connector = offline(make)
    for ability in (FetchesMedia, Types, MarksRead, Identifies, Introduces, Expires):
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


@pytest.mark.parametrize(
    ("make", "fields", "facts", "profile"),
    [
        (
            make_page,
            "first_name,last_name",
            {"first_name": "রিমা", "last_name": "আক্তার", "id": PSID},
            Profile(name="রিমা আক্তার"),
        ),
        (make_page, "first_name,last_name", {"id": PSID}, Profile()),
        (
            make_account,
            "name,username",
            {"name": None, "username": "rima.a"},
            Profile(username="rima.a"),
        ),
    ],
)
async def test_who_a_customer_is(make: Make, fields: str, facts: Any, profile: Profile) -> None:
    provider, found = await calling(make, lambda c: c.look_up_profile(PSID), ok(facts))
    assert found == profile
    [request] = provider.requests
    assert (request.path, request.query) == (f"/v25.0/{PSID}", f"fields={fields}")


@BOTH
@pytest.mark.parametrize(
    ("code", "expected"), [(230, Refused), (200, Refused), (100, Refused), (190, Misconfigured)]
)
async def test_who_does_not_let_herself_be_known(make: Make, code: int, expected: Any) -> None:
    answer = status(403, {"error": {"code": code}})
    _, error = await calling(make, lambda c: c.look_up_profile(PSID), answer)
    assert type(error) is expected


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
