"""What the Bot API refuses in a send, in its own words."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.sandbox.refusal import Refusal

TEXT, CAPTION, ENTITIES, BUTTONS, ROW, DATA = 4096, 1024, 100, 100, 8, 64
MEGABYTE = 1024 * 1024
DOWNLOAD = 20 * MEGABYTE
ENTITY_TYPES = frozenset({
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold",
    "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote",
    "code", "pre", "text_link", "text_mention", "custom_emoji", "date_time",
})  # fmt: skip

Fields = Mapping[str, Any]


class BadRequest(Refusal):
    """A 400 with Telegram's description; `moved_to` is the new id of an upgraded group."""

    def __init__(self, description: str, moved_to: int | None = None) -> None:
        super().__init__(400, f"Bad Request: {description}")
        self.moved_to = moved_to


def units(text: str) -> int:
    """Telegram counts text in UTF-16 units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def check_text(fields: Fields) -> str:
    """The text without the space around it. Raises `BadRequest`."""
    text = _said(fields, "text").strip()
    if not text:
        raise BadRequest("message text is empty")
    if units(text) > TEXT:
        raise BadRequest("message is too long")
    check_entities(fields, "entities", text)
    return text


def check_caption(fields: Fields) -> str:
    """The caption without the space around it. Raises `BadRequest`."""
    text = _said(fields, "caption").strip()
    if units(text) > CAPTION:
        raise BadRequest("message caption is too long")
    check_entities(fields, "caption_entities", text)
    return text


def _said(fields: Fields, name: str) -> str:
    if fields.get("parse_mode"):
        raise BadRequest("unsupported parse_mode")
    text = fields.get(name, "")
    return text if isinstance(text, str) else str(text)


def check_entities(fields: Fields, name: str, text: str) -> None:
    entities = fields.get(name) or []
    if not isinstance(entities, list) or not all(isinstance(one, dict) for one in entities):
        raise BadRequest("can't parse entities")
    if len(entities) > ENTITIES:
        raise BadRequest("can't parse entities: too many entities")
    for one in entities:
        offset, length = one.get("offset"), one.get("length")
        known = one.get("type") in ENTITY_TYPES and type(offset) is type(length) is int
        if not known or offset < 0 or length < 1 or offset + length > units(text):
            raise BadRequest("can't parse entities: the entity is out of the text")
        if one["type"] == "text_link" and not one.get("url"):
            raise BadRequest("can't parse entities: a text_link without url")


def check_markup(fields: Fields) -> list[dict[str, str]]:
    """The inline buttons, as the phone shows them. Raises `BadRequest`."""
    markup = fields.get("reply_markup")
    if not markup:
        return []
    if not isinstance(markup, dict):
        raise BadRequest("object expected as reply markup")
    rows = markup.get("inline_keyboard", [])
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadRequest("field inline_keyboard must be an Array of Arrays")
    buttons = [button for row in rows for button in row]
    if len(buttons) > BUTTONS or any(len(row) > ROW for row in rows):
        raise BadRequest("REPLY_MARKUP_TOO_LONG")
    return [check_button(button) for button in buttons]


def check_button(button: Any) -> dict[str, str]:
    if not isinstance(button, dict) or not str(button.get("text", "")).strip():
        raise BadRequest("inline keyboard button text is empty")
    actions = [name for name in button if name not in ("text", "style", "icon_custom_emoji_id")]
    if len(actions) != 1:
        raise BadRequest("text buttons are unallowed in the inline keyboard")
    if "callback_data" in button:
        data = str(button["callback_data"])
        if not 1 <= len(data.encode()) <= DATA:
            raise BadRequest("BUTTON_DATA_INVALID")
        return {"id": data, "title": str(button["text"])}
    if "url" in button:
        if not is_url(str(button["url"])):
            raise BadRequest("BUTTON_URL_INVALID")
        return {"id": "", "title": str(button["text"]), "url": str(button["url"])}
    raise BadRequest("BUTTON_TYPE_INVALID")


def is_url(url: str) -> bool:
    """http or https with a dotted host, or tg."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme == "tg":
        return True
    return parts.scheme in ("http", "https") and bool(re.fullmatch(r"[^\s.]+(\.[^\s.]+)+", host))


def by_link(kind: str) -> int:
    """The bytes a file may have that Telegram fetches itself."""
    return 5 * MEGABYTE if kind == "photo" else 20 * MEGABYTE


def by_upload(kind: str) -> int:
    """The bytes an uploaded file may have."""
    return 10 * MEGABYTE if kind == "photo" else 50 * MEGABYTE
