"""Mail as Mailgun, Postmark and SendGrid hand it over, and who may hand any over."""

import base64
import hmac
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.email import Email
from hub.connector import Hook, Http
from hub.errors import HookRejected, HookUnreadable, SettingsError
from hub.message import Alias, Inbound, Message, Profile
from tests.connectors import kit
from tests.connectors.letters import DESK, RIMA, hook, mail, mailbox
from tests.connectors.oddities import assert_well_formed, odd_bodies

SECRET = "hook:mail-s3cret"
BANGLA = "আমার অর্ডার কোথায়?"
AT = 1795176000
FILE = base64.b64encode(b"%PDF-1").decode()
POSTMARK = {
    "From": RIMA,
    "FromFull": {"Email": RIMA, "Name": "Rima"},
    "To": DESK,
    "Subject": "অর্ডার",
    "Date": "Fri, 20 Nov 2026 12:00:00 +0000",
    "MessageID": "73e6d360-66eb-11e1-8e72-a8904824019b",
    "TextBody": f"{BANGLA}\n\nOn Friday Desk wrote:\n> old",
    "HtmlBody": "<p>x</p>",
    "StrippedTextReply": BANGLA,
    "Headers": [
        {"Name": "Message-ID", "Value": "<a1@mail.example.test>"},
        {"Name": "From", "Value": f"Rima Akter <{RIMA}>"},
        {"Name": "In-Reply-To", "Value": "<out-7@desk.example.test>"},
    ],
    "Attachments": [
        {"Name": "রসিদ.pdf", "Content": FILE, "ContentType": "application/pdf", "ContentID": ""},
    ],
}


def make(inbound: str, http: Http, api_base: str) -> Email:
    return mailbox(http, inbound=inbound)


def sign(given: Hook) -> Hook:
    pair = base64.b64encode(SECRET.encode()).decode()
    return kit.with_headers(given, {"authorization": f"Basic {pair}"})


HEARD = Inbound(
    account=DESK,
    sender=RIMA,
    external_id="a1@mail.example.test",
    dedupe_key="a1@mail.example.test",
    message=kit.ANY,
    sent_at=AT * 1_000_000,
    reply_to=kit.ANY,
    aliases=(Alias("email", RIMA, verified=False),),
    profile=Profile(name="Rima Akter"),
)
test_postmark = kit.connector_test(
    partial(make, "postmark"),
    [kit.Receives("a mail", kit.json_hook(POSTMARK), [HEARD])],
    sign=sign,
    signs_body=False,
)


def only(connector: Email, given: Hook) -> Message:
    connector.check(given)
    [found] = connector.parse(given)
    assert isinstance(found, Inbound)
    assert_well_formed(found)
    return found.message


def test_postmark_has_cut_the_quotes_and_the_files_are_there() -> None:
    connector, given = mailbox(inbound="postmark"), sign(kit.json_hook(POSTMARK))
    message = only(connector, given)
    assert (message.text, message.subject) == (BANGLA, "অর্ডার")
    assert [(m.name, m.mime, m.size) for m in message.media] == [("রসিদ.pdf", "application/pdf", 6)]
    assert dict(connector.carried(given)) == {message.media[0].sha256: b"%PDF-1"}


def multipart(fields: dict[str, str], *files: tuple[str, str, bytes]) -> Hook:
    parts = [
        f'--b\r\nContent-Disposition: form-data; name="{k}"\r\n\r\n{v}\r\n'
        for k, v in fields.items()
    ]
    body = "".join(parts).encode()
    for name, shown, content in files:
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="{shown}"\r\n'
        body += head.encode() + b"Content-Type: application/pdf\r\n\r\n" + content + b"\r\n"
    return hook(body + b"--b--\r\n", "multipart/form-data; boundary=b")


SENDGRID = {
    "headers": f"From: Rima <{RIMA}>\nTo: {DESK}\nSubject: x\nMessage-ID: <a1@x>\n",
    "from": f"Rima <{RIMA}>",
    "to": DESK,
    "subject": "x",
    "text": BANGLA,
    "html": f"<p>{BANGLA}</p>",
    "envelope": '{"to":["support@desk.example.test"],"from":"rima@mail.example.test"}',
    "attachments": "1",
    "attachment-info": '{"attachment1":{"filename":"a.pdf","content-id":"p1"}}',
    "charsets": '{"to":"UTF-8","text":"UTF-8"}',
}


def test_sendgrid_by_fields_and_by_the_whole_mail() -> None:
    connector = mailbox(inbound="sendgrid")
    given = sign(multipart(SENDGRID, ("attachment1", "a.pdf", b"%PDF-\x00\xff")))
    message = only(connector, given)
    assert (message.text, message.subject) == (BANGLA, "x")
    assert (message.media[0].content_id, message.media[0].size) == ("p1", 7)
    assert dict(connector.carried(given))[message.media[0].sha256] == b"%PDF-\x00\xff"
    raw = sign(multipart({"email": bytes(mail(BANGLA)).decode(), "to": DESK}))
    assert only(connector, raw).subject == "অর্ডার"


