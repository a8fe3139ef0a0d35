"""Mail as Mailgun, Postmark and SendGrid hand it over, and raw.

Mailgun routes, Postmark inbound and SendGrid Inbound Parse, as documented in 2026-11.
"""

import base64
import hmac
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl

import orjson

from connectors._email_parts import (
    PATIENCE,
    Attachment,
    Letter,
    content_of,
    decoded,
    file_name,
    is_too_much,
    mailboxes,
    one_line,
    read_mail,
    safe_name,
)
from hub.clock import SECOND
from hub.connector import Hook
from hub.errors import HookRejected, HookUnreadable

FRESH = 300


class Form:
    """The fields and files of a posted form. Raises HookUnreadable."""

    def __init__(self, hook: Hook) -> None:
        self.fields: dict[str, str] = {}
        self.files: list[tuple[str, Attachment]] = []
        kind = hook.headers.get("content-type", "")
        if kind.startswith("multipart/form-data"):
            self._read_parts(kind, hook.body)
        else:
            pairs = parse_qsl(hook.body.decode("utf-8", "replace"), keep_blank_values=True)
            self.fields = {name: value.replace("\0", "") for name, value in pairs}

    def _read_parts(self, kind: str, body: bytes) -> None:
        head = b"MIME-Version: 1.0\r\nContent-Type: " + kind.encode("latin-1", "replace")
        if is_too_much(body):
            raise HookUnreadable("the form has too many parts")
        try:
            mail = BytesParser(policy=PATIENCE).parsebytes(head + b"\r\n\r\n" + body)
        except (RecursionError, AttributeError, ValueError, LookupError, TypeError):
            raise HookUnreadable("the form's parts cannot be taken apart") from None
        parts = mail.get_payload() if mail.is_multipart() else ()
        for part in parts:
            if not isinstance(part, EmailMessage):
                continue
            name = str(part.get_param("name", "", header="content-disposition") or "")
            content = content_of(part)
            if shown := file_name(part):
                mime = part.get_content_type()
                self.files.append((name, Attachment(shown, mime, content)))
            else:
                self.fields[name] = decoded(content, "utf-8")

    def get(self, name: str) -> str:
        return self.fields.get(name, "")


def check_mailgun(hook: Hook, key: str) -> None:
    """The signature is in the form: an HMAC of time and token. Raises HookRejected."""
    try:
        form = Form(hook)
    except (HookUnreadable, ValueError):
        raise HookRejected("the form cannot be read") from None
    timestamp, token = form.get("timestamp"), form.get("token")
    right = hmac.digest(key.encode(), (timestamp + token).encode("utf-8", "replace"), "sha256")
    given = form.get("signature").encode("utf-8", "replace")
    if not hmac.compare_digest(given, right.hex().encode()):
        raise HookRejected("the form's signature is wrong or missing")
    fresh = timestamp.isdecimal() and len(timestamp) < 12
    if not fresh or abs(hook.received_at // SECOND - int(timestamp)) > FRESH:
        raise HookRejected("the form was signed more than five minutes ago")


def read_mailgun(hook: Hook) -> Letter:
    form = Form(hook)
    if raw := form.get("body-mime"):
        return read_mail(raw.encode("utf-8", "surrogateescape"))
    pairs = json_of(form.get("message-headers"))
    headers = headers_of(pairs if isinstance(pairs, list) else [])
    for name in ("from", "subject", "sender", "recipient"):
        headers.setdefault(name, [one_line(form.get(name))])
    if not (headers["from"][0] or form.get("sender")):
        raise HookUnreadable("the form is no mail")
    letter = Letter(headers, form.get("body-plain"), form.get("body-html"))
    letter.reply = form.get("stripped-text")
    named = json_of(form.get("content-id-map"))
    places = {v: k.strip("<>") for k, v in named.items()} if isinstance(named, dict) else {}
    letter.attachments = [with_id(one, str(places.get(name, ""))) for name, one in form.files]
    return letter


def read_sendgrid(hook: Hook) -> Letter:
    form = Form(hook)
    if raw := form.get("email"):
        return read_mail(raw.encode("utf-8", "surrogateescape"))
    if not (form.get("headers") or form.get("from")):
        raise HookUnreadable("the form is no mail")
    mail = read_mail(form.get("headers").encode("utf-8", "replace") + b"\r\n\r\n")
    for name in ("from", "to", "subject"):
        mail.headers.setdefault(name, [one_line(form.get(name))])
    letter = Letter(mail.headers, form.get("text"), form.get("html"))
    told = json_of(form.get("attachment-info"))
    for name, one in form.files:
        facts = told.get(name) if isinstance(told, dict) else None
        given = facts.get("content-id") if isinstance(facts, dict) else ""
        letter.attachments.append(with_id(one, given if isinstance(given, str) else ""))
    return letter


def read_postmark(hook: Hook) -> Letter:
    mail = json_of(hook.body)
    if not isinstance(mail, dict):
        raise HookUnreadable("the body is no JSON object")
    given = mail.get("Headers")
    pairs = [
        [one.get("Name"), one.get("Value")]
        for one in (given if isinstance(given, list) else [])
        if isinstance(one, dict)
    ]
    headers = headers_of(pairs)
    for name in ("From", "To", "Subject", "Date"):
        headers.setdefault(name.lower(), [one_line(text_in(mail, name))])
    if not mailboxes(headers["from"][0]):
        headers["from"] = [one_line(text_in(mail, "From"))]
    if mail.keys().isdisjoint({"From", "Headers", "TextBody", "HtmlBody", "RawEmail"}):
        raise HookUnreadable("the body is no mail")
    letter = Letter(headers, text_in(mail, "TextBody"), text_in(mail, "HtmlBody"))
    letter.reply = text_in(mail, "StrippedTextReply")
    files = mail.get("Attachments")
    for one in files if isinstance(files, list) else ():
        if isinstance(one, dict):
            letter.attachments.append(read_file(one))
    if raw := text_in(mail, "RawEmail"):
        return read_mail(raw.encode("utf-8", "surrogateescape"))
    return letter


def read_file(one: dict[str, Any]) -> Attachment:
    try:
        content = base64.b64decode(text_in(one, "Content"))
    except ValueError:
        content = b""
    mime = text_in(one, "ContentType").partition(";")[0].strip().lower()
    content_id = text_in(one, "ContentID").removeprefix("cid:").strip("<> ")
    name = safe_name(text_in(one, "Name")) or "attachment"
    return Attachment(
        name, mime or "application/octet-stream", content, content_id, bool(content_id)
    )


def with_id(one: Attachment, content_id: str) -> Attachment:
    content_id = content_id.strip("<> ")
    return Attachment(one.name, one.mime, one.content, content_id, bool(content_id))


def headers_of(pairs: list[Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pairs:
        match pair:
            case [str(name), str(value)]:
                found.setdefault(name.lower(), []).append(one_line(value))
    return found


def text_in(mail: dict[str, Any], name: str) -> str:
    value = mail.get(name)
    return value.replace("\0", "") if isinstance(value, str) else ""


def json_of(body: bytes | str) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
