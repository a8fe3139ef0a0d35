"""What Twilio's error codes mean for us: a failure of a send, or the reason in a receipt.

Codes and their titles: https://www.twilio.com/docs/api/errors (the range 30xxx comes in status
callbacks, 20xxx and 21xxx as answers, 63xxx as both). Twilio's own error texts are never handed
on: they hold phone numbers.
"""

from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    NoSuchRecipient,
    OptedOut,
    OutcomeUnknown,
    Refused,
    SendFailed,
    Unreachable,
    WindowClosed,
)
from hub.message import ReceiptError

CODES: dict[int, tuple[type[SendFailed], str]] = {
    21610: (OptedOut, "the recipient has opted out by STOP"),
    63033: (Blocked, "the recipient may not be messaged"),
    63014: (Blocked, "the recipient has blocked this sender"),
    30004: (Blocked, "the carrier or handset blocks this sender"),
    63016: (WindowClosed, "the 24 hour window is closed; only a template can be sent"),
    63032: (WindowClosed, "WhatsApp limits messages to this recipient"),
    63049: (WindowClosed, "WhatsApp withheld a marketing message"),
    63051: (WindowClosed, "WhatsApp withheld a marketing message"),
    21211: (NoSuchRecipient, "the recipient's number is not valid"),
    21214: (NoSuchRecipient, "the recipient's number cannot be reached"),
    21217: (NoSuchRecipient, "the recipient's number is not valid"),
    21401: (NoSuchRecipient, "the recipient's number is not valid"),
    21421: (NoSuchRecipient, "the recipient's number is not valid"),
    21604: (NoSuchRecipient, "there is no recipient"),
    21614: (NoSuchRecipient, "the recipient's number is not a mobile number"),
    63003: (NoSuchRecipient, "the recipient is not on this channel"),
    63024: (NoSuchRecipient, "the recipient is not on WhatsApp"),
    63015: (NoSuchRecipient, "the recipient has not joined the sandbox"),
    30005: (NoSuchRecipient, "the handset does not exist"),
    30006: (NoSuchRecipient, "a landline or an unreachable carrier"),
    63035: (NoSuchRecipient, "the RCS agent has not launched and the recipient is no tester"),
    63036: (NoSuchRecipient, "the recipient has no RCS"),
    20500: (Unreachable, "Twilio had an internal error"),
    20503: (Unreachable, "Twilio is not available"),
    30003: (Unreachable, "the handset is off or out of reach"),
    30008: (Unreachable, "the carrier gave no reason"),
    30017: (Unreachable, "the carrier's network is congested"),
    30410: (Unreachable, "the carrier did not answer in time"),
    63011: (Unreachable, "Twilio could not process the message"),
    63023: (Unreachable, "the channel gave no reason"),
    63009: (Unreachable, "the channel's provider had an internal error"),
    63010: (Unreachable, "Twilio had an internal error"),
    63012: (Unreachable, "the channel's provider had an internal error"),
    20429: (Busy, "too many requests"),
    14107: (Busy, "the send rate is exceeded"),
    21611: (Busy, "the sender's queue at Twilio is full"),
    30001: (Busy, "the queue at Twilio overflowed"),
    30022: (Busy, "the carriers' rate limit is exceeded"),
    30023: (Busy, "the carriers' daily limit is reached"),
    30027: (Busy, "T-Mobile's daily limit is reached"),
    63017: (Busy, "the rate limit is exceeded"),
    63018: (Busy, "the channel's rate limit is exceeded"),
    63038: (Busy, "the account's daily limit is reached"),
    21602: (Refused, "the message has no text"),
    21617: (Refused, "the text is over 1600 characters"),
    21618: (Refused, "this text cannot be sent"),
    30007: (Refused, "filtered by the carrier or Twilio"),
    63026: (Refused, "the channel takes this for spam"),
    63005: (Refused, "the channel does not take this content"),
    63006: (Refused, "this content cannot be put into the channel's form"),
    63013: (Refused, "the channel's policy forbids this message"),
    63021: (Refused, "the content is not valid for the channel"),
    63030: (Refused, "the channel does not know this kind of message"),
    21654: (Refused, "a content template is required"),
    21655: (Refused, "the content template is not valid"),
    21656: (Refused, "the template's variables are not valid"),
    63027: (Refused, "the template does not exist in this language"),
    63028: (Refused, "the template takes another number of values"),
    63029: (Refused, "the recipient's device could not load the template"),
    63040: (Refused, "the template was rejected"),
    63041: (Refused, "the template is paused"),
    63042: (Refused, "the template is disabled"),
    92002: (Refused, "the content has too many variables"),
    92006: (Refused, "the content does not exist"),
    92007: (Refused, "the content's variables are not valid"),
    92008: (Refused, "this kind of content cannot be created"),
    216602: (Refused, "the content has no form for this channel"),
    # These hang on the account, but only for some recipients: pausing the channel, as for the
    # rest of the account's errors, would let one foreign number silence it for everyone.
    21408: (Refused, "sending to this country is not enabled at Twilio"),
    21608: (Refused, "a trial account sends to verified numbers only"),
    21612: (Refused, "this sender has no route to this number"),
    21266: (Refused, "the recipient is the sender"),
    21910: (Refused, "sender and recipient are not on the same channel"),
    30018: (Refused, "this country wants senders to be registered"),
    30024: (Refused, "the carrier does not know this sender"),
    63031: (Refused, "the recipient is the sender"),
    21620: (MediaFailed, "an attachment's URL is not valid"),
    21621: (MediaFailed, "the sender cannot send MMS"),
    21622: (MediaFailed, "the account cannot send MMS"),
    21623: (MediaFailed, "too many attachments"),
    11200: (MediaFailed, "Twilio could not fetch an attachment"),
    11205: (MediaFailed, "Twilio could not connect to fetch an attachment"),
    11751: (MediaFailed, "the attachment is too large for the channel"),
    12300: (MediaFailed, "an attachment's type is not what Twilio takes"),
    30011: (MediaFailed, "the recipient's number cannot receive MMS"),
    30019: (MediaFailed, "the attachment is too large for the carrier"),
    63019: (MediaFailed, "Twilio could not download an attachment"),
    63034: (MediaFailed, "the attachment is too large"),
    63037: (MediaFailed, "an attachment could not be handed to the channel"),
    20003: (Misconfigured, "account_sid or auth_token is wrong"),
    20005: (Misconfigured, "the account is not active"),
    20403: (Misconfigured, "the account may not do this"),
    20404: (Misconfigured, "the account or sender does not exist"),
    10001: (Misconfigured, "the account is not active"),
    21603: (Misconfigured, "sender or messaging_service_sid is required"),
    21606: (Misconfigured, "the sender is not a number that can send messages"),
    21607: (Misconfigured, "a trial account sends from its sandbox number only"),
    21609: (Misconfigured, "public_url is not an address Twilio can call back"),
    21701: (Misconfigured, "the messaging service does not exist"),
    21702: (Misconfigured, "the messaging service is not available for sending"),
    21703: (Misconfigured, "the messaging service has no sender for this message"),
    21704: (Misconfigured, "the messaging service has no sender"),
    21705: (Misconfigured, "the messaging service does not exist"),
    30032: (Misconfigured, "the toll-free number is not verified"),
    30002: (Misconfigured, "the account is suspended"),
    30034: (Misconfigured, "the sender is not registered for A2P 10DLC"),
    63001: (Misconfigured, "the channel's credentials at Twilio are wrong"),
    63002: (Misconfigured, "the sender does not exist on this channel"),
    63007: (Misconfigured, "the sender is not set up on this channel"),
    63008: (Misconfigured, "the channel is not set up at Twilio"),
    63020: (Misconfigured, "the WhatsApp business account has a problem"),
}


