"""Reads what one WhatsApp message says: its text, attachment, tap, place and so on."""

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

import orjson

from hub.message import (
    Choice,
    ContactCard,
    Media,
    MediaKind,
    Message,
    Order,
    OrderItem,
    Place,
    clean_text,
)

MEDIA: dict[str, MediaKind] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "voice": "voice",
    "document": "file",
    "sticker": "sticker",
}


def part_of(value: Any, name: str) -> dict[str, Any]:
    """The object under `name`, or an empty one."""
    part = value.get(name) if isinstance(value, dict) else None
    return part if isinstance(part, dict) else {}


def text_of(value: Any, name: str) -> str:
    """The text under `name`, or nothing; ids have been seen as numbers."""
    text = value.get(name) if isinstance(value, dict) else None
    if isinstance(text, str):
        return text
    return str(text) if isinstance(text, int) and not isinstance(text, bool) else ""


def number(value: Any) -> float | None:
    """A finite number given as one or as text."""
    try:
        found = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def objects_of(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = value.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def read_content(item: dict[str, Any], kind: str) -> tuple[Message, bool]:
    """The message, and whether it says all the item says; if not, the item is to be kept raw."""
    reader = CONTENTS.get(kind)
    parts = reader(item) if reader else None
    context = part_of(item, "context")
    forwarded = bool(context) and (
        context.get("forwarded") is True or context.get("frequently_forwarded") is True
    )
    if parts is None:
        stray = clean_text(text_of(part_of(item, "text"), "body"))
        return Message(text=stray, forwarded=forwarded, kind="unsupported"), False
    return Message.of(**parts, forwarded=forwarded), True


Parts = dict[str, Any]
"""Arguments of `Message.of`."""


def read_text(item: dict[str, Any]) -> Parts | None:
    body = part_of(item, "text").get("body")
    return {"text": body} if isinstance(body, str) else None


def read_media(item: dict[str, Any]) -> Parts | None:
    kind = text_of(item, "type")
    part = part_of(item, kind)
    provider_id, url = text_of(part, "id"), text_of(part, "url")
    if not provider_id and not url:
        return None
    voice = kind == "voice" or (kind == "audio" and part.get("voice") is True)
    media = Media(
        kind="voice" if voice else MEDIA[kind],
        mime=text_of(part, "mime_type"),
        name=clean_text(text_of(part, "filename")),
        provider_id=provider_id,
        source_url=url,
        sha256=sha256_hex(text_of(part, "sha256")),
        voice=voice,
    )
    return {"text": text_of(part, "caption"), "media": (media,)}


def sha256_hex(digest: str) -> str:
    """A SHA-256 digest in hex, given in base64 or hex; nothing if it is neither."""
    if re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        return digest.lower()
    try:
        raw = base64.b64decode(digest, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return raw.hex() if len(raw) == 32 else ""


def read_location(item: dict[str, Any]) -> Parts | None:
    part = part_of(item, "location")
    latitude, longitude = number(part.get("latitude")), number(part.get("longitude"))
    if latitude is None or longitude is None:
        return None
    place = Place(
        latitude=latitude,
        longitude=longitude,
        name=clean_text(text_of(part, "name")),
        address=clean_text(text_of(part, "address")),
        url=text_of(part, "url"),
    )
    return {"place": place}


def read_contacts(item: dict[str, Any]) -> Parts | None:
    sender = text_of(item, "from")
    cards = tuple(contact_card(contact, sender) for contact in objects_of(item, "contacts"))
    return {"contacts": cards} if cards else None


def contact_card(contact: dict[str, Any], sender: str) -> ContactCard:
    name = part_of(contact, "name")
    whole = " ".join(filter(None, (text_of(name, "first_name"), text_of(name, "last_name"))))
    numbers = objects_of(contact, "phones")
    wa_ids = [text_of(phone, "wa_id") for phone in numbers]
    phones = (
        text_of(phone, "phone") or (f"+{wa_id}" if wa_id else "")
        for phone, wa_id in zip(numbers, wa_ids, strict=True)
    )
    emails = (text_of(email, "email") for email in objects_of(contact, "emails"))
    card = read_vcard(text_of(contact, "vcard"))
    return ContactCard(
        name=clean_text(text_of(name, "formatted_name") or whole or "".join(card["FN"][:1])),
        phones=tuple(clean_text(phone) for phone in phones if phone) or tuple(card["TEL"]),
        emails=tuple(clean_text(email) for email in emails if email) or tuple(card["EMAIL"]),
        is_sender=text_of(contact, "origin") == "contact_request"
        or bool(sender and sender in wa_ids),
    )


def read_vcard(vcard: str) -> dict[str, list[str]]:
    """Names, numbers and addresses of a vCard, which newer messages bring beside the fields or in
    their place."""
    found: dict[str, list[str]] = {"FN": [], "TEL": [], "EMAIL": []}
    for line in vcard.splitlines()[:500]:
        key, colon, value = line.partition(":")
        field = key.partition(";")[0].rpartition(".")[2].upper()
        if colon and field in found and (value := value.strip().removeprefix("tel:")):
            found[field].append(clean_text(value))
    return found


def read_template_button(item: dict[str, Any]) -> Parts | None:
    part = part_of(item, "button")
    title, payload = text_of(part, "text"), text_of(part, "payload")
    if not title and not payload:
        return None
    return chosen("quick_reply", payload or title, title)


def read_interactive(item: dict[str, Any]) -> Parts | None:
    part = part_of(item, "interactive")
    for name, kind in (("button_reply", "button"), ("list_reply", "list")):
        reply = part_of(part, name)
        if tapped := text_of(reply, "id"):
            return chosen(kind, tapped, text_of(reply, "title"))
    return read_flow(part_of(part, "nfm_reply"))


def read_flow(reply: dict[str, Any]) -> Parts | None:
    """A filled-in Flow: the answers as the JSON that WhatsApp gives are what comes back, and the
    text shows them line by line."""
    answers = text_of(reply, "response_json")
    if not answers:
        return None
    title = clean_text(text_of(reply, "body") or text_of(reply, "name"))
    try:
        given = orjson.loads(answers)
    except orjson.JSONDecodeError:
        given = {}
    lines = [
        f"{name}: {shown_answer(value)}"
        for name, value in (given.items() if isinstance(given, dict) else ())
        if name != "flow_token" and value not in (None, "", [], {})
    ]
    text = clean_text("\n".join(filter(None, (title, *lines))))
    return {"text": text, "choice": Choice(type="postback", id=clean_text(answers), title=title)}


def shown_answer(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return ", ".join(one if isinstance(one, str) else dumped(one) for one in value)
    return dumped(value)


def dumped(value: Any) -> str:
    return orjson.dumps(value).decode()


def chosen(kind: Any, tapped: str, title: str) -> Parts:
    """A tap. Its title is the message's text too: that is what the customer sees herself say."""
    title = clean_text(title)
    return {"text": title, "choice": Choice(type=kind, id=tapped, title=title)}


def read_order(item: dict[str, Any]) -> Parts | None:
    part = part_of(item, "order")
    if not part:
        return None
    items = tuple(order_item(product) for product in objects_of(part, "product_items"))
    order = Order(catalog_id=text_of(part, "catalog_id"), items=items)
    return {"text": text_of(part, "text"), "order": order}


def order_item(product: dict[str, Any]) -> OrderItem:
    quantity = number(product.get("quantity"))
    return OrderItem(
        product_id=text_of(product, "product_retailer_id"),
        quantity=1 if quantity is None else quantity,
        price=number(product.get("item_price")),
        currency=text_of(product, "currency"),
    )


CONTENTS: dict[str, Callable[[dict[str, Any]], Parts | None]] = {
    "text": read_text,
    **dict.fromkeys(MEDIA, read_media),
    "location": read_location,
    "contacts": read_contacts,
    "button": read_template_button,
    "interactive": read_interactive,
    "order": read_order,
}
