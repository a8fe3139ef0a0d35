"""Telegram's objects: messages, updates, and the fields of a call."""

from typing import Any

import orjson
from aiohttp import web

from connectors.sandbox.customer import Phone
from connectors.sandbox.media import Media
from connectors.sandbox.telegram_account import Bot
from connectors.sandbox.telegram_customer import CustomerMessage
from connectors.sandbox.telegram_rules import BadRequest
from connectors.sandbox.transcript import Item

Json = dict[str, Any]
PARTS = {"image": "photo", "document": "document"}
_OBJECTS = ("reply_markup", "reply_parameters", "entities", "caption_entities", "media",
            "reaction", "allowed_updates")  # fmt: skip


async def read_fields(request: web.Request) -> tuple[Json, dict[str, web.FileField]]:
    """The call's fields, however they came, and its uploads. Raises `BadRequest`."""
    fields: Json = dict(request.query)
    uploads: dict[str, web.FileField] = {}
    try:
        if request.content_type == "application/json":
            given = orjson.loads(await request.read() or b"{}")
            if not isinstance(given, dict):
                raise BadRequest("object expected")
            fields |= given
        elif request.can_read_body:
            for name, value in (await request.post()).items():
                if isinstance(value, web.FileField):
                    uploads[name] = value
                else:
                    fields[name] = value
        for name in _OBJECTS:
            if isinstance(fields.get(name), str):
                fields[name] = orjson.loads(fields[name])
    except orjson.JSONDecodeError:
        raise BadRequest("can't parse the JSON of the call") from None
    return fields, uploads


def whole(fields: Json, name: str, default: int | None = None) -> int | None:
    """A field that is a whole number. Raises `BadRequest`."""
    value = fields.get(name, default)
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise BadRequest(f"{name} is not a number") from None


def bot_user(account: Bot) -> Json:
    names = {"first_name": account.name, "username": account.username}
    return {"id": int(account.key), "is_bot": True, **names}


def user(phone: str, known: Phone) -> Json:
    first, _, last = (known.name or "Customer").partition(" ")
    told: Json = {"id": int(phone), "is_bot": False, "first_name": first, "language_code": "bn"}
    if last:
        told["last_name"] = last
    return told | ({"username": known.username} if known.username else {})


def chat(id: int, known: Phone) -> Json:
    if id < 0:
        return {"id": id, "type": "supergroup", "title": known.name or "Friends"}
    first = (known.name or "Customer").partition(" ")[0]
    return {"id": id, "type": "private", "first_name": first}


def number_of(item: Item) -> int:
    """The message id, which is the chat's own."""
    return int(item.external_id.partition(":")[2])


def chat_of(item: Item) -> int:
    return int(item.external_id.partition(":")[0])


def plain(item: Item, where: Json, sender: Json) -> Json:
    """A message of which only the text is told, as in a reply or a callback."""
    told = {"message_id": number_of(item), "date": int(item.at), "chat": where, "from": sender}
    return told | ({"text": item.text} if item.text else {})


def keyboard(item: Item) -> Json:
    """The inline keyboard under a message, one button a row."""
    rows = [
        [{"text": one["title"]} | ({"url": one["url"]} if "url" in one else
                                   {"callback_data": one["id"]})]
        for one in item.buttons
    ]  # fmt: skip
    return {"reply_markup": {"inline_keyboard": rows}} if rows else {}


def file_facts(file: Media) -> Json:
    facts = {"file_id": file.id, "file_unique_id": f"u{file.id}", "file_size": len(file.content)}
    return facts | {"mime_type": file.mime.partition(";")[0]}


def content(said: CustomerMessage, file: Media | None, sender: Json) -> Json:
    """What the message object says, apart from who and when."""
    if said.text is not None:
        entities = {"entities": said.entities} if said.entities else {}
        return {"text": said.text, **entities}
    if said.start is not None:
        command = {"type": "bot_command", "offset": 0, "length": 6}
        return {"text": f"/start {said.start}".strip(), "entities": [command]}
    if file is not None:
        return _file_content(said, file)
    if said.location is not None:
        return _place(said)
    if said.own_contact is not None:
        return {"contact": _contact(said.own_contact) | {"user_id": sender["id"]}}
    if said.contacts:
        return {"contact": _contact(said.contacts[0])}
    return {}


def _file_content(said: CustomerMessage, file: Media) -> Json:
    facts = file_facts(file)
    told: Json = {}
    if said.file is not None and said.file.caption:
        told["caption"] = said.file.caption
    if file.kind == "image":
        del facts["mime_type"]
        small = facts | {"file_id": f"{file.id}s", "width": 90, "height": 68, "file_size": 900}
        return {"photo": [small, facts | {"width": 800, "height": 600}], **told}
    if file.kind == "sticker":
        shape = {"type": "regular", "width": 512, "height": 512, "emoji": "👍"}
        return {"sticker": facts | shape | {"is_animated": False, "is_video": False}}
    if file.kind in ("video", "animation"):
        facts |= {"width": 640, "height": 480, "duration": 3}
    if file.kind in ("audio", "voice"):
        facts["duration"] = 3
    if file.name:
        facts["file_name"] = file.name
    told[file.kind] = facts
    return told | ({"document": facts} if file.kind == "animation" else {})


def _place(said: CustomerMessage) -> Json:
    place = said.location
    assert place is not None
    point = {"latitude": place.latitude, "longitude": place.longitude}
    if not place.name:
        return {"location": point}
    venue = {"location": point, "title": place.name, "address": place.address or ""}
    return {"venue": venue, "location": point}


def _contact(card: Any) -> Json:
    return {"phone_number": (card.phones or [""])[0], "first_name": card.name}


def membership(account: Bot, where: Json, sender: Json, at: float, *, blocks: bool) -> Json:
    bot = bot_user(account)
    was, now = ("member", "kicked") if blocks else ("kicked", "member")
    old: Json = {"status": was, "user": bot}
    new: Json = {"status": now, "user": bot}
    (new if blocks else old)["until_date"] = 0
    told = {"chat": where, "from": sender, "date": int(at)}
    return told | {"old_chat_member": old, "new_chat_member": new}
