"""Reads what one message of Messenger or Instagram says.

Messenger Platform and Instagram messaging, webhooks of Graph API v25.0. Any field may be
missing, null or of another type.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from connectors.graph import objects_of, part_of, text_of
from hub.message import Button, Choice, Media, MediaKind, Message, Place, Share, clean_text

MEDIA: dict[str, MediaKind] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "file": "file",
    "sticker": "sticker",
}
SHARES = frozenset(
    {"fallback", "share", "post", "reel", "ig_post", "ig_reel", "ig_story", "story_mention"}
)
THUMBS_UP = frozenset({"369239263222822", "369239343222814", "369239383222810"})
HEART = "\u2764\ufe0f"


@dataclass(slots=True)
class Parts:
    """What the attachments of a message hold. Not `whole`: something of them has no place
    here, so that the item is to be kept raw."""

    media: list[Media] = field(default_factory=list)
    shares: list[Share] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    buttons: tuple[Button, ...] = ()
    place: Place | None = None
    whole: bool = True


def read_message(message: dict[str, Any], standby: bool) -> tuple[Message, bool]:
    """The message, and whether it says all that the item does."""
    parts = read_attachments(message)
    text = "\n".join(filter(None, (text_of(message, "text"), *parts.texts)))
    share = parts.shares[0] if parts.shares else None
    said = Message.of(
        text,
        media=tuple(parts.media),
        buttons=parts.buttons,
        choice=tapped(message),
        place=parts.place,
        share=share,
        standby=standby,
    )
    if said.kind == "text" and not said.text:
        return said.model_copy(update={"kind": "unsupported"}), False
    if share is not None and share.type == "story_mention":
        said = said.model_copy(update={"kind": "story_mention"})
    elif share is not None and share.url and share.url in said.text and said.kind == "share":
        # A link in what she typed comes as a share beside it: she wrote a text.
        said = said.model_copy(update={"kind": "text"})
    return said, parts.whole and message.get("is_unsupported") is not True


def tapped(message: dict[str, Any]) -> Choice | None:
    """The quick reply she tapped, whose title is the message's text."""
    payload = clean_text(text_of(part_of(message, "quick_reply"), "payload"))
    if not payload:
        return None
    title = clean_text(text_of(message, "text"))
    return Choice(type="quick_reply", id=payload, title=title)


def read_attachments(message: dict[str, Any]) -> Parts:
    parts = Parts()
    given = message.get("attachments")
    if isinstance(given, dict):
        given = [given]
    seen: set[str] = set()
    for one in given if isinstance(given, list) else ():
        sticker = text_of(part_of(one, "payload"), "sticker_id")
        if sticker and sticker in seen:
            continue  # while stickers moved to a type of their own, each came as an image too
        seen.add(sticker)
        reader = READERS.get(text_of(one, "type"))
        if reader is None or not reader(one, part_of(one, "payload"), parts):
            parts.whole = False
    parts.whole = parts.whole and len(parts.shares) < 2
    return parts


def read_media(one: dict[str, Any], payload: dict[str, Any], parts: Parts) -> bool:
    sticker = text_of(payload, "sticker_id")
    if sticker in THUMBS_UP:
        parts.texts.append("\N{THUMBS UP SIGN}")
        return True
    url = web_url(text_of(payload, "url"))
    if not url:
        return False
    kind = "sticker" if sticker else MEDIA[text_of(one, "type")]
    name = clean_text(text_of(one, "name") or text_of(payload, "title"))
    if not name and kind == "file":
        name = clean_text(unquote(urlsplit(url).path.rpartition("/")[2]))
    parts.media.append(Media(kind=kind, source_url=url, name=name))
    return True


def read_share(one: dict[str, Any], payload: dict[str, Any], parts: Parts) -> bool:
    """A link, a post, a reel or a story. Stories are never copied: the platform's policy lets
    none outlive the original."""
    given = text_of(payload, "url") or text_of(one, "url")
    title = clean_text(text_of(payload, "title") or text_of(one, "title"))
    url = web_url(given)
    if not url and not title and not given:
        return False
    # What is no link to the web is shown as words, and nobody follows it.
    parts.shares.append(
        Share(url=url, title=title or ("" if url else clean_text(given)), type=text_of(one, "type"))
    )
    return True


def read_place(one: dict[str, Any], payload: dict[str, Any], parts: Parts) -> bool:
    point = part_of(payload, "coordinates")
    latitude, longitude = degrees(point.get("lat")), degrees(point.get("long"))
    if latitude is None or longitude is None:
        return False
    parts.place = Place(
        latitude=latitude, longitude=longitude, name=clean_text(text_of(one, "title"))
    )
    return True


def read_heart(one: dict[str, Any], payload: dict[str, Any], parts: Parts) -> bool:
    parts.texts.append(HEART)
    return True


def read_template(one: dict[str, Any], payload: dict[str, Any], parts: Parts) -> bool:
    """What the business sent with buttons or as a carousel, in an echo."""
    generic = part_of(payload, "generic")
    cards = objects_of(payload, "elements") or objects_of(generic, "elements")
    buttons = [button for holder in (payload, *cards) for button in objects_of(holder, "buttons")]
    told = [text_of(payload, "text")]
    for card in cards:
        told += [text_of(card, "title"), text_of(card, "subtitle")]
    parts.texts += filter(None, told)
    parts.buttons = tuple(map(read_button, buttons))
    return bool(parts.texts)


def read_button(button: dict[str, Any]) -> Button:
    return Button(
        id=clean_text(text_of(button, "payload")),
        title=clean_text(text_of(button, "title")),
        url=web_url(text_of(button, "url")) or None,
    )


def web_url(url: str) -> str:
    """The URL if it leads to the web; "My Documents/x.doc" and "/reel/123/" have been seen."""
    return url if re.match(r"https?://[^\s/]", url) and url.isprintable() else ""


def degrees(value: Any) -> float | None:
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


READERS: dict[str, Callable[[dict[str, Any], dict[str, Any], Parts], bool]] = {
    **dict.fromkeys(MEDIA, read_media),
    **dict.fromkeys(SHARES, read_share),
    "location": read_place,
    "like_heart": read_heart,
    "template": read_template,
}
