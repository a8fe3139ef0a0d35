"""Which call of the Bot API says a message. Imported with python-telegram-bot, at first use."""

import contextlib
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from telegram import (
    Bot,
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaAudio,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    MessageEntity,
    ReplyParameters,
)

from connectors._telegram_ids import Peer, callback_data, message_number
from connectors._telegram_text import entities_of
from hub.errors import MediaFailed
from hub.message import Button, ContactCard, Media, Message, Outbound

NARROW = 20
"""Characters of a label up to which two buttons stand in a row."""

Arguments = dict[str, Any]


async def deliver(bot: Bot, out: Outbound, peer: Peer) -> None:
    """Make the one call. Raises MediaFailed for an attachment that is nowhere."""
    message, to = out.message, recipient(out, peer)
    if message.media:
        with contextlib.ExitStack() as stack:
            found = [source(out, at, stack) for at in range(len(message.media))]
            if len(message.media) > 1:
                await bot.send_media_group(media=album(message, found), **to)
                return
            name, part = method_of(message.media[0])
            told = {"caption": message.text or None, "caption_entities": formatted(message) or None}
            if name == "send_sticker":
                told = {}
            markup = keyboard(message.buttons)
            await getattr(bot, name)(**{part: found[0]}, **told, reply_markup=markup, **to)
    elif message.place is not None:
        place = message.place
        point: Arguments = {"latitude": place.latitude, "longitude": place.longitude}
        if place.name:
            # A venue must have both; its name stands for an address that is not known.
            about: Arguments = {"title": place.name, "address": place.address or place.name}
            await bot.send_venue(**point, **about, **to)
        else:
            await bot.send_location(**point, **to)
    elif message.contacts and message.contacts[0].phones:
        await bot.send_contact(**card(message.contacts[0]), **to)
    else:
        text, buttons = said(message)
        entities = formatted(message) or None
        await bot.send_message(text=text, entities=entities, reply_markup=keyboard(buttons), **to)


def recipient(out: Outbound, peer: Peer) -> Arguments:
    quoted = message_number(out.reply_to)
    return {
        "chat_id": peer.chat,
        "message_thread_id": peer.topic,
        "business_connection_id": peer.business or None,
        "reply_parameters": ReplyParameters(quoted, allow_sending_without_reply=True)
        if quoted is not None
        else None,
    }


def formatted(message: Message) -> list[MessageEntity]:
    return [
        MessageEntity(one["type"], one["offset"], one["length"], one.get("url"))
        for one in entities_of(message.text, message.formats)
    ]


# Attachments


def source(out: Outbound, at: int, stack: contextlib.ExitStack) -> Any:
    """The attachment's file, or the address Telegram fetches it from."""
    media = out.message.media[at]
    if at < len(out.files):
        path: Path = out.files[at]
        try:
            opened = stack.enter_context(path.open("rb"))
        except OSError:
            raise MediaFailed("the attachment's file cannot be read") from None
        name = media.name or path.name
        return InputFile(opened, name, attach=len(out.message.media) > 1, read_file_handle=False)
    # The library would take any other text for a file's path, and read the file.
    if not re.match(r"https?://", media.source_url):
        raise MediaFailed("the attachment has neither a file nor an address")
    return media.source_url


def method_of(media: Media) -> tuple[str, str]:
    """The call and the name of its part. A photo would lose a GIF's motion."""
    if media.kind == "image" and media.mime == "image/gif":
        return "send_animation", "animation"
    part = {"image": "photo", "file": "document"}.get(media.kind, media.kind)
    return f"send_{part}", part


ALBUM = {
    "image": InputMediaPhoto,
    "video": InputMediaVideo,
    "audio": InputMediaAudio,
    "file": InputMediaDocument,
}


def album(message: Message, found: list[Any]) -> list[Any]:
    """The attachments of one call. The caption of photos and videos is the album's if the first
    alone has it; under files and songs it is read last."""
    kinds = [item.kind for item in message.media]
    captioned = len(kinds) - 1 if kinds[-1] in ("audio", "file") else 0
    return [
        ALBUM[kind](
            media=one,
            caption=message.text or None if at == captioned else None,
            caption_entities=formatted(message) or None if at == captioned else None,
        )
        for at, (kind, one) in enumerate(zip(kinds, found, strict=True))
    ]


# Buttons


def said(message: Message) -> tuple[str, tuple[Button, ...]]:
    """The text, with the links that Telegram does not take in a button as lines below it."""
    plain = [one for one in message.buttons if one.url and not is_linkable(one.url)]
    lines = [f"{one.title}: {one.url}" for one in plain]
    text = message.text or "\n".join(
        ": ".join(filter(None, (one.name, ", ".join(one.emails)))) for one in message.contacts
    )
    return "\n".join([text, *lines]), tuple(one for one in message.buttons if one not in plain)


def is_linkable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    return parts.scheme == "tg" or (parts.scheme in ("http", "https") and "." in host)


def keyboard(buttons: tuple[Button, ...]) -> InlineKeyboardMarkup | None:
    if not buttons:
        return None
    made = [
        InlineKeyboardButton(one.title, url=one.url)
        if one.url
        else InlineKeyboardButton(one.title, callback_data=callback_data(one.id))
        for one in buttons
    ]
    in_row = 1 if any(len(one.title) > NARROW for one in buttons) else 2
    return InlineKeyboardMarkup([made[at : at + in_row] for at in range(0, len(made), in_row)])


# Contacts


def card(contact: ContactCard) -> Arguments:
    name = contact.name or contact.phones[0]
    more = contact.phones[1:]
    if not more and not contact.emails:
        return {"phone_number": contact.phones[0], "first_name": name}
    lines = ["BEGIN:VCARD", "VERSION:3.0", f"FN:{escaped(name)}"]
    lines += [f"TEL:{escaped(phone)}" for phone in contact.phones]
    lines += [f"EMAIL:{escaped(email)}" for email in contact.emails]
    return {
        "phone_number": contact.phones[0],
        "first_name": name,
        "vcard": "\n".join([*lines, "END:VCARD"]),
    }


def escaped(value: str) -> str:
    return re.sub(r"([\\,;])", r"\\\1", " ".join(value.split()))
