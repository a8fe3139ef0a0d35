"""Twilio's webhook forms, read as messages, receipts and opt-outs.

Fields: https://www.twilio.com/docs/messaging/guides/webhook-request and
https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks. Twilio
adds fields at any time and WhatsApp sends more than SMS does; each may be missing or junk.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors._twilio_codes import receipt_error
from hub.clock import MINUTE, SECOND, Micros
from hub.errors import HookUnreadable
from hub.message import (
    Alias,
    Choice,
    Inbound,
    Media,
    MediaKind,
    Message,
    Place,
    Profile,
    Receipt,
    ReceiptStatus,
    Referral,
    ReplyTo,
    clean_text,
)
from hub.signal import OptOut, Parsed, Unreadable

Form = Mapping[str, str]

WHATSAPP, RCS = "whatsapp:", "rcs:"
MEDIA_COUNT = 10

RECEIPTS: dict[str, ReceiptStatus] = {
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}
INBOUND = ("", "received", "receiving")
STOP_WORDS = frozenset(
    ("STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT")
)
START_WORDS = frozenset({"START", "UNSTOP"})
MAYBE_START_WORDS = frozenset({"YES"})
"""An ordinary answer too: it opts in only one who is opted out."""
HELP_WORDS = frozenset({"HELP", "INFO"})
DLR_AGE = 15 * MINUTE


@dataclass(frozen=True, slots=True)
class Line:
    """The configured account that forms are read for: a sender, or a messaging service.
    `answers_keywords`: Twilio itself answers HELP, STOP and START. `stop` and `start` are what a
    WhatsApp customer writes to stop marketing and to have it again, as `folded` gives it."""

    account: str
    is_service: bool
    vouches: bool
    answers_keywords: bool = True
    stop: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()


def read_form(form: Form, line: Line, correlation_id: str, at: Micros) -> list[Parsed]:
    """One webhook's form as what it says; a message that opts out gives the signal as well.

    Raises HookUnreadable when the form is not about a message at all.
    """
    sid = form.get("MessageSid") or form.get("SmsMessageSid") or form.get("SmsSid") or ""
    status = form.get("MessageStatus") or form.get("SmsStatus") or ""
    is_inbound = status in INBOUND
    account = account_of(form, line, "To" if is_inbound else "From")
    if not sid:
        if "AccountSid" not in form:
            raise HookUnreadable("a form of another kind: neither MessageSid nor AccountSid")
        return [Unreadable(account, "MessageSid is missing", dict(form))]
    if not is_inbound:
        return read_receipt(form, sid, status, account, correlation_id, at)
    if not customer_id(form.get("From", ""), account):
        return [Unreadable(account, "From is missing", dict(form))]
    return read_message(form, sid, account, line, at)


def listed_form(found: Any, media: list[tuple[str, str]]) -> dict[str, str]:
    """A message of Twilio's list as the form that its webhook had, as far as it is known; `media`
    are the URLs and MIME types of its attachments."""
    form = {
        "MessageSid": str(found.sid),
        "AccountSid": str(found.account_sid or ""),
        "MessagingServiceSid": str(found.messaging_service_sid or ""),
        "From": str(found.from_ or ""),
        "To": str(found.to or ""),
        "Body": str(found.body or "").replace("\0", ""),
        "NumMedia": str(len(media)),
        "SmsStatus": "received",
    }
    for index, (url, mime) in enumerate(media):
        form[f"MediaUrl{index}"] = url
        form[f"MediaContentType{index}"] = mime
    return form


def sent_at(found: Any) -> datetime:
    """When a listed message was sent, to the second."""
    at = found.date_sent or found.date_created
    return at if isinstance(at, datetime) else datetime.min.replace(tzinfo=UTC)


def account_of(form: Form, line: Line, field: str) -> str:
    if line.is_service:
        return form.get("MessagingServiceSid") or line.account
    return form.get(field) or line.account


def customer_id(address: str, account: str) -> str:
    """The customer's id: Twilio's address without the prefix that the sender's own implies. A
    messaging service may hold senders of several kinds, so there the prefix stays."""
    return address.removeprefix(prefix_of(account))


def prefix_of(address: str) -> str:
    """What says which of Twilio's channels an address is of; nothing for SMS."""
    return next((prefix for prefix in (WHATSAPP, RCS) if address.startswith(prefix)), "")


