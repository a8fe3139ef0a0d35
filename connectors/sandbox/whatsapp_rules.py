"""What the WhatsApp Cloud API takes and what it refuses, by Meta's documented limits and codes."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from connectors.sandbox.media import Media
from connectors.sandbox.refusal import Refusal

TEXT, CAPTION, BUTTON_BODY, LIST_BODY, HEADER, FOOTER = 4096, 1024, 1024, 4096, 60, 60
CALLBACK_DATA = 512
BUTTONS, BUTTON_TITLE, BUTTON_ID = 3, 20, 256
SECTIONS, ROWS, SECTION_TITLE, ROW_TITLE, ROW_DESCRIPTION, ROW_ID = 10, 10, 24, 24, 72, 200
LIST_BUTTON, CARDS, TEMPLATE_PAYLOAD, CAROUSEL = 20, 257, 256, 10

MIMES = {
    "image": frozenset({"image/jpeg", "image/png"}),
    "video": frozenset({"video/mp4", "video/3gpp", "video/3gp"}),
    "audio": frozenset({"audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg"}),
    "sticker": frozenset({"image/webp"}),
    "document": frozenset[str](),
}
MEGABYTE = 1024 * 1024
SIZES = {
    "image": 5 * MEGABYTE,
    "video": 16 * MEGABYTE,
    "audio": 16 * MEGABYTE,
    "sticker": 500 * 1024,
    "document": 100 * MEGABYTE,
}
STATIC_STICKER = 100 * 1024

FindMedia = Callable[[str], Media | None]
Json = Mapping[str, Any]


def missing(name: str) -> Refusal:
    return Refusal(131008, f"{name} is required")


def invalid(details: str) -> Refusal:
    return Refusal(131009, details)


def check_message(body: Json, find_media: FindMedia) -> None:
    """Refuse a send whose form breaks a limit. Raises `Refusal`."""
    if body.get("messaging_product") != "whatsapp":
        raise Refusal(100, "The parameter messaging_product is required")
    if body.get("recipient_type", "individual") not in ("individual", "group"):
        raise Refusal(100, "Param recipient_type must be one of {INDIVIDUAL, GROUP}")
    _text(body, "biz_opaque_callback_data", CALLBACK_DATA, least=0, optional=True)
    context = body.get("context")
    if context is not None:
        _text(_object(context, "context"), "message_id", 256)
    kind = body.get("type", "text")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise Refusal(100, f"Param type must be one of {{{', '.join(sorted(_CHECKS))}}}")
    check(_object(body.get(kind), kind), kind, find_media)


def check_upload(mime: str, size: int) -> str:
    """The kind an uploaded file is good for. Raises `Refusal` when it is good for none."""
    base = mime.partition(";")[0].strip().lower()
    if not re.fullmatch(r"[\w.+-]+/[\w.+-]+", base):
        raise Refusal(100, "Param file must be a file with a supported type")
    kind = next((kind for kind, mimes in MIMES.items() if base in mimes), "document")
    if size > SIZES[kind] or size == 0:
        raise Refusal(131053, f"{kind} of {size} bytes, at most {SIZES[kind]}")
    return kind


def _text_message(text: Json, kind: str, find_media: FindMedia) -> None:
    _text(text, "body", TEXT, code=100)


def _media_message(media: Json, kind: str, find_media: FindMedia) -> None:
    if kind in ("audio", "sticker") and "caption" in media:
        raise Refusal(100, f'Unexpected key "caption" on param "{kind}"')
    if kind != "document" and "filename" in media:
        raise Refusal(100, f'Unexpected key "filename" on param "{kind}"')
    _text(media, "caption", CAPTION, code=100, least=0, optional=True)
    if ("id" in media) == ("link" in media):
        raise Refusal(100, f"Exactly one of id and link is required in {kind}")
    if "link" in media:
        if not re.match(r"https?://\S+$", str(media["link"])):
            raise Refusal(100, f"Param {kind}['link'] is not a valid URL.")
        return
    stored = find_media(str(media["id"]))
    if stored is None:
        raise Refusal(100, f"Param {kind}['id'] is not a valid whatsapp business account media id")
    base = stored.mime.partition(";")[0].strip()
    if MIMES[kind] and base not in MIMES[kind]:
        raise Refusal(131053, f"{stored.mime} cannot be sent as {kind}")
    if len(stored.content) > size_limit(kind, stored.content):
        raise Refusal(131053, f"{kind} is too large")


def size_limit(kind: str, content: bytes) -> int:
    """The bytes a file of the kind may have; a sticker that does not move may have fewer."""
    moves = content[12:16] == b"VP8X" and len(content) > 20 and bool(content[20] & 2)
    return STATIC_STICKER if kind == "sticker" and not moves else SIZES[kind]


def _location(place: Json, kind: str, find_media: FindMedia) -> None:
    for name, most in (("latitude", 90), ("longitude", 180)):
        try:
            degrees = float(place[name])
        except KeyError:
            raise missing(name) from None
        except (TypeError, ValueError):
            raise invalid(f"{name} is not a number") from None
        if not -most <= degrees <= most:
            raise invalid(f"{name} is out of range")


def _contacts(cards: Any, kind: str, find_media: FindMedia) -> None:
    if not isinstance(cards, list) or not 1 <= len(cards) <= CARDS:
        raise invalid(f"contacts must be a list of 1 to {CARDS}")
    for card in cards:
        name = _object(_object(card, "contact").get("name"), "name")
        _text(name, "formatted_name", 1024)
        if not any(name.get(part) for part in ("first_name", "last_name", "middle_name")):
            raise missing("one of first_name, last_name, middle_name")


def _reaction(reaction: Json, kind: str, find_media: FindMedia) -> None:
    _text(reaction, "message_id", 256)
    _text(reaction, "emoji", 32, least=0)


def _interactive(interactive: Json, kind: str, find_media: FindMedia) -> None:
    form = interactive.get("type")
    check = _FORMS.get(form) if isinstance(form, str) else None
    if check is None:
        raise invalid(f"interactive type must be one of {sorted(_FORMS)}")
    body = _object(interactive.get("body"), "body")
    _text(body, "text", LIST_BODY if form == "list" else BUTTON_BODY)
    if interactive.get("footer") is not None:
        _text(_object(interactive["footer"], "footer"), "text", FOOTER)
    if interactive.get("header") is not None:
        _header(_object(interactive["header"], "header"), str(form), find_media)
    check(_object(interactive.get("action"), "action"))


def _header(header: Json, form: str, find_media: FindMedia) -> None:
    kind = header.get("type")
    if kind == "text":
        _text(header, "text", HEADER)
    elif form == "list" or kind not in ("image", "video", "document"):
        raise invalid("this header type is not allowed here")
    else:
        _media_message(_object(header.get(kind), kind), kind, find_media)


def _buttons(action: Json) -> None:
    buttons = action.get("buttons")
    if not isinstance(buttons, list) or not 1 <= len(buttons) <= BUTTONS:
        raise invalid(f"Invalid buttons count. Min allowed buttons: 1, Max allowed: {BUTTONS}")
    replies = []
    for button in buttons:
        if _object(button, "button").get("type") != "reply":
            raise invalid("button type must be reply")
        reply = _object(button.get("reply"), "reply")
        _text(reply, "title", BUTTON_TITLE)
        _id(reply, BUTTON_ID)
        replies.append(reply)
    if len({reply["title"].strip() for reply in replies}) < len(replies):
        raise invalid("Duplicate button titles")
    if len({reply["id"] for reply in replies}) < len(replies):
        raise invalid("Duplicate button ids")


def _list(action: Json) -> None:
    _text(action, "button", LIST_BUTTON)
    sections = action.get("sections")
    if not isinstance(sections, list) or not 1 <= len(sections) <= SECTIONS:
        raise invalid(f"Invalid sections count, 1 to {SECTIONS}")
    rows: list[Json] = []
    for section in sections:
        # Titles may be left out only when there is nothing to tell apart.
        _text(_object(section, "section"), "title", SECTION_TITLE, optional=len(sections) == 1)
        some = section.get("rows")
        if not isinstance(some, list) or not some:
            raise invalid("a section needs rows")
        rows += some
    if len(rows) > ROWS:
        raise invalid(f"Total row count exceed max allowed count: {ROWS}")
    for row in rows:
        _text(_object(row, "row"), "title", ROW_TITLE)
        _text(row, "description", ROW_DESCRIPTION, least=0, optional=True)
        _id(row, ROW_ID)
    if len({row["id"] for row in rows}) < len(rows):
        raise invalid("Duplicated row id")


def _link_button(action: Json) -> None:
    if action.get("name") != "cta_url":
        raise invalid("action name must be cta_url")
    parameters = _object(action.get("parameters"), "parameters")
    _text(parameters, "display_text", BUTTON_TITLE)
    if not re.match(r"https?://\S+$", str(parameters.get("url", ""))):
        raise invalid("url must be a valid URL")


def _location_request(action: Json) -> None:
    if action.get("name") != "send_location":
        raise invalid("action name must be send_location")


def _template(template: Json, kind: str, find_media: FindMedia) -> None:
    _text(template, "name", 512)
    _text(_object(template.get("language"), "language"), "code", 16)
    components = template.get("components") or []
    if not isinstance(components, list):
        raise invalid("components must be a list")
    for component in components:
        if len(_object(component, "component").get("cards") or []) > CAROUSEL:
            raise invalid(f"at most {CAROUSEL} cards")
        for parameter in component.get("parameters") or []:
            _parameter(_object(parameter, "parameter"), find_media)


def _parameter(parameter: Json, find_media: FindMedia) -> None:
    kind = parameter.get("type")
    if kind == "text":
        _text(parameter, "text", 32_768)
        if re.search(r"[\n\t]| {5}", parameter["text"]):
            raise Refusal(
                132012,
                "Param text cannot have new-line/tab characters or more than 4 consecutive spaces",
            )
    elif kind == "payload":
        _text(parameter, "payload", TEMPLATE_PAYLOAD)
    elif kind in ("image", "video", "document"):
        _media_message(_object(parameter.get(kind), kind), kind, find_media)


def _object(value: Any, name: str) -> Any:
    if value is None:
        raise missing(name)
    if not isinstance(value, dict | list) or (isinstance(value, list) and name != "contacts"):
        raise Refusal(100, f"Param {name} must be a JSON object.")
    return value


def _text(
    holder: Json,
    name: str,
    most: int,
    *,
    code: int = 131009,
    least: int = 1,
    optional: bool = False,
) -> None:
    value = holder.get(name)
    if value is None and optional:
        return
    if value is None:
        raise missing(name)
    if not isinstance(value, str):
        raise Refusal(100, f"Param {name} must be a string.")
    if len(value) > most:
        raise Refusal(code, f"Param {name} must be at most {most} characters long.")
    if len(value.strip()) < least:
        raise Refusal(code, f"Param {name} must be at least {least} characters long.")


def _id(holder: Json, most: int) -> None:
    _text(holder, "id", most)
    if holder["id"] != holder["id"].strip():
        raise invalid("an id must not begin or end with a space")


_CHECKS: dict[str, Callable[[Any, str, FindMedia], None]] = {
    "text": _text_message,
    "image": _media_message,
    "video": _media_message,
    "audio": _media_message,
    "document": _media_message,
    "sticker": _media_message,
    "location": _location,
    "contacts": _contacts,
    "reaction": _reaction,
    "interactive": _interactive,
    "template": _template,
}
_FORMS: dict[str, Callable[[Json], None]] = {
    "button": _buttons,
    "list": _list,
    "cta_url": _link_button,
    "location_request_message": _location_request,
}

TITLES = {
    4: "Application request limit reached",
    10: "Application does not have permission for this action",
    100: "Invalid parameter",
    190: "Invalid OAuth access token",
    131000: "Something went wrong",
    131008: "Required parameter is missing",
    131009: "Parameter value is not valid",
    131016: "Service unavailable",
    131021: "Recipient cannot be sender",
    131026: "Message undeliverable",
    131047: "Re-engagement message",
    131049: "Meta chose not to deliver",
    131050: "User has stopped marketing messages",
    131053: "Media upload error",
    131056: "(Business Account, Consumer Account) pair rate limit hit",
    130429: "Rate limit hit",
    131062: "Business-scoped user id not supported for this message",
    132000: "Number of parameters does not match the expected number of params",
    132001: "Template name does not exist in the translation",
    132005: "Translated text too long",
    132015: "Template is paused",
    132016: "Template is disabled",
    132018: "Template parameters are not valid",
    132012: "Parameter format does not match format in the created template",
}
STATUSES = {
    4: 429,
    10: 403,
    190: 401,
    130429: 429,
    131000: 500,
    131016: 503,
    80007: 429,
}
