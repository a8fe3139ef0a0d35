"""Which webhooks are genuine. The vectors were computed with twilio-python 9.13.0."""

import base64
import hashlib
import hmac
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from twilio.request_validator import RequestValidator  # type: ignore[import-untyped]  # no types

from hub.connector import (
    Hook,
    HookAnswer,
)
from hub.errors import (
    HookRejected,
    HookUnreadable,
)
from hub.message import (
    Inbound,
    Message,
)
from tests.connectors.kit import (
    CORRELATION,
    HOOK_URL,
    RECEIVED_AT,
    with_headers,
)
from tests.connectors.twilio_account import (
    KEY,
    RIMA,
    SENDER,
    TOKEN,
    inbound,
    offline,
    payload,
    received,
    signature,
)

URL = "https://hub.example.test/webhooks/twilio/sms?inbox=7"
FIELDS = {
    "AccountSid": "AC1",
    "Body": "ধন্যবাদ & ok+",
    "From": RIMA,
    "FromCity": "",
    "MessageSid": "SM1",
    "NumMedia": "0",
    "To": SENDER,
}
SHA1 = "XvB1agHXWaURlyvLBGfQ1hPUDlE="
SHA256 = "SokwSkHTTRBt/gwN8bXocBKIgioSlb0QUK5Pk0zbTCg="
BY_KEY = "key=wsk_demo,algorithm=HMAC_SHA256"


def signed(value: str, settings: str = "", *, url: str = URL, **changes: str) -> Hook:
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "x-twilio-signature": value,
    }
    if settings:
        headers["x-twilio-webhooks-signature-settings"] = settings
    body = urlencode(FIELDS | changes).encode()
    return Hook("POST", url, url.partition("?")[2], headers, body, RECEIVED_AT)


@pytest.mark.parametrize("hook", [signed(SHA1), signed(SHA256, BY_KEY)], ids=["SHA1", "SHA256"])
def test_worked_signatures(hook: Hook) -> None:
    offline(account_sid="AC1").check(hook)


@pytest.mark.parametrize(
    "hook",
    [
        signed("1g5fVlUjSUD4Kz8yaw32HM21l+g="),  # of the form without its blank field
        signed(SHA1, BY_KEY),
        signed(SHA256),
        signed(SHA256, "key=wsk_other,algorithm=HMAC_SHA256"),
        signed(SHA256, "algorithm=HMAC_SHA256"),
        signed(SHA256, "key=wsk_demo,algorithm=HMAC_SHA512"),
        signed(SHA256, "key=wsk_demo"),
        signed(SHA1, url=URL + "0"),
        signed(SHA1, FromCity="Dhaka"),
    ],
)
def test_other_signatures_are_refused(hook: Hook) -> None:
    with pytest.raises(HookRejected):
        offline(account_sid="AC1").check(hook)


def test_a_name_that_comes_twice_is_signed_once_a_value_and_read_as_the_first() -> None:
    repeated = [("Body", "b"), ("Body", "a"), ("Body", "b"), *payload("sms_text").items()]
    rest = sorted((name, value) for name, value in repeated if name != "Body")
    bodies = [("Body", value) for value in sorted({v for name, v in repeated if name == "Body"})]
    whole = HOOK_URL + "".join(name + value for name, value in sorted(rest + bodies))
    digest = hmac.new(TOKEN.encode(), whole.encode(), hashlib.sha1).digest()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-twilio-signature": base64.b64encode(digest).decode(),
    }
    hook = Hook("POST", HOOK_URL, "", headers, urlencode(repeated).encode(), RECEIVED_AT)
    offline().check(hook)
    [said] = offline().parse(hook)
    assert isinstance(said, Inbound)
    assert said.message.text == "b"


def test_keys_and_algorithms_that_are_not_configured() -> None:
    with pytest.raises(HookRejected, match="not configured"):
        offline(account_sid="AC1", shared_keys={}).check(signed(SHA256, BY_KEY))
    with pytest.raises(HookRejected, match="not configured"):
        offline(account_sid="AC1").check(signed(SHA256, BY_KEY.replace("256", "512")))


def test_another_account_of_the_same_token() -> None:
    with pytest.raises(HookRejected, match="AccountSid"):
        offline(account_sid="AC2").check(signed(SHA1))


