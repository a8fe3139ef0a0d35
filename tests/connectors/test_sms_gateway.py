"""SMS gateways by settings: the three of docs/sms-gateway.md, call by call and hook by hook."""

import hmac
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

import pytest

from hub.connector import Hook, Http
from hub.errors import (
    Busy,
    HookRejected,
    Misconfigured,
    NoSuchRecipient,
    OutcomeUnknown,
    Refused,
    Unreachable,
)
from hub.message import Alias, Inbound, Message, Receipt, ReceiptError
from hub.signal import OptOut, Parsed, Unreadable
from tests.connectors import kit
from tests.connectors.gateways import GATEWAYS, gateway
from tests.connectors.oddities import assert_well_formed

HERS = "+8801711000001"
TEXT = Message.of("Your parcel leaves on Thursday")
BANGLA = Message.of("আপনার পার্সেল বৃহস্পতিবার যাবে")
DHAKA = timezone(timedelta(hours=6))
AT = round(datetime(2026, 11, 20, 18, 0, tzinfo=DHAKA).timestamp() * 1_000_000)


# One way

KEY = "MASKED_SMS_KEY-s3cret"


def masked_call(message: Message) -> kit.Expected:
    form = {"api_key": KEY, "senderid": "AYESHASHOP", "number": HERS[1:], "message": message.text}
    return kit.post("/api/smsapi", form=form)


def said(code: int, **more: Any) -> kit.Reply:
    return kit.ok({"response_code": code, **more})


ONE_WAY: list[kit.Case] = [
    kit.Sends("text", TEXT, masked_call(TEXT), said(202, message_id=77), "77", to=HERS),
    kit.Sends("bangla", BANGLA, masked_call(BANGLA), said(202, message_id="x1"), "x1", to=HERS),
    kit.Sends("a wrong number", TEXT, reply=said(1001), fails=NoSuchRecipient(code="1001")),
    kit.Sends("no balance", TEXT, reply=said(1007), fails=Misconfigured(code="1007")),
    kit.Sends("its own trouble", TEXT, reply=said(1005), fails=Unreachable(code="1005")),
    kit.Sends("an unlisted code", TEXT, reply=said(1031), fails=Refused(code="1031")),
    kit.Sends("accepted without an id", TEXT, reply=said(202), fails=OutcomeUnknown),
    kit.Sends("key refused", TEXT, reply=kit.status(401), fails=Misconfigured),
    kit.Sends("400", TEXT, reply=kit.status(400), fails=Refused(code="400")),
]
test_one_way = kit.connector_test(partial(gateway, "masked"), ONE_WAY, sign=lambda hook: hook)


def test_a_one_way_gateway_takes_no_webhook() -> None:
    with pytest.raises(HookRejected):
        offline("masked").check(kit.form_hook({"from": HERS, "text": "hi"}))


# Two ways, by GET


def sent_by_get(message: str, unicode: str) -> kit.Expected:
    quoted = {
        "Dhaka + 2%": "Dhaka%20%2B%202%25",
        "হ্যাঁ": "%E0%A6%B9%E0%A7%8D%E0%A6%AF%E0%A6%BE%E0%A6%81",
    }
    return kit.get(
        "/sendtext",
        query="apikey=LONGCODE_KEY-s3cret&secretkey=LONGCODE_SECRET-s3cret"
        f"&callerID=8809612000000&toUser=8801711000001&messageContent={quoted[message]}"
        f"&type={unicode}",
    )


def took(status: int, text: str) -> kit.Reply:
    return kit.ok({"Status": str(status), "Text": text, "Message_ID": "194234"})


TWO_WAYS: list[kit.Case] = [
    kit.Sends(
        "text, with a plus", Message.of("Dhaka + 2%"), sent_by_get("Dhaka + 2%", "text"),
        took(0, "ACCEPTD"), "194234", to=HERS,
    ),
    kit.Sends(
        "bangla", Message.of("হ্যাঁ"), sent_by_get("হ্যাঁ", "unicode"), took(0, "ACCEPTD"),
        "194234", to=HERS,
    ),
    kit.Sends("refused account", TEXT, reply=took(109, "REJECTD"), fails=Misconfigured),
    kit.Sends("too many", TEXT, reply=took(117, "REJECTD"), fails=Busy(code="117")),
]  # fmt: skip
test_two_ways = kit.connector_test(partial(gateway, "longcode"), TWO_WAYS, sign=lambda hook: hook)


