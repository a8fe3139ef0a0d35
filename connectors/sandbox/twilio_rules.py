"""What Twilio's Messages API takes and what it refuses, by its documented limits and codes.

WhatsApp's files: "Guidance on WhatsApp Media Messages" (twilio.com/docs/whatsapp, 2026-11), errors
63019 (not downloaded), 11751 (too large) and 63021 (a type that the channel does not take). Places:
twilio.com/docs/whatsapp/message-features.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.sandbox import twilio_templates
from connectors.sandbox.refusal import Refusal
from connectors.sandbox.twilio_templates import Content, Shown

BODY, MEDIA = 1600, 10
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif"})
PICTURE_SIZE, OTHER_SIZE, WHATSAPP_SIZE = 5 * 1024 * 1024, 500 * 1024, 16 * 1024 * 1024
OFFICE = "application/vnd.openxmlformats-officedocument."
WHATSAPP_TYPES = frozenset(
    {
        *("image/jpeg", "image/png", "image/webp", "video/mp4", "application/pdf"),
        *("audio/ogg", "audio/amr", "audio/3gpp", "audio/aac", "audio/mpeg"),
        *("application/msword", "text/vcard", "text/x-vcard"),
        *(OFFICE + kind for kind in ("wordprocessingml.document", "presentationml.presentation")),
        OFFICE + "spreadsheetml.sheet",
    }
)
CAPTIONED = frozenset({"image/jpeg", "image/png", "video/mp4"})
GEO = re.compile(r"geo:(-?\d{1,3}(?:\.\d+)?),(-?\d{1,3}(?:\.\d+)?)(?:\|(.*))?", re.DOTALL)

STOP = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})
START = frozenset({"START", "YES", "UNSTOP"})
HELP = frozenset({"HELP", "INFO"})
REPLIES = {
    "STOP": "You have successfully been unsubscribed. You will not receive any more messages "
    "from this number. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed to messages from this number. "
    "Reply HELP for help. Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
    "HELP": "Reply STOP to unsubscribe. Msg&Data Rates May Apply.",
}

TEST_SENDER = "+15005550006"
_TEST_RECIPIENTS = {"+15005550001": 21211, "+15005550009": 21614, "+15005550004": 21610}
# The phone got nothing, which only the network tells: the message was sent before it.
UNDELIVERED = frozenset({30003, 30004, 30005, 30006, 30007, 30008})

Form = Mapping[str, Sequence[str]]


def first(form: Form, name: str) -> str:
    values = form.get(name)
    return values[0] if values else ""


def opt_out_word(text: str) -> str | None:
    """STOP, START or HELP when the whole message is one of their words."""
    word = text.strip().upper()
    for meaning, words in (("STOP", STOP), ("START", START), ("HELP", HELP)):
        if word in words:
            return meaning
    return None


def check_message(form: Form, *, whatsapp: bool, content: Content | None = None) -> Shown | None:
    """Refuse a send from a known sender whose form breaks a limit; `content` is the account's own
    that ContentSid names. Returns what the phone shows of it. Raises `Refusal`."""
    to, body = first(form, "To"), first(form, "Body")
    if not to:
        raise Refusal(21604)
    if to in _TEST_RECIPIENTS:
        raise Refusal(_TEST_RECIPIENTS[to], to)
    if to.startswith("whatsapp:") != whatsapp:
        raise Refusal(21910)
    pattern = r"whatsapp:(\+[1-9]\d{6,14}|[A-Z]{2}\.\w{1,128})" if whatsapp else r"\+[1-9]\d{6,14}"
    if not re.fullmatch(pattern, to):
        raise Refusal(21211, to)
    if first(form, "From") == to:
        raise Refusal(21266)
    _check_settings(form)
    if first(form, "ContentSid"):
        if content is None:
            raise Refusal(21655)
        return twilio_templates.fill(content, first(form, "ContentVariables"), whatsapp=whatsapp)
    if first(form, "ContentVariables"):
        raise Refusal(21654)
    media = form.get("MediaUrl", ())
    if not body and not media:
        raise Refusal(21602)
    if len(body) > BODY:
        raise Refusal(21617)
    if len(media) > MEDIA:
        raise Refusal(21623)
    if not all(re.match(r"https?://[^\s/]+\S*$", url) for url in media):
        raise Refusal(21620)
    return None


def _check_settings(form: Form) -> None:
    callback = first(form, "StatusCallback")
    if callback and not re.match(r"https?://[^\s/]+\S*$", callback):
        raise Refusal(21609)
    period = first(form, "ValidityPeriod")
    if period and not (period.isascii() and period.isdigit() and 1 <= int(period) <= 36_000):
        raise Refusal(20001)


def place_of(form: Form) -> dict[str, Any] | None:
    """The place of PersistentAction, whose name is what it is labelled. Raises `Refusal`."""
    action = first(form, "PersistentAction")
    if not action:
        return None
    found = GEO.fullmatch(action)
    if found is None:
        raise Refusal(20001, "PersistentAction")
    place: dict[str, Any] = {"latitude": float(found[1]), "longitude": float(found[2])}
    if abs(place["latitude"]) > 90 or abs(place["longitude"]) > 180:
        raise Refusal(20001, "PersistentAction")
    return place | ({"name": found[3]} if found[3] else {})


def media_limit(mime: str) -> int:
    """The bytes a file of an MMS may have."""
    return PICTURE_SIZE if mime in PICTURES else OTHER_SIZE


def whatsapp_media_limit(mime: str) -> int:
    """The bytes a file of a WhatsApp message may have."""
    return PICTURE_SIZE if mime in PICTURES else WHATSAPP_SIZE


MESSAGES = {
    20001: "Invalid parameter",
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    20503: "Service Unavailable",
    21211: "Invalid 'To' Phone Number",
    21266: "'To' and 'From' number cannot be the same",
    21602: "A text message body or media urls must be specified.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number provided is not a valid message-capable phone number",
    21609: "The 'StatusCallback' URL is not a valid URL.",
    21610: "Attempt to send to unsubscribed recipient",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit.",
    21620: "Invalid media URL(s)",
    21623: "Number of media files exceeds allowed limit",
    21654: "ContentSid Required",
    21655: "The ContentSid is Invalid",
    21656: "The ContentVariables Parameter is invalid",
    21701: "The Messaging Service does not exist",
    21910: "Invalid 'From' and 'To' pair. They should be of the same channel",
    92001: "'types' Parameter Required",
    92002: "The 'variables' parameter exceeds the allowed limit",
    92003: "'language' Parameter Required",
    92008: "Unsupported Content Type",
    216602: "Content Type is not supported on this channel",
    63003: "Channel could not find To address",
    63016: "Failed to send freeform message because you are outside the allowed window",
    11751: "Media Message - Media exceeds messaging provider size limit",
    63019: "Media failed to download",
    63021: "Channel invalid content error",
    63024: "Invalid message recipient",
    63040: "Template Rejected",
    63041: "Template Paused",
    63042: "Template Disabled",
    63007: "Twilio could not find a Channel with the specified 'From' address",
}
STATUSES = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