@pytest.mark.parametrize("told", ["https://hub.example", "https://hub.example:443"])
@pytest.mark.parametrize("called", ["https://hub.example", "https://hub.example:443"])
def test_the_default_port_may_be_named_or_not(told: str, called: str) -> None:
    path = "/hooks/sms?x=%2B1&a=b"
    value = RequestValidator(TOKEN).compute_signature(called + path, FIELDS)
    offline(account_sid="AC1").check(signed(value, url=told + path))


JSON_URL = (
    "https://hub.example.test/webhooks/twilio/json"
    "?bodySHA256=f9928d8157b181bb05b883c952d7aa91aec432eec172673f5636a7562884257e"
)
JSON = Hook(
    "POST",
    JSON_URL,
    JSON_URL.partition("?")[2],
    {"content-type": "application/json", "x-twilio-signature": "t179FBRJZyn75w+YzzjspT4EJu0="},
    b'{"type":"x","n":1}',
    RECEIVED_AT,
)


def test_a_json_body_is_covered_by_its_hash() -> None:
    connector = offline()
    connector.check(JSON)
    with pytest.raises(HookUnreadable, match="not a form"):
        connector.parse(JSON)
    with pytest.raises(HookRejected, match="bodySHA256"):
        connector.check(replace(JSON, body=JSON.body + b" "))


def test_a_json_body_without_a_hash_is_refused() -> None:
    bare = replace(JSON, url=HOOK_URL, query="")
    value = RequestValidator(TOKEN).compute_signature(HOOK_URL, {})
    with pytest.raises(HookRejected, match="bodySHA256"):
        offline().check(with_headers(bare, {"x-twilio-signature": value}))


def test_a_get_webhook_has_its_fields_in_the_url() -> None:
    query = urlencode(payload("sms_text"))
    url = f"{HOOK_URL}?{query}"
    value = RequestValidator(TOKEN).compute_signature(url, {})
    hook = Hook("GET", url, query, {"x-twilio-signature": value}, b"", RECEIVED_AT)
    connector = offline()
    connector.check(hook)
    assert connector.parse(hook) == [inbound("SM1", Message.of("Where is my order?"))]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"Body=%ff", "UTF-8"),
        (b"Body=\xff", "UTF-8"),
        (b"&".join([b"a=b"] * 501), "UTF-8"),
        (b"a" * (1024 * 1024 + 1), "1 MiB"),
    ],
)
def test_forms_that_are_not_read_before_they_are_proven(body: bytes, reason: str) -> None:
    with pytest.raises(HookRejected, match=reason):
        offline().check(replace(signed(SHA1), body=body))


def test_a_url_that_cannot_be_encoded_is_refused() -> None:
    with pytest.raises(HookRejected):
        offline().check(signed(SHA1, url=URL + "&a=\udcff"))


def test_ours_and_the_sdk_sign_alike() -> None:
    hook = received("sms_bangla", query=f"m={CORRELATION}")
    assert signature(hook, TOKEN, "sha1") == RequestValidator(TOKEN).compute_signature(
        hook.url, payload("sms_bangla")
    )


def test_the_answer_is_empty_twiml() -> None:
    assert offline().answer(JSON) == HookAnswer(b"<Response/>", "text/xml", 200)


@pytest.mark.parametrize(
    "name", ["whatsapp_button", "whatsapp_location", "whatsapp_username", "whatsapp_list"]
)
@pytest.mark.parametrize("algorithm", ["HMAC_SHA1", "HMAC_SHA256"])
def test_twilios_own_signer_is_believed_on_whatsapp(name: str, algorithm: str) -> None:
    """With blank fields and with some that nobody has heard of."""
    fields = payload(name) | {"WaId": "", "FutureField": "ভবিষ্যৎ +&=", "futurefield": ""}
    url = f"{HOOK_URL}?m={CORRELATION}"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    if algorithm == "HMAC_SHA1":
        value = RequestValidator(TOKEN).compute_signature(url, fields)
    else:
        value = RequestValidator(KEY).compute_signature(url, fields, algorithm)
        headers["x-twilio-webhooks-signature-settings"] = BY_KEY
    body = urlencode(fields).encode()
    hook = Hook("POST", url, url.partition("?")[2], headers, body, RECEIVED_AT)
    genuine = with_headers(hook, {"x-twilio-signature": value})
    line = offline(sender=f"whatsapp:{SENDER}")
    line.check(genuine)
    [item] = line.parse(genuine)
    assert isinstance(item, Inbound)
    with pytest.raises(HookRejected):
        line.check(replace(genuine, body=body.replace(b"&futurefield=", b"")))
    with pytest.raises(HookRejected):
        line.check(replace(genuine, body=body + b"&futurefield=x"))
