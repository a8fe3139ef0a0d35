"""What the Bot API's refusals mean: by the words of their descriptions, since they have no codes
of their own beside the HTTP status."""

from typing import Any

from connectors._telegram_fields import number, part_of, text_of, whole
from hub.errors import (
    Blocked,
    Busy,
    MediaFailed,
    Misconfigured,
    Moved,
    NoSuchRecipient,
    Refused,
    SendFailed,
    Unreachable,
    WindowClosed,
)

LONGEST_WAIT = 86_400.0
MEDIA_ATTEMPTS = 3
"""Telegram may fetch an attachment's URL at another time; after so many tries it does not."""

UNFETCHED = "Telegram could not fetch the attachment"

Meaning = tuple[str, type[SendFailed], str]
"""Part of the description, in lower case; the error to raise; why, in words for agents."""

FORBIDDEN: tuple[Meaning, ...] = (
    ("blocked by the user", Blocked, "the customer has blocked the bot"),
    ("user is deactivated", Blocked, "the customer's account is deleted"),
    ("bot was kicked", Blocked, "the bot was removed from the chat"),
    ("not a member", Blocked, "the bot is not in the chat"),
    ("can't initiate conversation", Blocked, "the customer has not started the bot yet"),
)
BAD_REQUEST: tuple[Meaning, ...] = (
    ("chat not found", NoSuchRecipient, "Telegram knows no such chat"),
    ("peer_id_invalid", NoSuchRecipient, "Telegram knows no such chat"),
    ("user not found", NoSuchRecipient, "Telegram knows no such user"),
    ("upgraded to a supergroup", NoSuchRecipient, "the group has become a supergroup"),
    ("business_peer_usage_missing", WindowClosed, "the customer has not written for 24 hours"),
    ("business_connection", Blocked, "the business account is not connected to the bot any more"),
    ("business connection", Blocked, "the business account is not connected to the bot any more"),
    ("failed to get http url content", Unreachable, UNFETCHED),
    ("wrong file identifier", Unreachable, UNFETCHED),
    ("webpage_curl_failed", Unreachable, UNFETCHED),
    ("webpage_media_empty", MediaFailed, "Telegram found no attachment at its address"),
    ("wrong type of the web page", MediaFailed, "the attachment is not of the type it is sent as"),
    ("photo_invalid_dimensions", MediaFailed, "the image is too large or too narrow"),
    ("image_process_failed", MediaFailed, "Telegram cannot read the image"),
    ("file is too big", MediaFailed, "Telegram gives bots no file of more than 20 MB"),
    ("temporarily unavailable", Unreachable, "Telegram cannot give the file now"),
    ("file_id", MediaFailed, "Telegram does not know the file"),
    ("message is too long", Refused, "the text is too long"),
    ("caption is too long", Refused, "the caption is too long"),
    ("text is empty", Refused, "the text is empty"),
    ("can't parse entities", Refused, "the text's formats cannot be read"),
    ("button_data_invalid", Refused, "a button's id is not accepted"),
    ("button_url_invalid", Refused, "a button's link is not accepted"),
    ("replied not found", Refused, "the quoted message is not there any more"),
    ("topic_closed", Refused, "the topic is closed"),
    ("thread not found", Refused, "the topic is not there any more"),
    ("bad webhook", Misconfigured, "Telegram does not accept the hook's URL"),
    ("not enough rights", Refused, "the bot may not write in this chat"),
    ("have no rights", Refused, "the bot may not write in this chat"),
)


def failure(status: int, answer: dict[str, Any], retry_after: str = "") -> SendFailed:
    """The error an answer stands for. Its text holds our own words and the code alone, since
    Telegram's may repeat what was sent. `retry_after` is the header of an answer that a proxy in
    between gave."""
    code = whole(answer.get("error_code")) or status
    told = part_of(answer, "parameters")
    if moved := whole(told.get("migrate_to_chat_id")):
        return Moved(str(moved), code=str(code))
    if code == 429:
        return Busy("Telegram asks to slow down", code="429", retry_in=wait_of(told, retry_after))
    named, words = meaning(code, text_of(answer, "description").casefold())
    return named(f"{words} (error {code})", code=str(code))


def meaning(code: int, description: str) -> tuple[type[SendFailed], str]:
    if code in (401, 404):
        return Misconfigured, "Telegram does not know the bot's token"
    if code == 409:
        return Misconfigured, "another program asks for this bot's updates, or a webhook is set"
    if code == 413:
        return MediaFailed, "the file is too large for Telegram"
    if code == 403:
        return first_of(FORBIDDEN, description) or (Refused, "Telegram forbids it")
    if 400 <= code < 500:
        return first_of(BAD_REQUEST, description) or (Refused, "Telegram refuses the request")
    return Unreachable, "Telegram cannot work now"


def first_of(known: tuple[Meaning, ...], description: str) -> tuple[type[SendFailed], str] | None:
    return next(((named, words) for part, named, words in known if part in description), None)


def wait_of(parameters: dict[str, Any], retry_after: str) -> float | None:
    wait = number(parameters.get("retry_after"))
    if wait is None:
        try:
            wait = float(retry_after)
        except ValueError:
            return None
    return min(wait, LONGEST_WAIT) if wait >= 0 else None


def judged(error: SendFailed, attempt: int) -> SendFailed:
    """The error, where what it means depends on how often the message was tried."""
    if error.reason.startswith(UNFETCHED) and attempt >= MEDIA_ATTEMPTS:
        return MediaFailed(error.reason, code=error.code)
    return error
