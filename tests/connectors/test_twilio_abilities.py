"""Looking up a message, fetching attachments, naming the account, and the settings."""

import base64
from typing import Any
from urllib.parse import parse_qsl, urlencode

import aiohttp
import pytest
from pydantic import ValidationError

from connectors.twilio import Twilio
from hub.clock import SECOND
from hub.connector import (
    CatchesUp,
    FetchesMedia,
    Http,
    Identifies,
    Missed,
    Reconciles,
)
from hub.errors import (
    MediaFailed,
    OutcomeUnknown,
    SendFailed,
    Unreachable,
)
from hub.message import (
    Inbound,
    Media,
    Message,
    Outbound,
    Sent,
)
from hub.signal import OptOut
from tests.connectors.kit import (
    Sends,
    status,
)
from tests.connectors.provider import Provider, Reply, running
from tests.connectors.twilio_account import (
    KEY,
    MEDIA,
    MESSAGES,
    PHONE,
    RIMA,
    SENDER,
    SERVICE,
    SID,
    TOKEN,
    offline,
    twilio,
)


def record(sid: str, body: str, created: str, **fields: Any) -> dict[str, Any]:
    date = f"Fri, 20 Nov 2026 {created} +0000"
    whole = {"sid": sid, "body": body, "date_created": date, "date_sent": None, "num_media": "0"}
    return whole | {"direction": "outbound-api", "status": "queued"} | fields


def configured(api_base: str) -> Twilio:
    return twilio(Http(None), api_base)  # type: ignore[arg-type]  # makes no calls


NOON = 1_795_176_000_500_000  # 2026-11-20 12:00:00.5
OUT = Sends("", Message.of("Your order is ready"), to=RIMA).outbound()


async def look_up(out: Outbound, *found: Any, **given: Any) -> tuple[Sent | None, Provider]:
    listed = status(200, {"messages": list(found), "page": 0, "next_page_uri": None})
    async with running(listed) as provider, aiohttp.ClientSession() as session:
        return await twilio(Http(session), provider.url, **given).look_up(out, NOON), provider


async def test_look_up_finds_the_newest_of_the_same_content() -> None:
    sent, provider = await look_up(
        OUT,
        record("SM1", "Something else", "12:00:09"),
        record("SM2", "Your order is ready", "12:00:01"),
        record("SM3", "Your order is ready", "12:00:02"),
        record("SM4", "Your order is ready", "12:00:08", direction="inbound"),
        record("SM5", "Your order is ready", "12:00:08", num_media="1"),
        record("SM6", "Your order is ready", "11:59:59"),
    )
    assert sent == Sent("SM3")
    (request,) = provider.requests
    assert (request.method, request.path) == ("GET", MESSAGES)
    assert request.query == urlencode({"To": RIMA, "From": SENDER, "PageSize": 50})


@pytest.mark.parametrize(
    "found",
    [
        record("SM1", "Your order is ready", "11:59:59"),
        record("SM1", "your order is ready", "12:00:01"),
        record("SM1", "Your order is ready", "junk"),
        record("", "Your order is ready", "12:00:01"),
    ],
)
async def test_look_up_finds_nothing(found: dict[str, Any]) -> None:
    sent, _ = await look_up(OUT, found)
    assert sent is None


async def test_look_up_in_the_same_second_and_from_a_trial_account() -> None:
    body = "Sent from your Twilio trial account - Your order is ready"
    sent, _ = await look_up(OUT, record("SM1", body, "12:00:00"))
    assert sent == Sent("SM1")


async def test_look_up_within_a_service() -> None:
    other = record("SM1", "Your order is ready", "12:00:02", messaging_service_sid="MG1")
    ours = record("SM2", "Your order is ready", "12:00:01", messaging_service_sid=SERVICE)
    sent, provider = await look_up(OUT, other, ours, messaging_service_sid=SERVICE)
    assert sent == Sent("SM2")
    assert "From" not in provider.requests[0].query


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (status(200, {}), OutcomeUnknown),
        (status(200, {"messages": 7}), OutcomeUnknown),
        (status(200, {"messages": [None]}), OutcomeUnknown),
        (Reply(200, b"<html>"), OutcomeUnknown),
        (status(503), Unreachable),
    ],
)
async def test_look_up_cannot_say(reply: Reply, expected: type[SendFailed]) -> None:
    async with running(reply) as provider, aiohttp.ClientSession() as session:
        with pytest.raises(expected):
            await twilio(Http(session), provider.url).look_up(OUT, NOON)


def received(sid: str, body: str, at: str, **fields: Any) -> dict[str, Any]:
    sent = {"date_sent": f"Fri, 20 Nov 2026 {at} +0000", "from": RIMA, "to": SENDER}
    return record(sid, body, at, direction="inbound", status="received", **sent) | fields


async def missed(*pages: Any, known: tuple[str, ...] = (), **given: Any) -> tuple[Missed, Provider]:
    async def is_known(keys: list[str]) -> set[str]:
        return set(keys) & set(known)

    async with running(*pages) as provider, aiohttp.ClientSession() as session:
        connector = twilio(Http(session), provider.url, **given)
        return await connector.list_missed(NOON, NOON + 600 * SECOND, is_known), provider


