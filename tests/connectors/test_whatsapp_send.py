"""What WhatsApp is sent, and what its answers mean."""

from typing import Any

import pytest

from connectors._whatsapp_errors import CODES
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
    WindowClosed,
)
from hub.message import (
    Button,
    ContactCard,
    Media,
    Message,
    Place,
)
from tests.connectors.kit import (
    Case,
    Sends,
    connector_test,
    ok,
    post,
    status,
)
from tests.connectors.provider import Reply
from tests.connectors.whatsapp_calls import ACCEPTED, HEADERS, PATH, error, outbound, with_number
from tests.connectors.whatsapp_number import BSUID, RIMA, make, sign


def body(kind: str, part: Any, **more: Any) -> dict[str, Any]:
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": RIMA,
        "type": kind,
        kind: part,
        "biz_opaque_callback_data": "m-42",
        **more,
    }


def sends(name: str, message: Message, kind: str, part: Any, **more: Any) -> Sends:
    expect = post(PATH, json=body(kind, part), headers=HEADERS)
    return Sends(name, message, expect=expect, reply=ACCEPTED, sent="wamid.out1", **more)


def addressed(name: str, address: str, **recipient: Any) -> Sends:
    wanted = body("text", {"body": "hi", "preview_url": False}) | recipient
    if "recipient" in recipient:
        del wanted["to"]
    expect = post(PATH, json=wanted)
    return Sends(
        name, Message.of("hi"), expect=expect, reply=ACCEPTED, sent="wamid.out1", to=address
    )


def attached(kind: Any, text: str = "", **more: Any) -> Message:
    return Message.of(text, media=(Media(kind=kind, **more),))


def menu(text: str, *buttons: Button) -> Message:
    return Message.of(text, buttons=buttons)


LINK = "https://shop.example/f"
YES, NO = Button(id="yes", title="হ্যাঁ"), Button(id="no", title="না")
SIZES = tuple(Button(id=f"s{n}", title=f"Size {n}") for n in range(4))
ROWS = [{"id": f"s{n}", "title": f"Size {n}"} for n in range(4)]

CONTENTS: list[Case] = [
    sends(
        "text",
        Message.of("আমি ভালো আছি 🙂"),
        "text",
        {"body": "আমি ভালো আছি 🙂", "preview_url": False},
    ),
    Sends(
        "quote",
        Message.of("this"),
        expect=post(
            PATH,
            json=body(
                "text",
                {"body": "this", "preview_url": False},
                context={"message_id": "wamid.HBg=="},
            ),
        ),
        reply=ACCEPTED,
        sent="wamid.out1",
        reply_to="wamid.HBg==",
    ),
    addressed("to a number with a plus", f"+{RIMA}"),
    addressed("to a user id", BSUID, recipient=BSUID),
    addressed("to a parent user id", "BD.ENT.11", recipient="BD.ENT.11"),
    addressed("to a group", "Y2FwaV9n", to="Y2FwaV9n", recipient_type="group"),
    sends(
        "image",
        attached("image", "look", source_url=LINK),
        "image",
        {"link": LINK, "caption": "look"},
    ),
    sends("image uploaded before", attached("image", provider_id="77"), "image", {"id": "77"}),
    sends("video", attached("video", source_url=LINK), "video", {"link": LINK}),
    sends(
        "document",
        attached("file", "bill", source_url=LINK, name="চালান.pdf"),
        "document",
        {"link": LINK, "caption": "bill", "filename": "চালান.pdf"},
    ),
    sends("audio", attached("audio", source_url=LINK), "audio", {"link": LINK}),
    sends(
        "voice note",
        attached("voice", source_url=LINK, mime="audio/ogg; codecs=opus"),
        "audio",
        {"link": LINK, "voice": True},
    ),
    sends(
        "voice that is no note",
        attached("voice", source_url=LINK, mime="audio/mpeg"),
        "audio",
        {"link": LINK},
    ),
    sends("sticker", attached("sticker", source_url=LINK), "sticker", {"link": LINK}),
    sends(
        "reply buttons",
        menu("ঠিক আছে?", YES, NO),
        "interactive",
        {
            "type": "button",
            "body": {"text": "ঠিক আছে?"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "yes", "title": "হ্যাঁ"}},
                    {"type": "reply", "reply": {"id": "no", "title": "না"}},
                ]
            },
        },
    ),
    sends(
        "list",
        menu("Which size?", *SIZES),
        "interactive",
        {
            "type": "list",
            "body": {"text": "Which size?"},
            "action": {"button": "Choose", "sections": [{"rows": ROWS}]},
        },
    ),
    sends(
        "list in Bangla, for its descriptions",
        menu("কোনটা?", Button(id="a", title="A", description="ছোট")),
        "interactive",
        {
            "type": "list",
            "body": {"text": "কোনটা?"},
            "action": {
                "button": "বেছে নিন",
                "sections": [{"rows": [{"id": "a", "title": "A", "description": "ছোট"}]}],
            },
        },
    ),
    sends(
        "list for a long title",
        menu("Which?", Button(id="a", title="twenty-one characters")),
        "interactive",
        {
            "type": "list",
            "body": {"text": "Which?"},
            "action": {
                "button": "Choose",
                "sections": [{"rows": [{"id": "a", "title": "twenty-one characters"}]}],
            },
        },
    ),
    sends(
        "url button",
        menu("Pay here", Button(id="pay", title="Pay", url=LINK)),
        "interactive",
        {
            "type": "cta_url",
            "body": {"text": "Pay here"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Pay", "url": LINK}},
        },
    ),
    sends(
        "place",
        Message.of(place=Place(latitude=23.8, longitude=90.4, name="দোকান", address="Gulshan")),
        "location",
        {"latitude": 23.8, "longitude": 90.4, "name": "দোকান", "address": "Gulshan"},
    ),
    sends(
        "bare place",
        Message.of(place=Place(latitude=0, longitude=0)),
        "location",
        {"latitude": 0, "longitude": 0},
    ),
    sends(
        "contacts",
        Message.of(
            contacts=(
                ContactCard(name="Karim", phones=("+88018",), emails=("k@example.com",)),
                ContactCard(phones=("16123",)),
            )
        ),
        "contacts",
        [
            {
                "name": {"formatted_name": "Karim", "first_name": "Karim"},
                "phones": [{"phone": "+88018"}],
                "emails": [{"email": "k@example.com"}],
            },
            {
                "name": {"formatted_name": "16123", "first_name": "16123"},
                "phones": [{"phone": "16123"}],
            },
        ],
    ),
]