def mailgun(key: str = SECRET, at: int = AT, **changes: str) -> Hook:
    token = "tok" * 16 + "xx"
    fields = {
        "timestamp": str(at),
        "token": token,
        "signature": hmac.digest(key.encode(), f"{at}{token}".encode(), "sha256").hex(),
        "recipient": DESK,
        "sender": RIMA,
        "from": f"Rima <{RIMA}>",
        "subject": "অর্ডার",
        "body-plain": f"{BANGLA}\n> old",
        "stripped-text": BANGLA,
        "message-headers": '[["Message-Id","<a1@mail.example.test>"],["In-Reply-To","<o7@x>"]]',
    } | changes
    return hook(urlencode(fields).encode(), "application/x-www-form-urlencoded")


def test_mailgun_by_fields_and_by_the_whole_mail() -> None:
    connector = mailbox(inbound="mailgun")
    message = only(connector, mailgun())
    assert (message.text, message.subject) == (BANGLA, "অর্ডার")
    raw = bytes(mail(BANGLA, Subject="whole")).decode()
    assert only(connector, mailgun(SECRET, AT, **{"body-mime": raw})).subject == "whole"


def test_a_form_that_is_played_again_is_the_same_message() -> None:
    connector = mailbox(inbound="mailgun")
    for form in (mailgun(), mailgun(SECRET, AT, **{"message-headers": "[]"})):
        [first], [again] = connector.parse(form), connector.parse(form)
        assert isinstance(first, Inbound)
        assert isinstance(again, Inbound)
        assert first.dedupe_key == again.dedupe_key != ""


def test_mailguns_signature_is_as_its_own_example_says() -> None:
    token, key = "tok" * 16 + "xx", "mg-key-demo"
    signature = hmac.digest(key.encode(), f"1795176000{token}".encode(), "sha256").hex()
    assert signature == "fbec05bd76e4a3df98804bcbc81c647acb566571ecf5d163d13d1eabcee37bcf"
    mailbox(inbound="mailgun", secret=key).check(mailgun(key))


@pytest.mark.parametrize(
    "forged",
    [
        mailgun("another key"),
        mailgun(at=AT - 400),
        mailgun(at=AT + 400),
        mailgun(signature=""),
        mailgun(timestamp="x"),
        mailgun(token="other"),
        hook(b"", "application/x-www-form-urlencoded"),
        hook(b"\xff\xfe", "multipart/form-data"),
    ],
)
def test_a_forged_or_old_mailgun_form_is_refused(forged: Hook) -> None:
    with pytest.raises(HookRejected):
        mailbox(inbound="mailgun").check(forged)


@pytest.mark.parametrize("inbound", ["postmark", "sendgrid", "raw"])
def test_others_need_the_password_or_the_token(inbound: str) -> None:
    connector, given = mailbox(inbound=inbound), hook(mail("hi"))
    connector.check(sign(given))
    connector.check(replace(given, query="token=hook:mail-s3cret"))
    for fake in (
        given,
        replace(given, query="token="),
        replace(given, query="token=hook"),
        kit.with_headers(given, {"authorization": "Basic !!"}),
        kit.with_headers(given, {"authorization": "Bearer hook:mail-s3cret"}),
    ):
        with pytest.raises(HookRejected):
            connector.check(fake)


def test_a_mailbox_that_is_read_by_imap_takes_no_webhook() -> None:
    connector = mailbox(inbound="", imap={"host": "127.0.0.1"})
    with pytest.raises(HookRejected):
        connector.check(sign(hook(mail("hi"))))


def test_odd_fields_of_a_form_cost_nothing_else() -> None:
    connector = mailbox(inbound="mailgun")
    for _, body in odd_bodies(mailgun()):
        try:
            items = connector.parse(replace(mailgun(), body=body))
        except HookUnreadable:
            continue
        for item in items:
            assert_well_formed(item)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from([*POSTMARK, "Name", "Value", "Content"]), inner, max_size=6
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=100, deadline=None, derandomize=True)
@given(JSONISH, st.binary(max_size=80))
def test_anything_at_all_raises_nothing_else(value: Any, raw: bytes) -> None:
    for inbound, body, kind in (
        ("postmark", orjson.dumps(value), "application/json"),
        ("mailgun", raw, "multipart/form-data; boundary=b"),
        ("sendgrid", b"--b\r\n" + raw, "multipart/form-data; boundary=b"),
        ("raw", raw, "message/rfc822"),
    ):
        try:
            items = mailbox(inbound=inbound).parse(hook(body, kind))
        except HookUnreadable:
            continue
        for item in items:
            assert_well_formed(item)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"address": "desk"}, "address: is no e-mail address"),
        ({"smtp": {"port": 1}}, "smtp.host: is required"),
        ({"smtp": {"host": "x", "pasword": "y"}}, "smtp.pasword: is not a setting"),
        ({"imap": {"host": "x"}}, "has both imap and inbound"),
        ({"secret": ""}, "inbound needs a secret"),
        ({"inbound": "mailjet"}, "inbound: "),
    ],
)
def test_wrong_settings_are_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        mailbox(**changes)
    assert named in str(caught.value)
    assert "s3cret" not in str(caught.value)