def offline(name: str, **changes: Any) -> Any:
    return gateway(name, Http(None), "http://127.0.0.1:9", **changes)  # type: ignore[arg-type]  # no call is made


def by_get(query: str) -> Hook:
    return Hook("GET", f"{kit.HOOK_URL}?{query}", query, {}, b"", kit.RECEIVED_AT)


TOKEN = "token=LONGCODE_TOKEN-s3cret"


def heard(connector: Any, query: str) -> list[Parsed]:
    """What a query is read as, raw Bangla or percent-encoded."""
    hook = by_get(query)
    connector.check(hook)
    assert "GET" in connector.methods
    items: list[Parsed] = connector.parse(hook)
    for item in items:
        assert_well_formed(item)
    return items


@pytest.mark.parametrize(
    "given",
    ["8801711000001", "%2B8801711000001", "+8801711000001", "01711000001", "008801711000001"],
)
def test_a_number_is_read_however_it_is_written(given: str) -> None:
    """A bare plus of a query is a space by the time it is read."""
    [item] = heard(offline("longcode"), f"{TOKEN}&mobile={given}&msg=hi")
    assert isinstance(item, Inbound)
    assert (item.sender, item.aliases) == (HERS, (Alias("phone", HERS),))


def test_a_short_code_or_name_is_a_sender_without_a_number() -> None:
    for name in ("16263", "bKash"):
        [item] = heard(offline("longcode"), f"{TOKEN}&mobile={name}&msg=hi")
        assert isinstance(item, Inbound)
        assert (item.sender, item.aliases) == (name, ())


def test_what_the_gateway_repeats_is_one_message() -> None:
    """It gives neither id nor time: equal messages of five minutes are one, later ones are not."""
    connector = offline("longcode")
    hook = by_get(f"{TOKEN}&mobile=8801711000001&msg=yes")
    start = kit.RECEIVED_AT // 300_000_000 * 300_000_000
    keys = [
        connector.parse(replace(hook, received_at=start + seconds * 1_000_000))[0].dedupe_key
        for seconds in (1, 200, 400)
    ]
    assert keys[0] == keys[1] != keys[2]
    other = by_get(f"{TOKEN}&mobile=8801711000001&msg=no")
    assert connector.parse(replace(other, received_at=start))[0].dedupe_key not in keys


def test_without_repeats_each_is_its_own_message() -> None:
    fields = GATEWAYS["longcode"]["hook"]["message"] | {"redelivers": False}
    connector = offline("longcode", hook=GATEWAYS["longcode"]["hook"] | {"message": fields})
    hook = by_get(f"{TOKEN}&mobile=8801711000001&msg=yes")
    first, second = (
        connector.parse(hook),
        connector.parse(replace(hook, received_at=hook.received_at + 1)),
    )
    assert first[0].dedupe_key != second[0].dedupe_key


def test_the_gateway_hears_its_word() -> None:
    answer = offline("longcode").answer(by_get(TOKEN))
    assert (answer.body, answer.content_type) == (b"ACK", "text/plain")


@pytest.mark.parametrize(
    "query", ["", "token=", "token=x", TOKEN[:-1], TOKEN + "0", "token=%C3%BC"]
)
def test_a_wrong_token_is_no_webhook(query: str) -> None:
    with pytest.raises(HookRejected):
        offline("longcode").check(by_get(query + "&mobile=8801711000001&msg=hi"))


@pytest.mark.parametrize(("word", "on"), [("Stop", True), ("বন্ধ", True), ("start", False)])
def test_words_opt_out_and_in(word: str, on: bool) -> None:
    message, signal = heard(offline("longcode"), f"{TOKEN}&mobile=8801711000001&msg={word}")
    assert isinstance(message, Inbound)
    assert message.message.text == word
    assert signal == OptOut("8809612000000", HERS, kit.RECEIVED_AT, on=on)