def fails(name: str, reply: Reply, failure: Any) -> Sends:
    return Sends(name, Message.of("good morning"), reply=reply, fails=failure)


WHAT_CODES_MEAN: dict[type[SendFailed], tuple[int, ...]] = {
    WindowClosed: (131047, 470),
    OptedOut: (131050,),
    NoSuchRecipient: (131026, 131021, 131030, 131020, 131041),
    Busy: (4, 80007, 130429, 131048, 131064, 133016),
    Unreachable: (131000, 131016, 131057, 1, 2, 133004, 131053),
    MediaFailed: (131052,),
    Refused: (
        *(131049, 130472, 137000, 131062, 132000, 132001, 132005, 132007, 132008, 132012),
        *(132015, 132016, 132068, 132069, 100, 131008, 131009, 131051, 131063, 135000),
    ),
    Misconfigured: (
        *(0, 3, 10, 190, 200, 299, 131005, 131031, 131037, 131042, 131044, 131045),
        *(133010, 368, 130497),
    ),
}

FAILURES: list[Case] = [
    *(
        fails(f"error {code}", error(code), kind(code=str(code)))
        for kind, codes in WHAT_CODES_MEAN.items()
        for code in codes
    ),
    fails("too many to one customer", error(131056), Busy(code="131056", retry_in=4)),
    fails("code as text", error("131047"), WindowClosed(code="131047")),
    fails("code over status", error(131047, 500), WindowClosed(code="131047")),
    fails("error in a 200", error(131047, 200), WindowClosed(code="131047")),
    fails("time with a code", error(130429, 429, 12.5), Busy(retry_in=12.5)),
    fails("time in the past", error(4, 429, "Wed, 21 Oct 2015 07:28:00 GMT"), Busy(retry_in=0)),
    fails("time of no sense", error(4, 429, "soon"), Busy()),
    fails("time without end", error(4, 429, "inf"), Busy(retry_in=86_400)),
    fails("time of no number", error(4, 429, "nan"), Busy()),
    fails("account unknown", error(100, error_subcode=33), Misconfigured(code="100")),
    fails("code unknown", error(999_999), Refused(code="999999")),
    fails("code unknown, transient", error(999_999, is_transient=True), Unreachable(code="999999")),
    fails("code unknown, forbidden", error(999_999, 403), Misconfigured(code="999999")),
    fails("error of no shape", status(400, {"error": ["?"]}), Refused()),
    fails("error without a code", error(None, 401), Misconfigured()),
    fails("redirect", Reply(302, headers={"Location": "https://elsewhere.example"}), Unreachable()),
    fails("null among the ids", ok({"messages": [None, {"id": None}]}), OutcomeUnknown()),
    fails("ids of no shape", ok({"messages": {"id": "wamid.1"}}), OutcomeUnknown()),
    Sends(
        "null before the id",
        Message.of("good morning"),
        reply=ok({"messages": [None, {"id": "wamid.7", "message_status": "accepted"}]}),
        sent="wamid.7",
    ),
]

test_send = connector_test(make, [*CONTENTS, *FAILURES], sign=sign)


def test_every_code_of_the_table_is_tried() -> None:
    tried = {code for codes in WHAT_CODES_MEAN.values() for code in codes}
    assert set(CODES) <= tried | {131056}


@pytest.mark.parametrize(
    ("message", "failure"),
    [
        (Message.of(""), Refused),
        (attached("image"), MediaFailed),
        (attached("audio", "text", source_url=LINK), Refused),
        (Message.of(media=(Media(kind="image", source_url=LINK),) * 2), Refused),
        (Message.of("?", media=(Media(kind="image", source_url=LINK),), buttons=(YES,)), Refused),
        (Message.of("here", place=Place(latitude=0, longitude=0)), Refused),
        (menu("?", YES, Button(id="u", title="U", url=LINK)), Refused),
    ],
)
async def test_what_is_not_one_message_is_not_sent(
    message: Message, failure: type[SendFailed]
) -> None:
    provider, raised = await with_number(ACCEPTED, lambda number: number.send(outbound(message)))
    assert type(raised) is failure
    assert provider.requests == []


async def test_an_attachment_whatsapp_could_not_take_is_tried_three_times() -> None:
    message = attached("image", source_url=LINK)
    kinds = []
    for attempt in (1, 2, 3):
        out = outbound(message, attempt)
        _, failure = await with_number(error(131053), lambda number, out=out: number.send(out))  # type: ignore[misc]
        kinds.append(type(failure))
    assert kinds == [Unreachable, Unreachable, MediaFailed]


async def test_the_wait_for_one_customer_grows() -> None:
    waits = []
    for attempt in (1, 2, 3, 9):
        out = outbound(Message.of("hi"), attempt)
        _, failure = await with_number(error(131056), lambda number, out=out: number.send(out))  # type: ignore[misc]
        waits.append(failure.retry_in)
    assert waits == [4, 16, 64, 4096]