def send_failure(status: int, code: int | None, retry_in: float | None) -> SendFailed:
    """The failure that an answer with this HTTP status and Twilio code (if it had one) means."""
    if code in CODES:
        failure, words = CODES[code]
        return failure(f"Twilio {code}: {words}", code=str(code), retry_in=retry_in)
    reason = f"Twilio answered {status}" + (f", code {code}" if code else "")
    return _by_status(status)(reason, code=str(code or ""), retry_in=retry_in)


def _by_status(status: int) -> type[SendFailed]:
    if status == 429:
        return Busy
    if status == 504:
        return OutcomeUnknown
    if status >= 500:
        return Unreachable
    if status in (401, 403, 404) or status < 400:
        return Misconfigured
    return Refused


def receipt_error(status: str, code: str) -> ReceiptError:
    """Why a message ended in `status`: undelivered, failed or canceled."""
    if code.isascii() and code.isdecimal() and (known := CODES.get(int(code[:9]))):
        return ReceiptError(code, known[0].error_class, known[1])
    if code:
        return ReceiptError(code, Refused.error_class, f"{status}, Twilio error {code}")
    if status == "undelivered":
        return ReceiptError("", Unreachable.error_class, "undelivered, no reason given")
    return ReceiptError("", Refused.error_class, f"{status}, no reason given")
