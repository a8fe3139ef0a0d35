"""The JSON of WhatsApp's webhooks, and what a phone shows of a send."""

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any

import orjson

from connectors.sandbox.customer import File, Phone
from connectors.sandbox.media import Media
from connectors.sandbox.transcript import Item
from connectors.sandbox.whatsapp_customer import CustomerMessage
from connectors.sandbox.whatsapp_rules import TITLES

Json = dict[str, Any]


def new_wamid(phone: str) -> str:
    """An id in WhatsApp's shape: base64 with `=`, the phone's number inside."""
    number = phone.encode()[:100]
    tail = b"\x15\x02\x00\x11\x18\x12" + secrets.token_hex(9).upper().encode() + b"\x00"
    return "wamid." + base64.b64encode(b"\x1c\x18" + bytes([len(number)]) + number + tail).decode()


def sign(app_secret: str, body: bytes) -> dict[str, str]:
    """The headers of a webhook: the signature is HMAC-SHA256 over the raw body."""
    digest = hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()
    return {"Content-Type": "application/json", "X-Hub-Signature-256": f"sha256={digest}"}


def envelope(waba_id: str, field: str, value: Json) -> bytes:
    """One webhook body; characters beyond ASCII go as \\uXXXX, as Meta sends them."""
    content = {
        "object": "whatsapp_business_account",
        "entry": [{"id": waba_id, "changes": [{"value": value, "field": field}]}],
    }
    # Nearly all of the load is receipts, which are ASCII; orjson is the faster there.
    body = orjson.dumps(content)
    return body if body.isascii() else json.dumps(content, separators=(",", ":")).encode()


def preference(phone: str, known: Phone, value: str, at: float) -> Json:
    """What she chose under "offers and announcements"."""
    wish: Json = {"category": "marketing_messages", "value": value, "timestamp": int(at)}
    who = contact(phone, known)
    ids = {name: who[name] for name in ("wa_id", "user_id") if name in who}
    return {"contacts": [who], "user_preferences": [{**ids, **wish}]}


def number_change(old: str, new: str, known: Phone, at: float) -> Json:
    """The system message of a number that became another; it comes without contacts."""
    words = f"User {known.name or old} changed from {old} to {new}"
    system = {"type": "user_changed_number", "body": words, "wa_id": new}
    message = {"id": new_wamid(old), "from": old, "timestamp": str(int(at)), "type": "system"}
    return {"messages": [{**message, "system": system}]}


def echo(item: Item, business: str, known: Phone) -> Json:
    """What was typed in the WhatsApp Business app."""
    who: Json = {"to": known.wa_id or item.phone}
    if known.user_id:
        who["to_user_id"] = known.user_id
    about = {"from": business, "id": item.external_id, "timestamp": str(int(item.at))}
    return {"message_echoes": [{**about, **who, **_typed("text", {"body": item.text})}]}


def contact(phone: str, known: Phone) -> Json:
    """The `contacts` entry of a customer; a username hides her number."""
    entry: Json = {"profile": {"name": known.name or phone}}
    if known.username:
        entry["profile"]["username"] = known.username
    else:
        entry["wa_id"] = known.wa_id or phone
    if known.user_id:
        entry["user_id"] = known.user_id
    return entry


def inbound(
    said: CustomerMessage,
    phone: str,
    known: Phone,
    business: str,
    external_id: str,
    at: float,
    media: Media | None,
    quoted: Item | None,
) -> Json:
    """The `messages` entry of what the customer said."""
    message: Json = {"id": external_id, "timestamp": str(int(at))}
    if not known.username:
        message["from"] = known.wa_id or phone
    if known.user_id:
        message["from_user_id"] = known.user_id
    context: Json = {"from": business, "id": said.quotes} if said.quotes else {}
    if said.forwarded:
        context["forwarded"] = True
    if context:
        message["context"] = context
    if said.group:
        message["group_id"] = said.group
    if said.referral:
        message["referral"] = said.referral
    message.update(_content(said, media, quoted))
    return {**message, **(said.raw or {})}


def _content(said: CustomerMessage, media: Media | None, quoted: Item | None) -> Json:
    if said.text is not None:
        return _typed("text", {"body": said.text})
    if said.file is not None and media is not None:
        return _file(said.kind, said.file, media)
    if said.location is not None:
        return _typed("location", said.location.model_dump(exclude_none=True))
    if said.contacts is not None:
        cards = [
            {
                "name": {"formatted_name": card.name, "first_name": card.name},
                "phones": [{"phone": phone, "type": "CELL"} for phone in card.phones],
            }
            for card in said.contacts
        ]
        return _typed("contacts", cards)
    if said.button is not None:
        tap = said.button
        if quoted is not None and quoted.template is not None:
            return _typed("button", {"payload": tap.id, "text": tap.title})
        reply = {"id": tap.id, "title": tap.title}
        return _typed("interactive", {"type": "button_reply", "button_reply": reply})
    if said.list_row is not None:
        row = said.list_row.model_dump(include={"id", "title", "description"}, exclude_none=True)
        return _typed("interactive", {"type": "list_reply", "list_reply": row})
    if said.reaction is not None:
        return _typed("reaction", said.reaction.model_dump())
    return _rare(said)