def page(*found: Any, following: str | None = None) -> Reply:
    return status(200, {"messages": list(found), "page": 0, "next_page_uri": following})


async def test_what_was_missed_is_listed_oldest_first_over_its_pages() -> None:
    found, provider = await missed(
        page(
            received("SM9", "too late", "12:10:00"),
            received("SM5", "five", "12:00:09"),
            record("SM4", "ours", "12:00:08"),
            following=f"{MESSAGES}?To=%2B15550100&Page=1&PageToken=PASM4",
        ),
        page(
            received("SM3", "তিন", "12:00:02"),
            received("SM2", "had it", "12:00:02"),
            received("SM1", "one", "12:00:00"),
            received("SM0", "too early", "11:59:59"),
        ),
        known=("SM2",),
    )
    assert found.is_whole
    said = [one for one in found.found if isinstance(one, Inbound)]
    assert [(one.dedupe_key, one.message.text) for one in said] == [
        ("SM1", "one"),
        ("SM3", "তিন"),
        ("SM5", "five"),
    ]
    assert (said[0].account, said[0].sender, said[0].aliases) == (SENDER, RIMA, PHONE)
    assert said[0].sent_at == NOON // SECOND * SECOND
    first, second = provider.requests
    assert dict(parse_qsl(first.query)) == {
        "To": SENDER,
        "DateSent>": "2026-11-20T12:00:00Z",
        "DateSent<": "2026-11-20T12:10:00Z",
        "PageSize": "1000",
    }
    assert second.query == "To=%2B15550100&Page=1&PageToken=PASM4"


async def test_what_was_missed_by_a_service_is_its_own() -> None:
    other = received("SM1", "x", "12:00:02", messaging_service_sid="MG1")
    ours = received("SM2", "STOP", "12:00:01", messaging_service_sid=SERVICE)
    found, provider = await missed(page(other, ours), messaging_service_sid=SERVICE)
    assert [type(one) for one in found.found] == [Inbound, OptOut]
    assert {one.account for one in found.found} == {SERVICE}
    assert "To=" not in provider.requests[0].query


@pytest.mark.parametrize(
    "reply", [status(200, {"messages": 7}), Reply(200, b"<html>"), status(503)]
)
async def test_a_list_that_cannot_be_read_is_no_empty_list(reply: Reply) -> None:
    with pytest.raises(SendFailed):
        await missed(reply)


@pytest.mark.parametrize(
    ("about", "expected"),
    [("active", f"Rima's shop ({SID})"), ("suspended", f"Rima's shop ({SID}, suspended)")],
)
async def test_who_am_i(about: str, expected: str) -> None:
    reply = status(200, {"sid": SID, "friendly_name": "Rima's shop", "status": about})
    async with running(reply) as provider, aiohttp.ClientSession() as session:
        assert await twilio(Http(session), provider.url).who_am_i() == expected
    assert provider.requests[0].path == f"/2010-04-01/Accounts/{SID}.json"


async def test_credentials_are_sent_to_twilio_alone() -> None:
    connector = configured("http://127.0.0.1:9000/twilio/")
    basic = {"Authorization": "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()}
    for url, headers in [
        (f"{MEDIA}/MM1/Media/ME1", basic),
        ("https://api.dublin.ie1.twilio.com/x", basic),
        ("http://127.0.0.1:9000/twilio/x", basic),
        ("http://127.0.0.1:9001/twilio/x", {}),
        ("http://api.twilio.com/x", {}),
        ("https://twilio.com.example/x", {}),
        ("https://eviltwilio.com/x", {}),
        ("https://api.twilio.com@example.com/x", {}),
    ]:
        assert await connector.media_request(Media(kind="file", source_url=url)) == (url, headers)
    for url in ("", "file:///etc/passwd", "x"):
        with pytest.raises(MediaFailed):
            await connector.media_request(Media(kind="file", source_url=url))


def test_abilities() -> None:
    connector = offline()
    assert isinstance(connector, FetchesMedia)
    assert isinstance(connector, Reconciles)
    assert isinstance(connector, Identifies)
    assert isinstance(connector, CatchesUp)
    assert (connector.look_back, offline(catch_up=0).look_back) == (86_400, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sender": ""},
        {"sender": SENDER, "messaging_service_sid": SERVICE},
        {"sender": "01711000000x"},
        {"sender": "whatsapp:15550100"},
        {"sender": "whatsapp:"},
        {"account_sid": "MG1"},
        {"auth_token": ""},
        {"messaging_service_sid": "AC1"},
        {"colour": "red"},
    ],
)
def test_wrong_settings(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        offline(**wrong)


@pytest.mark.parametrize(
    "sender", [SENDER, f"whatsapp:{SENDER}", "12345", "Onethread", "ACME Shop"]
)
def test_senders(sender: str) -> None:
    assert Twilio.account(offline(sender=sender).settings) == sender
    assert configured("").settings.api_base == "https://api.twilio.com"


def test_secrets_are_named_and_hidden() -> None:
    connector = offline()
    assert {TOKEN, KEY} <= set(connector.secrets())
    assert TOKEN not in repr(connector.settings)
    assert KEY not in repr(connector.settings)
