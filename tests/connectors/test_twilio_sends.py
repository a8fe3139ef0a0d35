"""What Twilio is sent, and what each of its answers means."""

import base64
import os

import aiohttp
import pytest

from connectors._twilio_codes import CODES
from connectors.twilio import ON_WHATSAPP, SMS, Twilio
from hub.connector import (
    Http,
)
from hub.errors import (
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OptedOut,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
)
from hub.message import (
    Media,
    Message,
)
from tests.connectors.kit import (
    Case,
    Sends,
    connector_test,
    post,
    status,
)
from tests.connectors.provider import Reply, running
from tests.connectors.twilio_account import (
    CALLBACK,
    MESSAGES,
    PHOTO,
    RIMA,
    SENDER,
    SERVICE,
    SID,
    TOKEN,
    accepted,
    maker,
    offline,
    refused,
    sign,
    twilio,
)

PROBLEM = {"type": "https://x", "title": "t", "status": 400, "code": 21610}


def failing(name: str, reply: Reply, expected: SendFailed | type[SendFailed]) -> Sends:
    return Sends(name, Message.of("good evening"), reply=reply, fails=expected)


CASES: list[Case] = [
    Sends(
        "text",
        Message.of("আপনার অর্ডার আসছে & more+"),
        to=RIMA,
        expect=post(
            MESSAGES,
            form={
                "To": RIMA,
                "From": SENDER,
                "Body": "আপনার অর্ডার আসছে & more+",
                "StatusCallback": CALLBACK,
            },
            headers={
                "authorization": "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode(),
                "content-type": "application/x-www-form-urlencoded",
            },
        ),
        reply=accepted("SM8"),
        sent="SM8",
    ),
    Sends(
        "ten pictures and a text",
        Message.of("Our saris", media=(PHOTO,) * 10),
        to=RIMA,
        expect=post(
            MESSAGES,
            form=[
                ("To", RIMA),
                ("From", SENDER),
                ("Body", "Our saris"),
                ("StatusCallback", CALLBACK),
                *[("MediaUrl", PHOTO.source_url)] * 10,
            ],
        ),
        reply=accepted("MM8"),
        sent="MM8",
    ),
    failing("no sid", status(201, {"sid": None}), OutcomeUnknown),
    failing("sid of another type", status(201, {"sid": 7}), OutcomeUnknown),
    failing("opted out", refused(21610), OptedOut(code="21610")),
    failing("no such number", refused(21211), NoSuchRecipient(code="21211")),
    failing("throttled", refused(20429, 429, retry_after=2.5), Busy(code="20429", retry_in=2.5)),
    failing("throttled for no stated time", status(429, retry_after="soon"), Busy()),
    failing("throttled for less than no time", status(429, retry_after=-1), Busy()),
    failing("throttled for ever", status(429, retry_after="inf"), Busy()),
    failing("queue full", refused(21611), Busy(code="21611")),
    failing("wrong token", refused(20003, 401), Misconfigured(code="20003")),
    failing("forbidden without a code", status(403), Misconfigured()),
    failing("redirected", Reply(308, b"", {"Location": "/x"}), Misconfigured()),
    failing("gateway time-out", status(504), OutcomeUnknown()),
    failing("a country not enabled", refused(21408), Refused(code="21408")),
    failing("media not found", refused(21620), MediaFailed(code="21620")),
    failing("a code of the future", refused(29999), Refused(code="29999")),
    failing("a code that is no number", status(400, {"code": "x", "message": "y"}), Refused()),
    failing("problem details", status(400, PROBLEM), OptedOut(code="21610")),
]
test_sends = connector_test(maker(), CASES, sign=sign)

SERVICE_CASES: list[Case] = [
    Sends(
        "text",
        Message.of("good morning"),
        to=f"whatsapp:{RIMA}",
        expect=post(
            MESSAGES,
            form={
                "To": f"whatsapp:{RIMA}",
                "MessagingServiceSid": SERVICE,
                "Body": "good morning",
                "StatusCallback": CALLBACK,
            },
        ),
        reply=accepted(),
        sent="SM7",
    ),
]
test_service_sends = connector_test(maker(messaging_service_sid=SERVICE), SERVICE_CASES, sign=sign)


@pytest.mark.parametrize("code", CODES)
async def test_every_code_of_the_table(code: int) -> None:
    error = await failure(refused(code, retry_after=1))
    assert type(error) is CODES[code][0]
    assert (error.code, error.retry_in) == (str(code), 1)
    assert CODES[code][1] in str(error)
    assert RIMA not in str(error)


async def failure(reply: Reply) -> SendFailed:
    case = Sends("", Message.of("hello"), reply=reply)
    async with running(reply) as provider, aiohttp.ClientSession() as session:
        with pytest.raises(SendFailed) as caught:
            await twilio(Http(session), provider.url).send(case.outbound())
    return caught.value


@pytest.mark.parametrize(
    ("status_code", "expected"),
    [(500, Unreachable), (502, Unreachable), (404, Misconfigured), (409, Refused)],
)
async def test_a_status_without_a_code(status_code: int, expected: type[SendFailed]) -> None:
    assert type(await failure(status(status_code))) is expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(), Refused),
        (Message.of(media=(Media(kind="image", path="in/1.jpg"),)), MediaFailed),
    ],
)
async def test_what_cannot_be_sent_makes_no_call(
    message: Message, expected: type[SendFailed]
) -> None:
    async with running(accepted()) as provider, aiohttp.ClientSession() as session:
        with pytest.raises(expected):
            await twilio(Http(session), provider.url).send(Sends("", message).outbound())
    assert provider.requests == []


def test_limits_follow_the_sender() -> None:
    assert offline().limits is SMS
    assert (SMS.buttons, SMS.list_rows, SMS.window, SMS.quotes) == (0, 0, None, False)
    assert (SMS.text, SMS.media_count) == (1600, 10)
    whatsapp = offline(sender=f"whatsapp:{SENDER}").limits
    assert whatsapp is ON_WHATSAPP
    assert (whatsapp.window, whatsapp.media_count) == (86400, 1)
    assert Twilio.limits is SMS


async def test_the_sdk_takes_nothing_from_the_environment() -> None:
    names = {"TWILIO_REGION": "ie1", "TWILIO_EDGE": "dublin", "TWILIO_AUTH_TOKEN": "other"}
    before = dict(os.environ)
    os.environ.update(names)
    try:
        async with running(accepted()) as provider, aiohttp.ClientSession() as session:
            await twilio(Http(session), provider.url).send(Sends("", Message.of("hi")).outbound())
    finally:
        for name in names:
            os.environ.pop(name)
        os.environ.update(before)
    assert provider.requests[0].path == MESSAGES