def _rare(said: CustomerMessage) -> Json:
    if said.flow is not None:
        flow = said.flow
        answers = json.dumps(flow.response, ensure_ascii=False)
        reply = {"name": flow.name, "body": flow.body, "response_json": answers}
        return _typed("interactive", {"type": "nfm_reply", "nfm_reply": reply})
    if said.order is not None:
        return _typed("order", said.order.model_dump())
    if said.edit is not None:
        inner = _typed("text", {"body": said.edit.text})
        return _typed("edit", {"original_message_id": said.edit.message_id, "message": inner})
    if said.unsend is not None:
        return _typed("revoke", {"original_message_id": said.unsend.message_id})
    if said.unsupported is not None:
        words = "Message type is not currently supported."
        error: Json = {"code": 131051, "title": "Unsupported message type", "message": words}
        error["error_data"] = {"details": words}
        return {**_typed("unsupported", said.unsupported.model_dump()), "errors": [error]}
    return {}


def _typed(kind: str, content: Any) -> Json:
    return {"type": kind, kind: content}


def _file(kind: str, file: File, media: Media) -> Json:
    content: Json = {"id": media.id, "mime_type": media.mime, "sha256": media.sha256}
    if file.caption:
        content["caption"] = file.caption
    if kind == "document":
        content["filename"] = media.name or "document"
    if kind == "sticker":
        content["animated"] = False
    if kind in ("audio", "voice"):
        content["voice"] = kind == "voice"
        kind = "audio"
    return _typed(kind, content)


def status_entry(item: Item, known: Phone, status: str, error: int | None, at: float) -> Json:
    """The `statuses` entry of a message the business sent."""
    entry: Json = {"id": item.external_id, "status": status, "timestamp": str(int(at))}
    if not item.phone.isdigit():
        entry |= {"recipient_type": "group", "recipient_id": item.phone}
    elif not known.username:
        entry["recipient_id"] = known.wa_id or item.phone
    if known.user_id:
        entry["recipient_user_id"] = known.user_id
    if status in ("sent", "delivered"):
        entry["pricing"] = {
            "billable": item.template is not None,
            "pricing_model": "PMP",
            "category": "utility" if item.template else "service",
            "type": "regular" if item.template else "free_customer_service",
        }
    if error is not None:
        title = TITLES.get(error, "Message failed to send")
        entry["errors"] = [
            {"code": error, "title": title, "message": title, "error_data": {"details": title}}
        ]
    if item.correlation is not None:
        entry["biz_opaque_callback_data"] = item.correlation
    return entry


def said_text(body: Json) -> str:
    """The text of a send that is not checked yet, for faults to match."""
    content = body.get(str(body.get("type", "text")))
    if not isinstance(content, dict):
        return ""
    inner = content.get("body")
    texts = (inner, inner.get("text") if isinstance(inner, dict) else None, content.get("caption"))
    return next((text for text in texts if isinstance(text, str)), "")


def show(body: Json, item: Item) -> None:
    """Fill in what the phone shows of a send that passed the rules."""
    kind = body.get("type", "text")
    content = body[kind]
    item.kind = kind
    item.reply_to = (body.get("context") or {}).get("message_id")
    if kind == "text":
        item.text = content["body"]
    elif kind == "interactive":
        _show_interactive(content, item)
    elif kind == "location":
        item.place = dict(content)
    elif kind == "contacts":
        item.contacts = content
    elif kind == "reaction":
        item.reaction = dict(content)
    elif kind == "template":
        item.template = content
        item.text = content["name"]
    else:
        item.kind = "voice" if content.get("voice") else kind
        item.text = content.get("caption") or ""
        _show_file(content, item.kind, item)


def _show_file(content: Json, kind: str, item: Item) -> None:
    shown = {"kind": kind, "mime": None, "url": content.get("link"), "id": content.get("id")}
    item.media.append({**shown, "name": content.get("filename")})


def _show_interactive(content: Json, item: Item) -> None:
    item.kind = "text"
    item.text = content["body"]["text"]
    item.footer = (content.get("footer") or {}).get("text", "")
    header = content.get("header")
    if header and header["type"] == "text":
        item.header = header["text"]
    elif header:
        item.kind = header["type"]
        _show_file(header[item.kind], item.kind, item)
    action = content["action"]
    if content["type"] == "button":
        item.buttons = [
            {"id": button["reply"]["id"], "title": button["reply"]["title"]}
            for button in action["buttons"]
        ]
    elif content["type"] == "list":
        item.list_button = action["button"]
        item.rows = [
            {"section": section.get("title") or "", "description": "", **row}
            for section in action["sections"]
            for row in section["rows"]
        ]
    elif content["type"] == "cta_url":
        link = action["parameters"]
        item.buttons = [{"id": "", "title": link["display_text"], "url": link["url"]}]
    else:
        item.kind = "location_request"
