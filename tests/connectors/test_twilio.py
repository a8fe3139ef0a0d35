"""Twilio's SMS and MMS webhooks, as messages, receipts and opt-outs."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.errors import (
    HookUnreadable,
)
from hub.message import (
    Alias,
    Inbound,
    Media,
    Message,
    Receipt,
    ReceiptError,
)
from hub.signal import OptOut, Unreadable
from tests.connectors.kit import (
    CORRELATION,
    RECEIVED_AT,
    Case,
    Receives,
    Sends,
    connector_test,
    form_hook,
    post,
)
from tests.connectors.oddities import assert_well_formed
from tests.connectors.twilio_account import (
    CALLBACK,
    MEDIA,
    MESSAGES,
    RIMA,
    SENDER,
    SERVICE,
    SID,
    accepted,
    inbound,
    maker,
    offline,
    on_whatsapp,
    payload,
    received,
    sign,
)


def answered(text: str) -> Message:
    """A word that Twilio answers by itself."""
    return Message.of(text, standby=True)


CASES: list[Case] = [
    Receives("text", received("sms_text"), [inbound("SM1", Message.of("Where is my order?"))]),
    Receives(
        "text in Bangla with an emoji and blank fields",
        received("sms_bangla"),
        [inbound("SM2", Message.of("আমার অর্ডার কোথায়? ধন্যবাদ & ok+ \U0001f64f"))],
    ),
    Receives(
        "nothing at all",
        received("sms_empty"),
        [inbound("SM3", Message(kind="unsupported"), raw=payload("sms_empty"))],
    ),
    Receives(
        "MMS with a picture and a contact card",
        received("mms"),
        [
            inbound(
                "MM1",
                Message.of(
                    media=(
                        Media(kind="image", mime="image/jpeg", source_url=f"{MEDIA}/MM1/Media/ME1"),
                        Media(
                            kind="file", mime="text/x-vcard", source_url=f"{MEDIA}/MM1/Media/ME2"
                        ),
                    )
                ),
            )
        ],
    ),
    Receives(
        "NumMedia is junk",
        form_hook(payload("mms") | {"NumMedia": "many", "MediaUrl1": ""}),
        [
            inbound(
                "MM1",
                Message.of(
                    media=(
                        Media(kind="image", mime="image/jpeg", source_url=f"{MEDIA}/MM1/Media/ME1"),
                    )
                ),
            )
        ],
    ),
    Receives(
        "STOP",
        received("sms_stop"),
        [inbound("SM5", Message.of("  Stop\n")), OptOut(SENDER, RIMA, RECEIVED_AT, on=True)],
    ),
    Receives(
        "STOP within a sentence",
        form_hook(payload("sms_stop") | {"Body": "please stop"}),
        [inbound("SM5", Message.of("please stop"))],
    ),
    Receives(
        "UNSTOP",
        form_hook(payload("sms_stop") | {"Body": "unstop"}),
        [inbound("SM5", answered("unstop")), OptOut(SENDER, RIMA, RECEIVED_AT, on=False)],
    ),
    Receives(
        "YES may be an answer",
        form_hook(payload("sms_stop") | {"Body": "Yes"}),
        [
            inbound("SM5", Message.of("Yes")),
            OptOut(SENDER, RIMA, RECEIVED_AT, on=False, maybe=True),
        ],
    ),
    Receives(
        "YES by Advanced Opt-Out",
        received("sms_start_advanced"),
        [inbound("SM6", answered("YES")), OptOut(SENDER, RIMA, RECEIVED_AT, on=False)],
    ),
    Receives(
        "HELP by Advanced Opt-Out",
        received("sms_help_advanced"),
        [inbound("SM7", answered("HELP"))],
    ),
    *(
        Receives(
            word,
            form_hook(payload("sms_stop") | {"Body": word}),
            [inbound("SM5", Message.of(word)), OptOut(SENDER, RIMA, RECEIVED_AT)],
        )
        for word in ("STOPALL", "unsubscribe", "Cancel", "END", "QUIT", "REVOKE", "OptOut")
    ),
    *(
        Receives(
            word,
            form_hook(payload("sms_stop") | {"Body": word}),
            [inbound("SM5", answered(word))],
        )
        for word in ("Help", " INFO ")
    ),
    Receives(
        "a sender's name gives no number",
        form_hook(payload("sms_text") | {"From": "BIKASH"}),
        [inbound("SM1", Message.of("Where is my order?"), sender="BIKASH", aliases=())],
    ),
    Receives(
        "a sender whose number is none",
        form_hook(payload("sms_text") | {"From": "+0880170000"}),
        [inbound("SM1", Message.of("Where is my order?"), sender="+0880170000", aliases=())],
    ),
    Receives(
        "delivered in part is not yet delivered",
        form_hook(payload("status_delivered") | {"MessageStatus": "partially_delivered"}),
        [Receipt(SENDER, "SM31", "sent", RECEIVED_AT, recipient=RIMA)],
    ),
    Receives("queued", received("status_queued", query=f"m={CORRELATION}"), []),
    Receives(
        "a status of the future",
        form_hook(
            payload("status_queued") | {"MessageStatus": "teleported", "SmsStatus": "teleported"}
        ),
        [],
    ),
    Receives(
        "delivered",
        received("status_delivered", query=f"m={CORRELATION}"),
        [Receipt(SENDER, "SM31", "delivered", RECEIVED_AT, CORRELATION, recipient=RIMA)],
    ),
    Receives(
        "delivered, sent by another system",
        received("status_delivered"),
        [Receipt(SENDER, "SM31", "delivered", RECEIVED_AT, recipient=RIMA)],
    ),
    Receives(
        "undelivered",
        received("status_undelivered", query=f"m={CORRELATION}"),
        [
            Receipt(
                SENDER,
                "SM31",
                "failed",
                RECEIVED_AT,
                CORRELATION,
                ReceiptError("30005", "no_such_recipient", "the handset does not exist"),
                RIMA,
            )
        ],
    ),
    *(
        Receives(
            f"delivered at {done}",
            form_hook(payload("status_delivered") | {"RawDlrDoneDate": done}),
            [Receipt(SENDER, "SM31", "delivered", at, recipient=RIMA)],
        )
        for done, at in (
            ("2611201159", RECEIVED_AT - 70_000_000),
            ("2611201155", RECEIVED_AT - 310_000_000),
            ("2611201400", RECEIVED_AT),
            ("2611201759", RECEIVED_AT),
            ("20 Nov", RECEIVED_AT),
        )
    ),
    Receives(
        "failed for a reason we do not know",
        received("status_failed_unknown"),
        [
            Receipt(
                SENDER,
                "SM31",
                "failed",
                RECEIVED_AT,
                error=ReceiptError("39999", "refused", "failed, Twilio error 39999"),
                recipient=RIMA,
            )
        ],
    ),
]
test_sms = connector_test(maker(), CASES, sign=sign)

SERVICE_CASES: list[Case] = [
    Receives("text", received("sms_service"), [inbound("SM4", Message.of("hi"), account=SERVICE)]),
    Receives(
        "a WhatsApp sender of the service",
        form_hook(payload("whatsapp_number_and_username") | {"MessagingServiceSid": SERVICE}),
        [
            on_whatsapp(
                "SM15",
                Message.of("Hello"),
                account=SERVICE,
                sender=f"whatsapp:{RIMA}",
                also=("whatsapp:BD.77aa",),
            )
        ],
    ),
    Receives(
        "receipt",
        received("status_delivered"),
        [Receipt(SERVICE, "SM31", "delivered", RECEIVED_AT, recipient=RIMA)],
    ),
]
test_service = connector_test(maker(messaging_service_sid=SERVICE), SERVICE_CASES, sign=sign)

AGENT = "rcs:onethread_shop"
RCS_CASES: list[Case] = [
    Receives(
        "text",
        form_hook(payload("sms_text") | {"From": f"rcs:{RIMA}", "To": AGENT}),
        [inbound("SM1", Message.of("Where is my order?"), account=AGENT)],
    ),
    Receives(
        "read",
        form_hook(
            payload("status_delivered")
            | {"From": AGENT, "To": f"rcs:{RIMA}", "MessageStatus": "read", "EventType": "READ"}
        ),
        [Receipt(AGENT, "SM31", "read", RECEIVED_AT, recipient=RIMA)],
    ),
    Sends(
        "text",
        Message.of("ভালো"),
        to=RIMA,
        expect=post(
            MESSAGES,
            form={"To": f"rcs:{RIMA}", "From": AGENT, "Body": "ভালো", "StatusCallback": CALLBACK},
        ),
        reply=accepted(),
        sent="SM7",
    ),
]
test_rcs = connector_test(maker(sender=AGENT), RCS_CASES, sign=sign)


def test_where_twilio_was_told_not_to_answer_a_dialog_does() -> None:
    quiet = offline(answers_keywords=False)
    [message] = quiet.parse(form_hook(payload("sms_stop") | {"Body": "HELP"}))
    assert message == inbound("SM5", Message.of("HELP"))


NAMES = st.sampled_from(
    [
        *sorted({*payload("mms"), *payload("whatsapp_button"), *payload("status_read")}),
        *("Latitude", "Longitude", "OptOutType", "ListId", "ExternalUserId", "MediaUrl9"),
    ]
)
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from([*payload("mms").values(), *payload("status_read").values()]),
    st.sampled_from(["nan", "inf", "-91", "1e400", "STOP", "START", "whatsapp:", "true", "failed"]),
)


@given(st.sampled_from([SENDER, f"whatsapp:{SENDER}", SERVICE]), st.dictionaries(NAMES, VALUES))
def test_a_form_of_known_fields_is_always_read(account: str, changes: dict[str, str]) -> None:
    given_ = {"messaging_service_sid": account} if account == SERVICE else {"sender": account}
    hook = form_hook(payload("sms_text") | changes)
    for item in offline(**given_).parse(hook):
        assert_well_formed(item)


@given(st.binary(max_size=200), st.text(max_size=50))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes, query: str) -> None:
    hook = replace(received("sms_text"), body=body, query=query)
    for method in ("POST", "GET"):
        try:
            items = offline().parse(replace(hook, method=method))
        except HookUnreadable:
            continue
        for item in items:
            assert_well_formed(item)


def test_a_form_about_an_account_but_no_message_is_kept() -> None:
    form: dict[str, Any] = {"AccountSid": SID, "From": RIMA, "To": SENDER}
    assert offline().parse(form_hook(form)) == [Unreadable(SENDER, "MessageSid is missing", form)]


def test_a_form_about_something_else_is_unreadable() -> None:
    with pytest.raises(HookUnreadable, match="MessageSid"):
        offline().parse(form_hook({"CallSid": "CA1"}))


def test_numbers_that_may_be_forged_do_not_join_threads() -> None:
    (message,) = offline(vouches=False).parse(received("sms_text"))
    assert isinstance(message, Inbound)
    assert message.aliases == (Alias("phone", RIMA, verified=False),)
