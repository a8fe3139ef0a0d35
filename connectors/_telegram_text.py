"""Telegram counts text in UTF-16 units, the hub in code points of the NFC text."""

import re
from typing import Any

from connectors._telegram_fields import Object, parts_of, text_of, whole
from hub.message import Format, FormatType, clean_text

FORMATS: dict[str, FormatType] = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strikethrough": "strike",
    "spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "quote",
    "expandable_blockquote": "quote",
    "text_link": "link",
    "mention": "mention",
    "text_mention": "mention",
}
"""What shows in the text by itself (hashtags, plain links, commands) is no format."""

ENTITIES: dict[FormatType, str] = {
    "bold": "bold",
    "italic": "italic",
    "underline": "underline",
    "strike": "strikethrough",
    "spoiler": "spoiler",
    "code": "code",
    "pre": "pre",
    "quote": "blockquote",
    "link": "text_link",
}
MOST_ENTITIES = 100
LINKED = re.compile(r"(?:https?|tg|mailto|tel):", re.IGNORECASE)


def formats_of(text: str, entities: list[Object]) -> tuple[Format, ...]:
    """The entities of a text as it came, as formats of the text as it is stored."""
    known = [entity for entity in entities if FORMATS.get(text_of(entity, "type"))]
    if not known:
        return ()
    units = text.encode("utf-16-le", "surrogatepass")
    end = len(clean_text(text))
    found = []
    for entity in known:
        offset, length = whole(entity.get("offset")), whole(entity.get("length"))
        if offset is None or length is None or offset < 0 or length <= 0:
            continue
        start = min(points(units, offset), end)
        stop = min(points(units, offset + length), end)
        if stop > start:
            kind = FORMATS[text_of(entity, "type")]
            url = text_of(entity, "url") if kind == "link" else ""
            if kind != "link" or LINKED.match(url):
                found.append(Format(type=kind, start=start, length=stop - start, url=url))
    return tuple(found)


def points(units: bytes, offset: int) -> int:
    """Code points of the stored text before an offset."""
    return len(clean_text(units[: 2 * offset].decode("utf-16-le", "ignore")))


def entities_of(text: str, formats: tuple[Format, ...]) -> list[dict[str, Any]]:
    """The formats of a text to send as Telegram's entities; a mention needs no entity."""
    found = []
    for one in formats[:MOST_ENTITIES]:
        part = text[one.start : one.start + one.length]
        if one.type not in ENTITIES or not part or (one.type == "link" and not one.url):
            continue
        entity = {"type": ENTITIES[one.type], "offset": utf16(text[: one.start])}
        link = {"url": one.url} if one.type == "link" else {}
        found.append({**entity, "length": utf16(part), **link})
    return found


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def read_text(item: Object, name: str = "text", entities: str = "entities") -> dict[str, Any]:
    """The text under `name` with its formats, as arguments of `Message.of`."""
    text = text_of(item, name)
    return {"text": text, "formats": formats_of(text, parts_of(item, entities))} if text else {}
