"""Buttons, lists and templates on WhatsApp through Twilio: as Content, prepared once."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors._twilio_content import PIECES, VALUE, geo, shape_of, take_apart, values_of
from connectors.twilio import Twilio
from hub.connector import Http, ListedTemplate, SyncsTemplates, Types
from hub.errors import Busy, Misconfigured, OutcomeUnknown, Refused, SendFailed, Unreachable
from hub.message import Button, Message, Outbound, Place, TemplateUse
from tests.connectors.kit import CORRELATION, Sends, get, ok, post, status
from tests.connectors.provider import Behaviour, Provider, running
from tests.connectors.twilio_account import (
    CALLBACK,
    MESSAGES,
    RIMA,
    SENDER,
    SERVICE,
    accepted,
    refused,
    twilio,
)

OURS = f"whatsapp:{SENDER}"
SID_7 = "HX" + "7" * 32
YES, NO = Button(id="yes", title="হ্যাঁ"), Button(id="no", title="না")
ASK = Message.of("ঠিক আছে?", buttons=(YES, NO))
SIZES = Message.of(
    "Which?",
    buttons=tuple(Button(id=f"s{n}", title=f"Size {n}", description="x" * n) for n in range(4)),
)
NO_CONTENTS = ok({"contents": [], "meta": {"next_page_url": None}})
CREATED = status(201, {"sid": SID_7, "friendly_name": "x"})
USE = TemplateUse(name=SID_7, language="bn", variables={"1": "Rima\n", "2": "17", "button.0": "17"})


def out(message: Message) -> Outbound:
    return Sends("", message, to=RIMA).outbound()


@asynccontextmanager
async def account(*replies: Behaviour) -> AsyncIterator[tuple[Provider, Twilio]]:
    async with running(*replies) as provider, aiohttp.ClientSession() as session:
        yield provider, twilio(Http(session, 0.4), provider.url, sender=OURS)


def sent_form(**content: str) -> dict[str, str]:
    return {"To": f"whatsapp:{RIMA}", "From": OURS, "StatusCallback": CALLBACK, **content}


async def test_buttons_are_created_once_and_sent_by_one_call_each() -> None:
    async with account(NO_CONTENTS, CREATED, accepted("MM1"), accepted("MM2")) as (provider, line):
        assert (await line.send(out(ASK))).external_id == "MM1"
        other = Message.of("Really? লাল", buttons=(Button(id="a", title="A"), NO))
        assert (await line.send(out(other))).external_id == "MM2"
    first, create, send, again = provider.requests
    get("/v1/Content", query="PageSize=500").compare(first)
    shape = shape_of(ASK)
    assert shape is not None
    actions = [
        {"type": "QUICK_REPLY", "title": "{{2}}", "id": "{{3}}"},
        {"type": "QUICK_REPLY", "title": "{{4}}", "id": "{{5}}"},
    ]
    wanted = {
        "friendly_name": shape.name,
        "language": "en",
        "variables": {str(n): f"sample {n}" for n in range(1, 6)},
        "types": {"twilio/quick-reply": {"body": "{{1}}", "actions": actions}},
    }
    post("/v1/Content", json=wanted).compare(create)
    values = {"1": "ঠিক আছে?", "2": "হ্যাঁ", "3": "yes", "4": "না", "5": "no"}
    variables = orjson.dumps(values).decode()
    form = sent_form(ContentSid=SID_7, ContentVariables=variables)
    post(MESSAGES, form=form).compare(send)
    assert orjson.loads(dict(again.form)["ContentVariables"])["1"] == "Really? লাল"
    assert "Body" not in dict(again.form)


async def test_a_list_has_its_label_and_its_descriptions() -> None:
    async with account(NO_CONTENTS, CREATED, accepted("MM1")) as (provider, line):
        await line.send(out(SIZES))
    _, create, send = provider.requests
    picker = create.json["types"]["twilio/list-picker"]
    assert (picker["body"], picker["button"]) == ("{{1}}", "{{2}}")
    assert picker["items"][:2] == [
        {"item": "{{3}}", "id": "{{4}}"},
        {"item": "{{5}}", "id": "{{6}}", "description": "{{7}}"},
    ]
    values = orjson.loads(dict(send.form)["ContentVariables"])
    assert [values[str(n)] for n in range(1, 8)] == [
        *("Which?", "Choose", "Size 0", "s0"),
        *("Size 1", "s1", "x"),
    ]


async def test_what_another_process_created_is_found() -> None:
    shape = shape_of(ASK)
    assert shape is not None
    ours = {"friendly_name": shape.name, "sid": SID_7}
    following = "https://content.twilio.com/v1/Content?PageSize=500&PageToken=DN1"
    first = ok({"contents": [{"sid": None}, None], "meta": {"next_page_url": following}})
    second = ok({"contents": [ours], "meta": {}})
    async with account(first, second, accepted("MM1")) as (provider, line):
        await line.send(out(ASK))
    assert provider.requests[1].query == "PageSize=500&PageToken=DN1"
    assert dict(provider.requests[2].form)["ContentSid"] == SID_7


@pytest.mark.parametrize(
    ("replies", "failure"),
    [
        (("reset",), Unreachable),
        (("hang",), Unreachable),
        ((status(500),), Unreachable),
        ((refused(20003, 401),), Misconfigured),
        ((status(429, retry_after=3),), Busy),
        ((NO_CONTENTS, "reset"), Unreachable),
        ((NO_CONTENTS, "hang"), Unreachable),
        ((NO_CONTENTS, status(201)), Unreachable),
        ((NO_CONTENTS, status(201, {"sid": 7})), Unreachable),
        ((NO_CONTENTS, refused(20422, 400)), Refused),
        ((NO_CONTENTS, CREATED, "reset"), OutcomeUnknown),
        ((NO_CONTENTS, CREATED, refused(63016)), SendFailed),
    ],
)
async def test_a_failed_preparation_is_no_failed_send(
    replies: tuple[Behaviour, ...], failure: type[SendFailed]
) -> None:
    async with account(*replies) as (provider, line):
        with pytest.raises(failure) as caught:
            await line.send(out(ASK))
    was_sent = any(request.path == MESSAGES for request in provider.requests)
    assert was_sent == (len(replies) == 3)
    assert isinstance(caught.value, OutcomeUnknown) == (replies[-1] == "reset" and was_sent)


async def test_an_account_that_may_not_list_creates() -> None:
    async with account(refused(20404, 404), CREATED, accepted("MM1")) as (_, line):
        assert (await line.send(out(ASK))).external_id == "MM1"


async def test_a_content_that_was_deleted_is_created_anew() -> None:
    replies = (NO_CONTENTS, CREATED, refused(21655), NO_CONTENTS, CREATED, accepted("MM1"))
    async with account(*replies) as (provider, line):
        with pytest.raises(Unreachable):
            await line.send(out(ASK))
        assert (await line.send(replace(out(ASK), attempt=2))).external_id == "MM1"
    assert len(provider.requests) == 6


async def test_an_approved_template_is_one_call() -> None:
    async with account(accepted("MM1")) as (provider, line):
        await line.send(out(Message.of("as shown", template=USE)))
    [call] = provider.requests
    form = sent_form(ContentSid=SID_7, ContentVariables='{"1":"Rima ","2":"17"}')
    post(MESSAGES, form=form).compare(call)


async def test_a_template_without_values_or_without_a_sid() -> None:
    async with account(accepted("MM1")) as (provider, line):
        bare = TemplateUse(name=SID_7, language="en")
        await line.send(out(Message.of(template=bare)))
        post(MESSAGES, form=sent_form(ContentSid=SID_7)).compare(provider.requests[0])
        theirs = TemplateUse(name="shipped")
        with pytest.raises(Refused, match="Content SID"):
            await line.send(out(Message.of(template=theirs)))
        await line.send(out(Message.of("It is on its way.", template=theirs)))
        post(MESSAGES, form=sent_form(Body="It is on its way.")).compare(provider.requests[1])


async def test_templates_are_listed_with_their_approval() -> None:
    types: Any = {"twilio/text": {"body": "প্রিয় {{1}}"}}
    asked = {"name": "due", "status": "Approved", "category": "UTILITY"}
    items = [
        {"sid": SID_7, "friendly_name": "due", "language": "bn", "types": types}
        | {"approval_requests": asked},
        {"sid": "HX8", "language": "en", "types": None, "approval_requests": {}},
        {"sid": "HX9", "friendly_name": "onethread_0123"},
        {"friendly_name": "of no sid"},
    ]
    async with account(ok({"contents": items, "meta": {"next_page_url": None}})) as (
        provider,
        line,
    ):
        assert isinstance(line, SyncsTemplates)
        found = await line.list_templates()
    get("/v1/ContentAndApprovals", query="PageSize=500").compare(provider.requests[0])
    assert found == [
        ListedTemplate(SID_7, "bn", "approved", "", "utility", "প্রিয় {{1}}", types),
        ListedTemplate("HX8", "en", "", components={}),
    ]


async def test_typing_is_shown_under_her_message() -> None:
    async with account(ok({"success": True})) as (provider, line):
        assert isinstance(line, Types)
        await line.show_typing(replace(out(ASK), reply_to="SM9"))
        await line.show_typing(out(ASK))
    [call] = provider.requests
    wanted = {"channel": "WHATSAPP", "messageId": "SM9"}
    post("/v3/Indicators/Typing.json", json=wanted).compare(call)
    assert call.headers["authorization"].startswith("Basic ")


async def test_an_sms_shows_no_typing() -> None:
    async with running(ok()) as provider, aiohttp.ClientSession() as session:
        line = twilio(Http(session), provider.url)
        await line.show_typing(replace(out(ASK), reply_to="SM9"))
        assert provider.requests == []


async def test_rcs_and_a_services_whatsapp_show_typing() -> None:
    agent, hers = "rcs:rimas_shop", f"whatsapp:{RIMA}"
    async with (
        running(*[ok({"success": True})] * 2) as provider,
        aiohttp.ClientSession() as session,
    ):
        asked = replace(out(ASK), reply_to="SM9")
        await twilio(Http(session), provider.url, sender=agent).show_typing(asked)
        service = twilio(Http(session), provider.url, messaging_service_sid=SERVICE)
        await service.show_typing(replace(asked, to=replace(asked.to, external_id=hers)))
        await service.show_typing(asked)
    on_rcs, on_whatsapp = (call.json for call in provider.requests)
    assert on_rcs == {
        "channel": "RCS",
        "messageId": "SM9",
        "event": "START",
        "from": agent,
        "to": f"rcs:{RIMA}",
    }
    assert on_whatsapp == {"channel": "WHATSAPP", "messageId": "SM9"}


PARTS = ["a", "শব্দ", " ", "     ", "\u00a0", "\n", "\t", "\u2003", "🙂", "ক্ষি" * 90]
TEXTS = st.lists(st.sampled_from(PARTS), max_size=200).map("".join).map(lambda t: t[:1024])


@settings(max_examples=40, derandomize=True)
@given(TEXTS, st.booleans())
def test_a_body_is_whole_and_none_of_its_values_is_refused(text: str, is_list: bool) -> None:
    asked = Message.of(text, buttons=SIZES.buttons if is_list else ASK.buttons)
    shape = shape_of(asked)
    assert shape is not None
    values = values_of(asked, shape)
    [content] = shape.types.values()
    body = re.sub(r"{{(\d+)}}", lambda found: values[found[1]], content["body"])
    is_cut_short = len(take_apart(text)[1]) >= PIECES
    assert (body.split() if is_cut_short else body) == (text.split() if is_cut_short else text)
    assert len(values) <= 100
    for value in take_apart(text)[1]:
        assert 0 < len(value) <= VALUE
        assert not re.search(r"[\r\n\t]|\s{5}", value)


def test_a_body_of_very_many_lines_keeps_all_its_words() -> None:
    rows = tuple(Button(id=f"{n}", title=f"{n}", description="x") for n in range(10))
    asked = Message.of("\n".join(f"সারি {n}" for n in range(100)), buttons=rows)
    shape = shape_of(asked)
    assert shape is not None
    assert len(values_of(asked, shape)) <= 100
    assert "\n" not in "".join(take_apart(asked.text)[1])
    assert "সারি 99" in take_apart(asked.text)[1][-1]


@pytest.mark.parametrize(
    ("latitude", "longitude", "point"),
    [(23.780573, 90.279239, "23.780573,90.279239"), (1e-05, -90.0, "0.00001,-90")],
)
def test_a_pin_has_plain_numbers(latitude: float, longitude: float, point: str) -> None:
    assert geo(Place(latitude=latitude, longitude=longitude)) == f"geo:{point}"


def test_line_ends_are_of_the_shape() -> None:
    text = "প্রিয় আপা,\n\n1. লাল\n2.\tনীল     শেষ\n"
    assert take_apart(text) == (
        ("", "\n\n", "\n", "\t", "     ", "\n"),
        ["প্রিয় আপা,", "1. লাল", "2.", "নীল", "শেষ"],
    )
    shape = shape_of(Message.of(text, buttons=ASK.buttons))
    assert shape is not None
    body = shape.types["twilio/quick-reply"]["body"]
    assert body == "{{1}}\n\n{{2}}\n{{3}}\t{{4}}     {{5}}\n"
    assert take_apart("") == (("",), [])


def test_shapes_are_few_and_their_variables_short() -> None:
    long = Message.of("শব্দ " * 200, buttons=ASK.buttons)
    shape = shape_of(long)
    assert shape is not None
    values = values_of(long, shape)
    assert shape.types["twilio/quick-reply"]["body"] == "{{1}}{{2}}{{3}}{{4}}{{5}}"
    assert "".join(values[str(n)] for n in range(1, 6)) == long.text
    assert not any(value != value.strip() for value in list(values.values())[1:4])
    same = shape_of(Message.of("other words", buttons=(NO, YES)))
    plain = shape_of(ASK)
    assert same == plain
    assert plain is not None
    assert plain.name != shape.name
    assert shape_of(Message.of("none")) is None
    assert CORRELATION in CALLBACK
