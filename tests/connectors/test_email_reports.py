"""Mail that no person wrote: it is never answered, and bounces say what became of ours."""

import pytest

from connectors._email_write import refusal
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    Refused,
    Unreachable,
)
from hub.message import Receipt
from hub.signal import OptOut, Unreadable
from tests.connectors.letters import CORRELATION, DESK, OURS, RIMA, heard, mail, read

AUTOMATIC = [
    {"Auto_Submitted": "auto-replied"},
    {"Auto_Submitted": "auto-generated; owner-token=x"},
    {"Precedence": "bulk"},
    {"Precedence": "AUTO_REPLY"},
    {"X_Auto_Response_Suppress": "All"},
    {"X_Autoreply": "yes"},
    {"X_Autorespond": "away"},
    {"List_Id": "<shop.example.test>"},
    {"List_Unsubscribe": "<mailto:x@y>"},
    {"Return_Path": "<>"},
    {"From": "MAILER-DAEMON@mail.example.test"},
    {"From": "no-reply@mail.example.test"},
    {"Subject": "Automatic reply: order"},
    {"Subject": "Out of office"},
    {"Subject": "স্বয়ংক্রিয় উত্তর: অর্ডার"},
]


@pytest.mark.parametrize("headers", AUTOMATIC)
def test_an_automatic_mail_is_shown_and_stands_by(headers: dict[str, str]) -> None:
    message = heard(mail("I am away until Sunday", **headers)).message
    assert (message.text, message.standby) == ("I am away until Sunday", True)


@pytest.mark.parametrize("headers", [{}, {"Auto_Submitted": "no"}, {"Subject": "My office is out"}])
def test_a_persons_mail_is_answered(headers: dict[str, str]) -> None:
    assert not heard(mail("hello", **headers)).message.standby


def report(block: str, kind: str = "delivery-status", about: str = OURS) -> bytes:
    inner = "message/delivery-status" if kind == "delivery-status" else f"message/{kind}"
    return (
        f"From: MAILER-DAEMON@mx.test\r\nTo: {DESK}\r\nSubject: Undelivered\r\n"
        f"Content-Type: multipart/report; report-type={kind}; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n"
        f"--b\r\nContent-Type: {inner}\r\n\r\n{block}\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <{about}>\r\n"
        f"To: {RIMA}\r\n--b--\r\n"
    ).encode()


def status(action: str, code: str, said: str = "") -> str:
    return (
        "Reporting-MTA: dns; mx.test\r\n\r\n"
        f"Final-Recipient: rfc822; {RIMA}\r\nAction: {action}\r\nStatus: {code}\r\n{said}"
    )


@pytest.mark.parametrize(
    ("code", "error_class"),
    [
        ("5.1.1", "no_such_recipient"),
        ("5.1.10", "no_such_recipient"),
        ("5.2.2", "unreachable"),
        ("5.7.1", "refused"),
        ("4.4.7", "unreachable"),
        ("", "refused"),
    ],
)
def test_a_bounce_fails_the_mail_it_names(code: str, error_class: str) -> None:
    [found] = read(report(status("failed", code)))
    assert isinstance(found, Receipt)
    assert (found.external_id, found.correlation_id) == (OURS, CORRELATION)
    assert (found.status, found.recipient) == ("failed", RIMA)
    assert found.error
    assert (found.error.error_class, found.error.code) == (error_class, code)


def test_the_code_may_stand_in_the_servers_words_alone() -> None:
    [found] = read(report(status("failed", "", "Diagnostic-Code: smtp; 550\r\n 5.1.1 unknown")))
    assert isinstance(found, Receipt)
    assert found.error
    assert found.error.error_class == "no_such_recipient"


def test_other_reports() -> None:
    assert [r.status for r in read(report(status("delivered", "2.0.0")))] == ["delivered"]  # type: ignore[union-attr]  # a receipt, or the test fails
    assert read(report(status("delayed", "4.4.1"))) == []
    [foreign] = read(report(status("failed", "5.1.1"), about="x@elsewhere.test"))
    assert isinstance(foreign, Unreadable)
    shown = "Disposition: manual-action/MDN-sent-manually; displayed\r\n"
    shown += f"Original-Message-ID: <{OURS}>\r\n"
    [read_it] = read(report(shown, "disposition-notification"))
    assert isinstance(read_it, Receipt)
    assert read_it.status == "read"
    deleted = shown.replace("displayed", "deleted")
    assert isinstance(read(report(deleted, "disposition-notification"))[0], Unreadable)
    spam = f"Feedback-Type: abuse\r\nOriginal-Rcpt-To: <{RIMA}>\r\n"
    [stop] = read(report(spam, "feedback-report"))
    assert isinstance(stop, OptOut)
    assert (stop.sender, stop.scope) == (RIMA, "marketing")


@pytest.mark.parametrize(
    ("code", "text", "error"),
    [
        (550, "5.1.1 no such user", NoSuchRecipient),
        (551, "user not local", NoSuchRecipient),
        (553, "5.1.3 bad address", NoSuchRecipient),
        (550, "no", NoSuchRecipient),
        (552, "5.2.2 mailbox full", Unreachable),
        (452, "4.2.2 mailbox full", Unreachable),
        (552, "5.3.4 too big", MediaFailed),
        (550, "5.7.1 spam", Blocked),
        (550, "5.7.26 dmarc", Blocked),
        (421, "try later", Unreachable),
        (450, "4.7.1 greylisted", Busy),
        (451, "4.7.500 busy", Busy),
        (535, "5.7.8 bad password", Misconfigured),
        (530, "log in first", Misconfigured),
        (554, "no", Refused),
    ],
)
def test_what_a_mail_server_says_has_its_error(code: int, text: str, error: type) -> None:
    found = refusal(code, text)
    assert type(found) is error
    assert (text.partition(" ")[2] or text + "!") not in found.reason