def test_a_form_is_read_as_well() -> None:
    hook = kit.form_hook({"mobile": "8801711000001", "msg": "হ্যালো"}, query=TOKEN)
    connector = offline("longcode")
    connector.check(hook)
    assert connector.parse(hook)[0].message.text == "হ্যালো"


# Two ways, with reports


def sign(hook: Hook) -> Hook:
    secret = b"REPORTING_SECRET-s3cret"
    signature = "sha256=" + hmac.digest(secret, hook.body, "sha256").hex()
    return kit.with_headers(hook, {"x-signature": signature})


def message_item(**more: Any) -> dict[str, Any]:
    given = {"msisdn": "8801711000001", "sms": "আমার অর্ডার?", "reference_id": "r1"}
    return given | {"time": "2026-11-20 18:00:00"} | more


def report_item(**more: Any) -> dict[str, Any]:
    given = {"reference_id": "r9", "csms_id": kit.CORRELATION, "sms_status": "DELIVRD"}
    return given | {"time": "2026-11-20 18:00:00"} | more


def inbound(**more: Any) -> Inbound:
    fields: dict[str, Any] = {
        "account": "8809638000000",
        "sender": HERS,
        "external_id": "r1",
        "dedupe_key": "r1",
        "message": Message.of("আমার অর্ডার?"),
        "sent_at": AT,
        "aliases": (Alias("phone", HERS),),
    }
    return Inbound(**fields | more)


def receipt(status: Any, error: ReceiptError | None = None) -> Receipt:
    return Receipt("8809638000000", "r9", status, AT, correlation_id=kit.CORRELATION, error=error)


def failed(word: str, error_class: str, code: str = "") -> Receipt:
    return receipt("failed", ReceiptError(code or word, error_class, f"the gateway says {word}"))


CALL = kit.post(
    "/api/v3/send-sms",
    json={
        "api_token": "REPORTING_TOKEN-s3cret",
        "sid": "8809638000000",
        "msisdn": "8801711000001",
        "sms": BANGLA.text,
        "csms_id": kit.CORRELATION,
    },
)
TAKEN = {"status": "SUCCESS", "status_code": 200, "smsinfo": [{"reference_id": "r9"}]}
WEBHOOK = {
    "events": [
        message_item(),
        7,
        report_item(),
        message_item(msisdn="", reference_id="r2"),
        report_item(sms_status="undeliv"),
        report_item(sms_status="REJECTD", error_code="E7"),
        report_item(sms_status="DND"),
        report_item(sms_status="4"),
        report_item(sms_status="SOMETHING"),
        report_item(reference_id="", csms_id=""),
        message_item(reference_id="r3", time=1795176000, sms="later"),
    ]
}
READ = [
    inbound(),
    Unreadable("8809638000000", "neither a message nor a delivery report", 7),
    receipt("delivered"),
    Unreadable("8809638000000", "msisdn is missing", kit.ANY),
    failed("UNDELIV", "unreachable"),
    failed("REJECTD", "refused", "E7"),
    failed("DND", "refused"),
    receipt("sent"),
    Unreadable("8809638000000", "the status 'SOMETHING' is not known", kit.ANY),
    Unreadable("8809638000000", "a delivery report of no message", kit.ANY),
    # The settings give a format that this time has not: it is when the webhook came.
    inbound(
        external_id="r3", dedupe_key="r3", message=Message.of("later"), sent_at=kit.RECEIVED_AT
    ),
]
REPORTING: list[kit.Case] = [
    kit.Receives("a batch of all", kit.json_hook(WEBHOOK), READ),
    kit.Sends("bangla", BANGLA, CALL, kit.ok(TAKEN), "r9", to=HERS),
    kit.Sends("token refused", TEXT, reply=kit.ok({"status_code": 4001}), fails=Misconfigured),
    kit.Sends("a wrong number", TEXT, reply=kit.ok({"status_code": 4025}), fails=NoSuchRecipient),
    kit.Sends("an unknown code", TEXT, reply=kit.ok({"status_code": 4999}), fails=Refused),
]
test_reporting = kit.connector_test(partial(gateway, "reporting"), REPORTING, sign=sign)
