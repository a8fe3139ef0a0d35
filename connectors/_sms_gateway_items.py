"""A gateway's webhook, item by item, as messages and delivery reports."""

import base64
import binascii
import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from connectors._sms_gateway_document import Document, at_path, find, read_body, read_form, text_at
from connectors._sms_gateway_numbers import E164, read_number
from connectors._sms_gateway_settings import (
    LATER,
    STATUSES,
    HookShape,
    MessageFields,
    Part,
    ReportFields,
)
from hub.clock import SECOND, Micros, from_epoch, parse_iso
from hub.connector import Hook
from hub.errors import HookUnreadable
from hub.message import Alias, Inbound, Message, Receipt, ReceiptError
from hub.signal import OptOut, Parsed, Unreadable

STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "OPTOUT", "বন্ধ"})
START_WORDS = frozenset({"START", "UNSTOP", "চালু"})
REPEATED_WITHIN = 300 * SECOND


@dataclass(frozen=True, slots=True)
class Line:
    """What items are read for: the account, its country, and the webhooks' shape."""

    account: str
    country: str
    shape: HookShape


def read_hook(hook: Hook, line: Line) -> list[Parsed]:
    """Every item of a webhook. Raises HookUnreadable when it holds none."""
    document = fields_of(hook, line.shape)
    items = at_path(document, line.shape.items)
    if isinstance(items, dict):
        items = [items]
    if not isinstance(items, list) or not items:
        raise HookUnreadable("the webhook holds nothing that the settings describe")
    return [parsed for item in items for parsed in read_item(item, line, hook)]


def fields_of(hook: Hook, shape: HookShape) -> Document:
    """The body, with the query's fields beside those of a form; of a GET the query alone."""
    message = shape.message
    charset = "latin-1" if message and message.encoding == "latin-1" else "utf-8"
    query = read_form(hook.query.encode("utf-8", "surrogateescape"), charset)
    if hook.method == "GET":
        return query
    kind = hook.headers.get("content-type", "")
    document = read_body(hook.body, kind, charset)
    if "form-urlencoded" in kind:
        return query | document
    return query if isinstance(document, str) and query and not document.strip() else document


def read_item(item: Any, line: Line, hook: Hook) -> list[Parsed]:
    shape = line.shape
    if isinstance(item, dict):
        if shape.report and is_report(item, shape.report, shape.message):
            return [read_report(item, line, shape.report, hook.received_at)]
        if shape.message and at_path(item, shape.message.text) is not None:
            return read_message(item, line, shape.message, hook.received_at)
    return [Unreadable(line.account, "neither a message nor a delivery report", item)]


def is_report(item: Document, report: ReportFields, message: MessageFields | None) -> bool:
    if report.when is not None:
        return find(item, b"", report.when) is not None
    if not text_at(item, report.status):
        return False
    return message is None or not text_at(item, message.text)


# Messages


def read_message(
    item: Document, line: Line, fields: MessageFields, received_at: Micros
) -> list[Parsed]:
    given = text_at(item, fields.sender)
    sender = read_number(given, line.country) if given.strip() else ""
    if not sender:
        return [Unreadable(line.account, f"{fields.sender} is missing", item)]
    text = decoded(text_at(item, fields.text), fields.encoding)
    at = read_time(text_at(item, fields.at), fields, received_at)
    key = text_at(item, fields.id)
    album, place = read_part(item, fields.part) if fields.part else ("", "")
    message = Message.of(text, album=f"{sender}:{album}" if album else "")
    inbound = Inbound(
        account=line.account,
        sender=sender,
        external_id=key,
        dedupe_key=f"{key} {place}".rstrip()
        if key
        else digest(item, fields, sender, text, place, received_at),
        message=message,
        sent_at=at,
        aliases=(Alias("phone", sender),) if E164.fullmatch(sender) else (),
    )
    found: list[Parsed] = [inbound]
    word = message.text.strip().upper()
    if word in STOP_WORDS or word in START_WORDS:
        found.append(OptOut(line.account, sender, at, on=word in STOP_WORDS))
    return found


def decoded(text: str, encoding: str) -> str:
    """A text that was sent as hexadecimal; one that is none stays as it came."""
    if encoding != "ucs2-hex":
        return text
    try:
        found = bytes.fromhex(text).decode("utf-16-be")
    except ValueError:
        return text
    return found.replace("\0", "")


def digest(
    item: Document,
    fields: MessageFields,
    sender: str,
    text: str,
    place: str,
    received_at: Micros,
) -> str:
    """What tells a message without an id from others: its time, else when it came. Of a gateway
    that repeats itself, equal messages of the same five minutes are one."""
    moment = text_at(item, fields.at)
    if not moment:
        moment = str(received_at // REPEATED_WITHIN if fields.redelivers else received_at)
    parts = (sender, text_at(item, fields.to), text, place, moment)
    return "sha256:" + hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()


def read_part(item: Document, part: Part) -> tuple[str, str]:
    """Which long message this is a part of, and the part's number of how many; ("", "") for one
    that is whole."""
    if part.udh:
        return read_udh(text_at(item, part.udh))
    reference = text_at(item, part.reference)
    number, count = text_at(item, part.number), text_at(item, part.count)
    if not reference or count in ("", "0", "1"):
        return "", ""
    return reference, f"{number}/{count}"


def read_udh(header: str) -> tuple[str, str]:
    """The concatenation element of a user data header (3GPP TS 23.040, 9.2.3.24.1 and .8)."""
    try:
        octets = bytes.fromhex(header)
    except ValueError:
        return "", ""
    at = 1
    while at + 2 <= len(octets):
        element, length = octets[at], octets[at + 1]
        data = octets[at + 2 : at + 2 + length]
        if element == 0 and len(data) == 3:
            return data[:1].hex(), f"{data[2]}/{data[1]}"
        if element == 8 and len(data) == 4:
            return data[:2].hex(), f"{data[3]}/{data[2]}"
        at += 2 + length
    return "", ""


def read_time(given: str, fields: MessageFields | ReportFields, fallback: Micros) -> Micros:
    """A provider's time, in its own zone where it names none."""
    if not given:
        return fallback
    try:
        if fields.at_format:
            moment = datetime.strptime(given, fields.at_format)
        elif given.replace(".", "", 1).isdecimal():
            return from_epoch(given, fallback)
        else:
            moment = datetime.fromisoformat(given)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=ZoneInfo(fields.timezone))
        at = parse_iso(moment.isoformat())
    except (ValueError, OverflowError):
        return fallback
    return at if at > 0 else fallback


# Delivery reports


def read_report(
    item: Document, line: Line, fields: ReportFields, received_at: Micros
) -> Receipt | Unreadable:
    word = text_at(item, fields.status).strip().upper()
    own = {name.upper(): status for name, status in fields.statuses.items()}
    status = own.get(word) or STATUSES.get(word)
    key, correlation = text_at(item, fields.id), text_at(item, fields.correlation)
    if not (key or correlation):
        return Unreadable(line.account, "a delivery report of no message", item)
    if status is None:
        return Unreadable(line.account, f"the status {word[:40]!r} is not known", item)
    error = None
    if status == "failed":
        name = "unreachable" if word in LATER else "refused"
        error = ReceiptError(text_at(item, fields.code) or word, name, f"the gateway says {word}")
    return Receipt(
        account=line.account,
        external_id=key or correlation,
        status=status,
        at=read_time(text_at(item, fields.at), fields, received_at),
        correlation_id=correlation,
        error=error,
    )


def unbase64(given: str) -> bytes:
    try:
        return base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        return b""