def read_receipt(
    form: Form, sid: str, status: str, account: str, correlation_id: str, at: Micros
) -> list[Parsed]:
    """No receipt while the message waits at Twilio, nor for a status we do not know."""
    reached = RECEIPTS.get(status)
    if reached is None:
        return []
    error = receipt_error(status, form.get("ErrorCode", "")) if reached == "failed" else None
    recipient = customer_id(form.get("To", ""), account)
    done_at = dlr_time(form.get("RawDlrDoneDate", ""), at)
    return [Receipt(account, sid, reached, done_at, correlation_id, error, recipient)]


def dlr_time(done: str, at: Micros) -> Micros:
    """When the handset had it, by the carrier's YYMMDDhhmm; that names no time zone, so only one
    that is UTC's by all appearances is believed."""
    try:
        parsed = datetime.strptime(done[:10], "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return at
    told = round(parsed.timestamp()) * SECOND
    return told if at - DLR_AGE <= told <= at else at


def read_message(form: Form, sid: str, account: str, line: Line, at: Micros) -> list[Parsed]:
    sender = customer_id(form["From"], account)
    content = message_of(form)
    wish = opt_out_of(form)
    if line.answers_keywords and is_keyword(form, wish):
        content = content.model_copy(update={"standby": True})
    quoted = form.get("OriginalRepliedMessageSid")
    message = Inbound(
        account=account,
        sender=sender,
        external_id=sid,
        dedupe_key=sid,
        message=content,
        sent_at=at,
        reply_to=ReplyTo(external_id=quoted) if quoted else None,
        referral=referral_of(form),
        aliases=aliases_of(form, line.vouches),
        also=other_ids(form, sender, account),
        profile=Profile(name=clean_text(form.get("ProfileName", "").strip())),
        raw=dict(form) if content.kind == "unsupported" else None,
    )
    if wish is not None:
        return [message, OptOut(account, sender, at, on=wish)]
    if is_whatsapp(form):
        word = content.text.strip().casefold() if content.kind == "text" else ""
        if word in line.stop or word in line.start:
            return [message, OptOut(account, sender, at, word in line.stop, "marketing")]
    elif said_of(form) in MAYBE_START_WORDS:
        return [message, OptOut(account, sender, at, on=False, maybe=True)]
    return [message]


def message_of(form: Form) -> Message:
    """The content; a form that holds none of what we know is of kind `unsupported`."""
    text, media = form.get("Body", ""), media_of(form)
    choice, place = choice_of(form), place_of(form)
    if not (text or media or choice or place):
        return Message(kind="unsupported")
    forwarded = "true" in (form.get("Forwarded"), form.get("FrequentlyForwarded"))
    return Message.of(text, media=media, choice=choice, place=place, forwarded=forwarded)


def media_of(form: Form) -> tuple[Media, ...]:
    """Every attachment that has a URL, whatever NumMedia says."""
    on_whatsapp = is_whatsapp(form)
    found = []
    for index in range(MEDIA_COUNT):
        if url := form.get(f"MediaUrl{index}"):
            mime = form.get(f"MediaContentType{index}", "")
            kind = media_kind(mime, on_whatsapp)
            found.append(Media(kind=kind, mime=mime, source_url=url, voice=kind == "voice"))
    return tuple(found)


def media_kind(mime: str, on_whatsapp: bool) -> MediaKind:
    """WhatsApp's stickers are WebP and its voice notes Ogg; contact cards stay files, for only
    their URL is known here."""
    plain = mime.partition(";")[0].strip().lower()
    if on_whatsapp and plain == "image/webp":
        return "sticker"
    if on_whatsapp and plain == "audio/ogg":
        return "voice"
    for kind in ("image", "video", "audio"):
        if plain.startswith(f"{kind}/"):
            return kind
    return "file"


def choice_of(form: Form) -> Choice | None:
    """A tap; a template's buttons are quick replies, those of a free message are buttons."""
    text = form.get("Body", "")
    if row := form.get("ListId"):
        return Choice(type="list", id=row, title=clean_text(form.get("ListTitle") or text))
    title = form.get("ButtonText", "")
    if payload := form.get("ButtonPayload") or title:
        is_template = form.get("MessageType") == "button"
        return Choice(
            type="quick_reply" if is_template else "button",
            id=payload,
            title=clean_text(title or text),
        )
    if answers := form.get("FlowData") or form.get("InteractiveData"):
        # A filled-in form, as the JSON that the customer's app made of it.
        return Choice(type="postback", id=clean_text(answers), title=clean_text(text))
    return None


def place_of(form: Form) -> Place | None:
    try:
        latitude, longitude = float(form["Latitude"]), float(form["Longitude"])
    except (KeyError, ValueError):
        return None
    if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
        return None
    return Place(
        latitude=latitude,
        longitude=longitude,
        name=clean_text(form.get("Label", "")),
        address=clean_text(form.get("Address", "")),
    )


def referral_of(form: Form) -> Referral | None:
    """The ad or post whose button opened the chat (WhatsApp's click to chat)."""
    source, origin = form.get("ReferralSourceType", ""), form.get("ReferralSourceId", "")
    referral = Referral(
        ref="" if source == "ad" else origin,
        source=source,
        type=form.get("ReferralMediaContentType", "").partition("/")[0],
        ad_id=origin if source == "ad" else "",
        headline=clean_text(form.get("ReferralHeadline", "")),
        body=clean_text(form.get("ReferralBody", "")),
        url=form.get("ReferralSourceUrl", ""),
        click_id=form.get("ReferralCtwaClid", ""),
    )
    return None if referral == Referral() else referral


def aliases_of(form: Form, vouches: bool) -> tuple[Alias, ...]:
    """The sender's number; a WhatsApp user known by a name has none, unless WaId tells it."""
    sender = form["From"]
    for number in (sender.removeprefix(prefix_of(sender)), whatsapp_number(form)):
        if is_e164(number):
            return (Alias("phone", number, verified=vouches),)
    return ()


def other_ids(form: Form, sender: str, account: str) -> tuple[str, ...]:
    """The sender's other WhatsApp ids, in the form `customer_id` gives."""
    number = whatsapp_number(form)
    addresses = [form.get("ExternalUserId", ""), WHATSAPP + number if number else ""]
    ids = (customer_id(address, account) for address in addresses)
    return tuple(dict.fromkeys(found for found in ids if found and found != sender))


def whatsapp_number(form: Form) -> str:
    digits = form.get("WaId", "")
    return f"+{digits}" if is_e164(f"+{digits}") else ""


def is_e164(number: str) -> bool:
    digits = number[1:]
    return (
        number[:1] == "+"
        and digits.isascii()
        and digits.isdecimal()
        and 7 <= len(digits) <= 15
        and digits[0] != "0"
    )


def opt_out_of(form: Form) -> bool | None:
    """True: the sender opts out, False: in, None: neither.

    Advanced Opt-Out says which of its words was used; without it the words are Twilio's default
    ones, which it applies to SMS alone (https://help.twilio.com/articles/223134027).
    """
    if word := form.get("OptOutType"):
        return {"STOP": True, "START": False}.get(word.upper())
    if is_whatsapp(form):
        return None
    said = said_of(form)
    return True if said in STOP_WORDS else False if said in START_WORDS else None


def is_keyword(form: Form, wish: bool | None) -> bool:
    """Does Twilio answer this by itself? Then a dialog must not answer as well. (To one who has
    opted out nobody answers anyway.)"""
    if word := form.get("OptOutType"):
        return word.upper() in ("START", "HELP")
    return not is_whatsapp(form) and (wish is False or said_of(form) in HELP_WORDS)


def folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(clean_text(word).strip().casefold() for word in words) - {""}


def said_of(form: Form) -> str:
    return form.get("Body", "").strip().upper()


def is_whatsapp(form: Form) -> bool:
    return form.get("From", "").startswith(WHATSAPP)
