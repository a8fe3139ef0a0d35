"""Mailboxes and mails for the tests of e-mail."""

from email.message import EmailMessage
from typing import Any

from connectors.email import Email
from hub.connector import ChannelRef, Hook, Http
from hub.message import Inbound
from hub.settings import validate_channel
from hub.signal import Parsed
from tests.connectors.kit import HOOK_URL, RECEIVED_AT

DESK, RIMA = "support@desk.example.test", "rima@mail.example.test"
CORRELATION = "0123456789abcdef0123456789abcdef"
OURS = f"{CORRELATION}.onethread@desk.example.test"
SMTP = {"host": "127.0.0.1", "port": 9, "security": "none", "password": "smtp-s3cret"}


def mailbox(http: Http | None = None, **changes: Any) -> Email:
    raw = {"kind": "email", "address": DESK, "name": "Desk", "smtp": SMTP, "inbound": "raw"}
    raw |= {"secret": "hook:mail-s3cret", "trusted": "mx.desk.example.test"} | changes
    settings = validate_channel("mail", raw, Email.Settings)
    return Email(ChannelRef(bytes(16), "mail", "email", HOOK_URL), settings, http or Http(None))  # type: ignore[arg-type]  # parse makes no call


def mail(text: str = "", *, html: str = "", **headers: str) -> EmailMessage:
    """A mail from Rima; names of headers are written with underscores."""
    given = {
        "From": f"Rima Akter <{RIMA}>",
        "To": DESK,
        "Subject": "অর্ডার",
        "Message-ID": "<a1@mail.example.test>",
        "Date": "Fri, 20 Nov 2026 12:00:00 +0000",
    }
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    made = EmailMessage()
    for name, value in given.items():
        if value:
            made[name] = value
    if text:
        made.set_content(text)
    if html:
        (made.add_alternative if text else made.set_content)(html, subtype="html")
    return made


def hook(body: bytes | EmailMessage, content_type: str = "message/rfc822", **more: str) -> Hook:
    raw = bytes(body) if isinstance(body, EmailMessage) else body
    headers = {"content-type": content_type, **more}
    return Hook("POST", HOOK_URL, "", headers, raw, RECEIVED_AT)


def read(body: bytes | EmailMessage, **changes: Any) -> list[Parsed]:
    return mailbox(**changes).parse(hook(body))


def heard(body: bytes | EmailMessage, **changes: Any) -> Inbound:
    """The one message of a mail."""
    [found] = read(body, **changes)
    assert isinstance(found, Inbound)
    return found
