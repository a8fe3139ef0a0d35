"""What Twilio's Messages API takes and what it refuses, by its documented limits and codes."""

import re
from collections.abc import Mapping, Sequence

from connectors.sandbox.refusal import Refusal

BODY, MEDIA = 1600, 10
PICTURES = frozenset({"image/jpeg", "image/png", "image/gif"})
PICTURE_SIZE, OTHER_SIZE, WHATSAPP_SIZE = 5 * 1024 * 1024, 500 * 1024, 16 * 1024 * 1024

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


def check_message(form: Form, *, whatsapp: bool) -> None:
    """Refuse a send from a known sender whose form breaks a limit. Raises `Refusal`."""
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
    media = form.get("MediaUrl", ())
    if first(form, "ContentSid"):
        raise Refusal(21655)
    if not body and not media and not form.get("PersistentAction"):
        raise Refusal(21602)
    if len(body) > BODY:
        raise Refusal(21617)
    if len(media) > MEDIA:
        raise Refusal(21623)
    if not all(re.match(r"https?://[^\s/]+\S*$", url) for url in media):
        raise Refusal(21620)
    callback = first(form, "StatusCallback")
    if callback and not re.match(r"https?://[^\s/]+\S*$", callback):
        raise Refusal(21609)
    period = first(form, "ValidityPeriod")
    if period and not (period.isascii() and period.isdigit() and 1 <= int(period) <= 36_000):
        raise Refusal(20001)


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
    21655: "The ContentSid is invalid",
    21701: "The Messaging Service does not exist",
    21910: "Invalid 'From' and 'To' pair. They should be of the same channel",
    63007: "Twilio could not find a Channel with the specified 'From' address",
}
STATUSES = {20003: 401, 20404: 404, 20429: 429, 20500: 500, 20503: 503}
