"""WhatsApp's verification and the calls beside sending."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from connectors.whatsapp import WhatsApp
from hub.connector import (
    Expires,
    FetchesMedia,
    Hook,
    Http,
    Identifies,
    ListedTemplate,
    MarksRead,
    Reconciles,
    SyncsTemplates,
    Types,
)
from hub.errors import (
    HookRejected,
    MediaFailed,
    Misconfigured,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.message import (
    Media,
    Message,
)
from tests.connectors.kit import (
    HOOK_URL,
    RECEIVED_AT,
    Expected,
    get,
    ok,
    post,
    status,
)
from tests.connectors.provider import Reply, Request, running
from tests.connectors.whatsapp_calls import HEADERS, PATH, error, outbound, with_number
from tests.connectors.whatsapp_number import NUMBER, TOKEN, VERIFY_TOKEN, make, sign


def asked(query: str) -> Hook:
    return Hook("GET", f"{HOOK_URL}?{query}", query, {}, b"", RECEIVED_AT)


@pytest.fixture
def number() -> Any:
    return make(Http(None), "http://127.0.0.1:9")  # type: ignore[arg-type]  # makes no call


def test_the_challenge_is_echoed(number: WhatsApp) -> None:
    hook = asked(f"hub.mode=subscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=11%3Cb%3E58")
    number.check(hook)
    assert number.parse(hook) == []
    answer = number.answer(hook)
    assert (answer.status, answer.body, answer.content_type) == (200, b"11<b>58", "text/plain")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=%C3%BC&hub.challenge=1",
        "hub.mode=subscribe&hub.verify_token=%ED%A0%80%FF&hub.challenge=1",
        f"hub.mode=unsubscribe&hub.verify_token={VERIFY_TOKEN}&hub.challenge=1",
        f"hub.verify_token={VERIFY_TOKEN}&hub.challenge=1",
    ],
)
def test_a_wrong_challenge_is_rejected(number: WhatsApp, query: str) -> None:
    with pytest.raises(HookRejected):
        number.check(asked(query))


def test_the_prefix_of_the_signature_is_demanded(number: WhatsApp) -> None:
    hook = sign(Hook("POST", HOOK_URL, "", {}, b"{}", RECEIVED_AT))
    number.check(hook)
    bare = hook.headers["x-hub-signature-256"].removeprefix("sha256=")
    for wrong in (bare, f"sha1={bare}", f"sha256={bare.upper()}", f" sha256={bare}"):
        with pytest.raises(HookRejected):
            number.check(Hook("POST", HOOK_URL, "", {"x-hub-signature-256": wrong}, b"{}", 1))


def test_a_signed_body_of_another_method_is_rejected(number: WhatsApp) -> None:
    hook = sign(Hook("PUT", HOOK_URL, "", {}, b"{}", RECEIVED_AT))
    with pytest.raises(HookRejected):
        number.check(hook)


# Beside sending


def test_abilities(number: WhatsApp) -> None:
    assert isinstance(number, FetchesMedia)
    assert isinstance(number, Types)
    assert isinstance(number, Identifies)
    assert isinstance(number, MarksRead)
    assert isinstance(number, Expires)
    assert isinstance(number, SyncsTemplates)
    assert not isinstance(number, Reconciles)


async def compared(
    reply: Reply, act: Callable[[WhatsApp], Awaitable[Any]], wanted: Expected
) -> Any:
    provider, result = await with_number(reply, act)
    assert len(provider.requests) == 1
    wanted.compare(provider.requests[0])
    return result


async def test_typing_marks_the_message_read() -> None:
    out = outbound(Message.of(""), reply_to="wamid.in1")
    wanted = {
        "messaging_product": "whatsapp",
        "status": "read",
        "message_id": "wamid.in1",
        "typing_indicator": {"type": "text"},
    }
    done = ok({"success": True})
    assert (
        await compared(done, lambda number: number.show_typing(out), post(PATH, json=wanted))
        is None
    )


async def test_typing_without_a_message_calls_nobody() -> None:
    out = outbound(Message.of(""))
    provider, _ = await with_number(ok(), lambda number: number.show_typing(out))
    assert provider.requests == []


INBOUND = Media(kind="image", provider_id="27/54?x", source_url="https://old.example")


async def test_media_is_asked_for_anew() -> None:
    url = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1"
    wanted = get("/v25.0/27%2F54%3Fx", query=f"phone_number_id={NUMBER}", headers=HEADERS)
    found = await compared(
        ok({"url": url, "mime_type": "image/jpeg", "id": "1"}),
        lambda number: number.media_request(INBOUND),
        wanted,
    )
    assert found == (url, HEADERS)


@pytest.mark.parametrize(
    ("reply", "failure"),
    [
        (ok({"id": "1"}), MediaFailed),
        (ok({"url": "ftp://x.example/1"}), MediaFailed),
        (ok({"url": 7}), MediaFailed),
        (error(100, 400, error_subcode=33), MediaFailed),
        (error(100, 400), MediaFailed),
        (error(131009, 400), Refused),
        (error(190, 401), Misconfigured),
        (status(500), Unreachable),
    ],
)
async def test_media_that_cannot_be_had(reply: Reply, failure: type[SendFailed]) -> None:
    _, raised = await with_number(reply, lambda number: number.media_request(INBOUND))
    assert type(raised) is failure
    assert TOKEN not in str(raised)


async def test_media_without_an_id_is_not_asked_for() -> None:
    media = Media(kind="image", source_url="https://evil.example")
    provider, raised = await with_number(ok(), lambda number: number.media_request(media))
    assert isinstance(raised, MediaFailed)
    assert provider.requests == []


FIELDS = "display_phone_number,verified_name"
KNOWN = {"display_phone_number": "+1 555-0001", "verified_name": "দোকান", "id": NUMBER}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "+1 555-0001 দোকান"),
        ({"status": "CONNECTED", "quality_rating": None}, "+1 555-0001 দোকান"),
        (
            {
                "quality_rating": "YELLOW",
                "whatsapp_business_manager_messaging_limit": "TIER_2K",
                "status": "FLAGGED",
            },
            "+1 555-0001 দোকান, quality yellow, may write first to 2K customers a day,"
            " status flagged",
        ),
        (
            {"whatsapp_business_manager_messaging_limit": "TIER_UNLIMITED"},
            "+1 555-0001 দোকান, may write first to any number of customers a day",
        ),
    ],
)
async def test_who_am_i(facts: dict[str, Any], words: str) -> None:
    more = ",quality_rating,status,whatsapp_business_manager_messaging_limit"
    wanted = get(f"/v25.0/{NUMBER}", query=f"fields={FIELDS}{more}")
    assert await compared(ok(KNOWN | facts), WhatsApp.who_am_i, wanted) == words


async def test_who_am_i_where_the_account_has_not_all_fields() -> None:
    async with running(error(100), ok(KNOWN)) as provider, aiohttp.ClientSession() as session:
        assert await make(Http(session), provider.url).who_am_i() == "+1 555-0001 দোকান"  # type: ignore[attr-defined]
        assert [request.query for request in provider.requests][1:] == [f"fields={FIELDS}"]


async def test_marking_a_message_read() -> None:
    out = outbound(Message.of(""), reply_to="wamid.in1")
    wanted = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.in1"}
    done = ok({"success": True})
    await compared(done, lambda number: number.mark_read(out), post(PATH, json=wanted))


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ({"is_valid": True, "expires_at": 0, "data_access_expires_at": 0}, None),
        ({"is_valid": True}, None),
        ({"expires_at": 1_795_200_000, "data_access_expires_at": 0}, 1_795_200_000_000_000),
        (
            {"expires_at": 1_795_200_000, "data_access_expires_at": 1_795_100_000},
            1_795_100_000_000_000,
        ),
        ({"expires_at": "soon"}, None),
    ],
)
async def test_when_the_token_ends(data: dict[str, Any], end: int | None) -> None:
    wanted = get("/v25.0/debug_token", query=f"input_token={TOKEN}", headers=HEADERS)
    assert await compared(ok({"data": data}), WhatsApp.expires_at, wanted) == end


async def test_a_token_that_has_ended() -> None:
    _, raised = await with_number(ok({"data": {"is_valid": False}}), WhatsApp.expires_at)
    assert isinstance(raised, Misconfigured)
    assert TOKEN not in str(raised)


WABA = "102900000000888"
LISTED: dict[str, Any] = {
    "name": "promo",
    "language": "bn",
    "status": "APPROVED",
    "category": "MARKETING",
    "quality_score": {"score": "GREEN", "date": 1795176000},
    "components": [
        {"type": "HEADER", "format": "TEXT", "text": "শুভ"},
        {"type": "BODY", "text": "প্রিয় {{1}}"},
    ],
}


async def listing(*replies: Reply, waba_id: str = WABA) -> tuple[list[Request], Any]:
    async with running(*replies) as provider, aiohttp.ClientSession() as session:
        number = make(Http(session), provider.url)
        assert isinstance(number, WhatsApp)
        number.settings = number.settings.model_copy(update={"waba_id": waba_id})
        try:
            return provider.requests, await number.list_templates()
        except SendFailed as failure:
            return provider.requests, failure


async def test_templates_are_listed_page_by_page() -> None:
    more = {"paging": {"cursors": {"after": "QV/A="}, "next": "https://elsewhere.example/?x"}}
    bare = {"name": "bare", "language": "en", "quality_score": {"score": "UNKNOWN"}}
    last = {"data": [bare, {"language": "en"}, None], "paging": {"cursors": {"after": "Z"}}}
    calls, found = await listing(ok({"data": [LISTED], **more}), ok(last))
    assert found == [
        ListedTemplate(
            "promo",
            "bn",
            "approved",
            "green",
            "marketing",
            "প্রিয় {{1}}",
            LISTED["components"],
        ),
        ListedTemplate("bare", "en", "", components=[]),
    ]
    query = "fields=name,language,status,quality_score,category,components&limit=200"
    for call, after in zip(calls, ("", "&after=QV%2FA%3D"), strict=True):
        get(f"/v25.0/{WABA}/message_templates", query=query + after, headers=HEADERS).compare(call)


async def test_templates_that_cannot_be_listed() -> None:
    calls, raised = await listing(ok(), waba_id="")
    assert (calls, type(raised), str(raised)) == (
        [],
        Misconfigured,
        "waba_id is not set, so the templates cannot be listed",
    )
    _, raised = await listing(error(200, 403))
    assert isinstance(raised, Misconfigured)


async def test_who_am_i_with_a_bad_token() -> None:
    _, raised = await with_number(error(190, 401), WhatsApp.who_am_i)
    assert isinstance(raised, Misconfigured)
    assert TOKEN not in str(raised)
