"""Writes one message as the body of WhatsApp's `POST /{phone_number_id}/messages`.

`compose` has already fitted the message to the channel's limits; what does not fit into one
call all the same is Refused here rather than sent in part.
"""

import re
from collections.abc import Callable
from typing import Any

from hub.errors import MediaFailed, Refused
from hub.message import Button, ContactCard, Media, Message, Outbound, Place, TemplateUse

BUTTONS = 3
BUTTON_TITLE = 20
CAPTIONED = frozenset({"image", "video", "file"})

Json = dict[str, Any]


def payload_of(out: Outbound) -> Json:
    """The whole body. Raises Refused or MediaFailed."""
    body = {
        "messaging_product": "whatsapp",
        **recipient_of(out.to.external_id),
        **content_of(out.message),
    }
    if out.reply_to:
        body["context"] = {"message_id": out.reply_to}
    if out.correlation_id:
        body["biz_opaque_callback_data"] = out.correlation_id
    return body


def recipient_of(external_id: str) -> Json:
    """A phone is addressed by `to`, a business-scoped user id by `recipient`; what is neither is
    a group's id."""
    phone = external_id.removeprefix("+")
    if phone.isascii() and phone.isdigit():
        return {"recipient_type": "individual", "to": phone}
    if re.fullmatch(r"[A-Z]{2}\.[A-Za-z0-9.]+", external_id):
        return {"recipient_type": "individual", "recipient": external_id}
    return {"recipient_type": "group", "to": external_id}


def content_of(message: Message) -> Json:
    if message.template:
        return {"type": "template", "template": template(message.template)}
    parts = (message.media, message.place, message.contacts, message.buttons)
    if sum(map(bool, parts)) > 1 or len(message.media) > 1:
        raise Refused("more than one WhatsApp message")
    if message.media:
        return attachment(message.media[0], message.text)
    if message.buttons:
        return {"type": "interactive", "interactive": interactive(message)}
    if message.place or message.contacts:
        if message.text:
            raise Refused("a place or contact of WhatsApp has no text")
        if message.place:
            return {"type": "location", "location": location(message.place)}
        return {"type": "contacts", "contacts": [contact(card) for card in message.contacts]}
    if not message.text.strip():
        raise Refused("nothing to say")
    return {"type": "text", "text": {"body": message.text, "preview_url": False}}


def attachment(media: Media, caption: str) -> Json:
    kind = {"file": "document", "voice": "audio"}.get(media.kind, media.kind)
    part: Json = {}
    if media.source_url:
        part["link"] = media.source_url
    elif media.provider_id:
        part["id"] = media.provider_id
    else:
        raise MediaFailed("the attachment has no link that WhatsApp could fetch")
    if caption:
        if media.kind not in CAPTIONED:
            raise Refused(f"WhatsApp's {kind} carries no text")
        part["caption"] = caption
    if kind == "document" and media.name:
        part["filename"] = media.name
    if media.kind == "voice" and media.mime.startswith("audio/ogg"):
        part["voice"] = True
    return {"type": kind, kind: part}


def interactive(message: Message) -> Json:
    """Reply buttons, a list, or one button that opens a page."""
    body = {"text": message.text}
    links = [button for button in message.buttons if button.url]
    if links:
        if len(message.buttons) > 1:
            raise Refused("a WhatsApp message has one url button and nothing beside it")
        page = {"display_text": links[0].title, "url": links[0].url}
        action: Json = {"name": "cta_url", "parameters": page}
        return {"type": "cta_url", "body": body, "action": action}
    if as_list(message.buttons):
        rows = [row(button) for button in message.buttons]
        action = {"button": list_label(message.text), "sections": [{"rows": rows}]}
        return {"type": "list", "body": body, "action": action}
    replies = [
        {"type": "reply", "reply": {"id": button.id, "title": button.title}}
        for button in message.buttons
    ]
    return {"type": "button", "body": body, "action": {"buttons": replies}}


def as_list(buttons: tuple[Button, ...]) -> bool:
    return len(buttons) > BUTTONS or any(
        button.description or len(button.title) > BUTTON_TITLE for button in buttons
    )


def row(button: Button) -> Json:
    described = {"description": button.description} if button.description else {}
    return {"id": button.id, "title": button.title, **described}


def list_label(text: str) -> str:
    """What the button that opens a list says, in the language of the text above it."""
    return "বেছে নিন" if re.search("[\u0980-\u09ff]", text) else "Choose"


def location(place: Place) -> Json:
    point: Json = {"latitude": place.latitude, "longitude": place.longitude}
    if place.name:
        point["name"] = place.name
    if place.address:
        point["address"] = place.address
    return point


def contact(card: ContactCard) -> Json:
    name = card.name or next(iter((*card.phones, *card.emails)), "")
    # WhatsApp demands one more part of the name beside the formatted whole.
    part: Json = {"name": {"formatted_name": name, "first_name": name}}
    if card.phones:
        part["phones"] = [{"phone": phone} for phone in card.phones]
    if card.emails:
        part["emails"] = [{"email": email} for email in card.emails]
    return part


def template(use: TemplateUse) -> Json:
    """An approved template with its values, whose names `TemplateUse` explains."""
    header: list[Json] = []
    body: list[Json] = []
    buttons: list[Json] = []
    for name, value in sorted(use.variables.items(), key=position):
        where, _, plain = name.partition(".")
        if where not in PLACES or not plain:
            where, plain = "", name
        if where in BUTTONS_OF_TEMPLATE:
            sub_type, parameter_of = BUTTONS_OF_TEMPLATE[where]
            part: Json = {"type": "button", "sub_type": sub_type, "index": plain}
            buttons.append({**part, "parameters": [parameter_of(value)]})
        elif where == "header" and plain in ("image", "video", "document"):
            header.append({"type": plain, plain: {"link": value}})
        else:
            (header if where else body).append(parameter(plain, value))
    components: list[Json] = []
    if header:
        components.append({"type": "header", "parameters": header})
    if body:
        components.append({"type": "body", "parameters": body})
    whole: Json = {"name": use.name, "language": {"code": use.language}}
    if components or buttons:
        whole["components"] = [*components, *sorted(buttons, key=lambda one: one["index"])]
    return whole


def position(variable: tuple[str, str]) -> tuple[str, int]:
    """Sorts "2" before "10"; names keep the order they were given in."""
    where, _, last = variable[0].rpartition(".")
    return where, int(last) if last.isdecimal() else 0


def parameter(name: str, value: str) -> Json:
    named = {} if name.isdecimal() else {"parameter_name": name}
    return {"type": "text", **named, "text": one_line(value)}


def one_line(value: str) -> str:
    """The value without what WhatsApp refuses in one: line ends, tabs, runs of spaces."""
    return re.sub(r"[\r\n\t]+| {4,}", " ", value)


BUTTONS_OF_TEMPLATE: dict[str, tuple[str, Callable[[str], Json]]] = {
    "button": ("url", lambda value: {"type": "text", "text": one_line(value)}),
    "payload": ("quick_reply", lambda value: {"type": "payload", "payload": value}),
}
PLACES = frozenset({"header", *BUTTONS_OF_TEMPLATE})
