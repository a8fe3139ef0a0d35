"""What Messenger's and Instagram's send API take and what they refuse, by Meta's documentation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from connectors.sandbox.refusal import Refusal

QUICK_REPLIES, TITLE, PAYLOAD = 13, 20, 1000
BUTTON_TEXT, BUTTONS = 640, 3
ELEMENTS, ELEMENT_TEXT = 10, 80
METADATA = 999
MEGABYTE = 1024 * 1024
ATTACHMENT, IMAGE = 25 * MEGABYTE, 8 * MEGABYTE

REMOVED_TAGS = ("CONFIRMED_EVENT_UPDATE", "ACCOUNT_UPDATE", "POST_PURCHASE_UPDATE")
ACTIONS = ("typing_on", "typing_off", "mark_seen", "react", "unreact")

Json = dict[str, Any]
Code = tuple[int, int | None]


@dataclass(frozen=True)
class Rules:
    """Where the two platforms differ. A kind that `mimes` leaves out may have every type of its
    name, and a file any. `closed`, `unknown` and `throttled` are codes with their subcodes."""

    text: int
    unit: Literal["characters", "bytes"]
    attachments: frozenset[str]
    buttons: frozenset[str]
    mimes: Mapping[str, frozenset[str]]
    closed: Code
    unknown: Code
    throttled: Code
    needs_type: bool


MESSENGER = Rules(
    text=2000,
    unit="characters",
    attachments=frozenset({"image", "audio", "video", "file", "template"}),
    buttons=frozenset({"postback", "web_url", "phone_number"}),
    mimes={"image": frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})},
    closed=(10, 2018278),
    unknown=(100, 2018001),
    throttled=(613, None),
    needs_type=True,
)
INSTAGRAM = Rules(
    text=1000,
    unit="bytes",
    attachments=frozenset(
        {"image", "audio", "video", "file", "template", "like_heart", "MEDIA_SHARE"}
    ),
    buttons=frozenset({"postback", "web_url"}),
    mimes={
        "image": frozenset({"image/jpeg", "image/png"}),
        "audio": frozenset(
            {
                "audio/aac", "audio/mp4", "audio/m4a", "audio/x-m4a",
                "audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave",
            }
        ),
        "video": frozenset(
            {
                "video/mp4", "video/ogg", "video/avi", "video/x-msvideo",
                "video/quicktime", "video/webm",
            }
        ),
    },
    closed=(10, 2534022),
    unknown=(100, 2534014),
    throttled=(613, 2534040),
    needs_type=False,
)  # fmt: skip


def invalid(details: str, subcode: int | None = None) -> Refusal:
    return Refusal(100, details, subcode=subcode)


def check_message(message: Any, rules: Rules, has_file: bool = False) -> None:
    """Refuse a message whose form breaks a limit. Raises `Refusal`."""
    _keys(message, "message", {"text", "attachment", "quick_replies", "metadata", "reply_to"})
    text, attachment = message.get("text"), message.get("attachment")
    if (text is None) == (attachment is None):
        raise invalid("Param message must have either text or attachment, and not both")
    if text is not None:
        _check_text(text, rules)
    else:
        check_attachment(attachment, rules, has_file)
    _string(message, "metadata", METADATA, optional=True)
    if message.get("quick_replies") is not None:
        _check_quick_replies(message["quick_replies"])
    check_quote(message)


def check_quote(holder: Json) -> None:
    """Refuse a `reply_to`, of a message or beside it, that names no message."""
    if holder.get("reply_to") is not None:
        _string(_keys(holder["reply_to"], "reply_to", {"mid"}), "mid", 1000)


def _check_text(text: Any, rules: Rules) -> None:
    if not isinstance(text, str) or not text.strip():
        raise invalid("Param message[text] must be a non-empty UTF8 encoded string")
    length = len(text) if rules.unit == "characters" else len(text.encode())
    if length > rules.text:
        raise invalid(f"Length of param message[text] must be less than or equal to {rules.text}")


def _check_quick_replies(replies: Any) -> None:
    if not isinstance(replies, list) or not 1 <= len(replies) <= QUICK_REPLIES:
        raise invalid(f"message[quick_replies] must have 1 to {QUICK_REPLIES} elements")
    for reply in replies:
        _keys(reply, "quick_replies", {"content_type", "title", "payload", "image_url"})
        kind = reply.get("content_type")
        if kind in ("user_email", "user_phone_number"):
            continue
        if kind != "text":
            raise invalid("quick_replies[content_type] must be text")
        _string(reply, "title", TITLE)
        _string(reply, "payload", PAYLOAD)


def check_attachment(attachment: Any, rules: Rules, has_file: bool = False) -> None:
    """Refuse an attachment whose form breaks a limit; its file is another matter."""
    _keys(attachment, "message[attachment]", {"type", "payload"})
    kind = attachment.get("type")
    _one_of(kind, rules.attachments, "message[attachment][type]")
    if kind == "like_heart":
        return
    payload = attachment.get("payload")
    if kind == "template":
        _check_template(payload, rules)
    elif kind == "MEDIA_SHARE":
        _string(_keys(payload, "payload", {"id"}), "id", 100)
    else:
        payload = _keys(payload or {}, "payload", {"url", "attachment_id", "is_reusable"})
        sources = [name for name in ("url", "attachment_id") if payload.get(name)]
        if len(sources) + has_file != 1:
            raise invalid("message[attachment] needs one of url, attachment_id and filedata")
        if "url" in sources:
            _url(payload, "url")


def _check_template(payload: Any, rules: Rules) -> None:
    kind = payload.get("template_type") if isinstance(payload, dict) else None
    if kind == "button":
        _keys(payload, "payload", {"template_type", "text", "buttons", "sharable"})
        _string(payload, "text", BUTTON_TEXT)
        _check_buttons(payload.get("buttons"), rules)
    elif kind == "generic":
        _keys(payload, "payload", {"template_type", "elements", "sharable", "image_aspect_ratio"})
        elements = payload.get("elements")
        if not isinstance(elements, list) or not 1 <= len(elements) <= ELEMENTS:
            raise invalid(f"elements must have 1 to {ELEMENTS} entries")
        for element in elements:
            _check_element(element, rules)
    else:
        raise invalid("template_type must be button or generic")


def _check_element(element: Any, rules: Rules) -> None:
    known = {"title", "subtitle", "image_url", "default_action", "buttons"}
    _keys(element, "elements", known)
    _string(element, "title", ELEMENT_TEXT)
    _string(element, "subtitle", ELEMENT_TEXT, optional=True)
    if len(element) < 2:
        raise invalid("an element needs one more property than its title")
    if element.get("image_url") is not None:
        _url(element, "image_url")
    if element.get("buttons") is not None:
        _check_buttons(element["buttons"], rules)


def _check_buttons(buttons: Any, rules: Rules) -> None:
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        raise invalid(f"buttons must have 1 to {BUTTONS} entries")
    for button in buttons:
        kind = button.get("type") if isinstance(button, dict) else None
        _one_of(kind, rules.buttons, "button[type]")
        _string(button, "title", TITLE)
        if kind == "web_url":
            _url(button, "url")
            continue
        _keys(button, "button", {"type", "title", "payload"})
        _string(button, "payload", PAYLOAD)
        if kind == "phone_number" and not re.fullmatch(r"\+\d{5,15}", button["payload"]):
            raise invalid("the payload of a phone_number button is +<digits>")


def check_type(body: Json, rules: Rules, may_tag: bool) -> float:
    """The seconds after the person's last deed in which this kind of send is allowed.

    Raises `Refusal` for a tag or type that does not exist (any more).
    """
    kind, tag = body.get("messaging_type"), body.get("tag")
    if kind not in ("RESPONSE", "UPDATE", "MESSAGE_TAG") and (kind is not None or rules.needs_type):
        raise invalid("Param messaging_type must be one of {RESPONSE, UPDATE, MESSAGE_TAG}")
    if kind == "MESSAGE_TAG" and tag is None:
        raise invalid("A tag is required when messaging_type is MESSAGE_TAG")
    if tag is None:
        return 86_400.0
    if tag in REMOVED_TAGS:
        raise invalid(f"The message tag {tag} is deprecated")
    if tag != "HUMAN_AGENT" or kind not in ("MESSAGE_TAG", None):
        raise invalid("Param tag is not valid here")
    if not may_tag:
        raise Refusal(10, "To use 'Human Agent', it must be reviewed and approved by Facebook")
    return 7 * 86_400.0


def size_limit(kind: str) -> int:
    """The bytes a file sent as `kind` may have."""
    return IMAGE if kind == "image" else ATTACHMENT


def too_large(kind: str) -> Refusal:
    if kind == "image":
        return Refusal(36000, "The image size is too large")
    return invalid("The attachment size exceeds the allowable limit", 2018109)


def check_mime(kind: str, mime: str, rules: Rules) -> None:
    """Refuse a file that is not of the kind it is sent as. Raises `Refusal`."""
    base = mime.partition(";")[0].strip().lower()
    allowed = rules.mimes.get(kind)
    fits = kind == "file" or (base in allowed if allowed else base.startswith(f"{kind}/"))
    if not fits:
        raise invalid(f"Upload attachment failure: {base} cannot be sent as {kind}", 2018047)


def _one_of(value: Any, known: frozenset[str], name: str) -> None:
    if not isinstance(value, str) or value not in known:
        raise invalid(f"Param {name} must be one of {sorted(known)}")


def _keys(value: Any, name: str, known: set[str]) -> Json:
    if not isinstance(value, dict):
        raise invalid(f"Param {name} must be an object")
    if strange := sorted(set(value) - known):
        raise invalid(f'Invalid keys "{", ".join(strange)}" were found in param "{name}"')
    return value


def _string(holder: Json, name: str, most: int, optional: bool = False) -> None:
    value = holder.get(name)
    if value is None and optional:
        return
    if not isinstance(value, str) or (not value.strip() and not optional):
        raise invalid(f"Param {name} must be a non-empty string")
    if len(value) > most:
        raise invalid(f"Length of param {name} must be less than or equal to {most}")


def _url(holder: Json, name: str) -> None:
    if not re.match(r"https?://\S+$", str(holder.get(name, ""))):
        raise invalid(f"Param {name} should represent a valid URL")


TITLES = {
    1: "An unknown error has occurred.",
    2: "Service temporarily unavailable",
    4: "Application request limit reached",
    10: "This message is sent outside of allowed window.",
    17: "User request limit reached",
    32: "Page request limit reached",
    100: "No matching user found",
    190: "Invalid OAuth access token - Cannot parse access token",
    200: "The account owner has disabled access to Instagram direct messages",
    551: "This person isn't available right now.",
    613: "Calls to this API have exceeded the rate limit.",
}
STATUSES = {1: 500, 2: 503, 4: 403, 10: 403, 17: 403, 32: 403, 200: 403, 230: 403}
THROTTLES = frozenset({4, 17, 32, 613, 80006})
