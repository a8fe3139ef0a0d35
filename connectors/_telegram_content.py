"""Reads what one Telegram message says. Bot API 10.0."""

import re
from typing import Any

from connectors._telegram_fields import Object, number, part_of, parts_of, text_of, whole
from connectors._telegram_text import read_text
from hub.message import Choice, ContactCard, Media, MediaKind, Message, Place, Share, clean_text

Parts = dict[str, Any]
"""Arguments of `Message.of`."""

FILES: dict[str, MediaKind] = {
    "animation": "video",  # a GIF, which Telegram keeps as a video without sound
    "video": "video",
    "video_note": "video",
    "audio": "audio",
    "voice": "voice",
    "document": "file",
    "sticker": "sticker",
}

SERVICE = re.compile(
    r"new_chat_\w+|left_chat_member|delete_chat_photo|\w+_chat_created|pinned_message"
    r"|message_auto_delete_timer_changed|migrate_(?:to|from)_chat_id|(?:general_)?forum_topic_\w+"
    r"|video_chat_\w+|boost_added|chat_background_set|chat_owner_\w+|write_access_allowed"
    r"|connected_website|proximity_alert_triggered|giveaway_(?:created|completed)"
    r"|suggested_post_\w+|(?:direct|paid)_message_price_changed|poll_option_\w+"
    r"|checklist_tasks_\w+|managed_bot_created"
)
"""What Telegram tells of the chat itself, in the form of a message nobody wrote."""


def read_content(item: Object, sender: int | None) -> tuple[Message | None, bool]:
    """The message, and whether it says all the item says; if not, the item is to be kept raw.
    None for a note of Telegram's own. `sender` is who wrote, to tell their own contact."""
    parts = read_parts(item, sender)
    around: Parts = {
        "forwarded": bool(part_of(item, "forward_origin")) or "forward_date" in item,
        "album": text_of(item, "media_group_id"),
    }
    if parts is not None:
        return Message.of(**parts, **around), True
    if any(SERVICE.fullmatch(name) for name in item):
        return None, True
    return Message(text=clean_text(stray_text(item)), kind="unsupported", **around), False


def read_parts(item: Object, sender: int | None) -> Parts | None:
    if text_of(item, "text"):
        return read_text(item)
    if media := media_of(item):
        return {"media": (media,), **read_text(item, "caption", "caption_entities")}
    if card := contact_of(item, sender):
        return {"contacts": (card,)}
    for read in (read_place, read_web_app, read_story, read_dice):
        if parts := read(item):
            return parts
    return None


def media_of(item: Object) -> Media | None:
    """The attachment; the largest of a photo's sizes. An animation stands as a document too,
    and a live photo as its photo."""
    if photo := largest(item) or largest(part_of(item, "live_photo")):
        return photo
    for name, kind in FILES.items():
        part = part_of(item, name)
        if text_of(part, "file_id"):
            return Media(
                kind=kind,
                mime=text_of(part, "mime_type") or mime_of(name, part),
                name=clean_text(text_of(part, "file_name") or text_of(part, "emoji")),
                size=size_of(part),
                provider_id=text_of(part, "file_id"),
                voice=kind == "voice",
            )
    return None


def largest(item: Object) -> Media | None:
    sizes = [size for size in parts_of(item, "photo") if text_of(size, "file_id")]
    if not sizes:
        return None
    best = max(sizes, key=lambda size: (area(size), size_of(size) or 0))
    return Media(
        kind="image",
        mime="image/jpeg",
        size=size_of(best),
        provider_id=text_of(best, "file_id"),
    )


def area(size: Object) -> float:
    return (number(size.get("width")) or 0.0) * (number(size.get("height")) or 0.0)


def size_of(part: Object) -> int | None:
    size = whole(part.get("file_size"))
    return size if size is not None and size >= 0 else None


def mime_of(name: str, part: Object) -> str:
    if name == "sticker":
        if part.get("is_animated") is True:
            return "application/x-tgsticker"
        return "video/webm" if part.get("is_video") is True else "image/webp"
    return {"video_note": "video/mp4", "voice": "audio/ogg"}.get(name, "")


def contact_of(item: Object, sender: int | None) -> ContactCard | None:
    """The shared contact; Telegram vouches for the number where the person is the sender."""
    contact = part_of(item, "contact")
    phone = text_of(contact, "phone_number").strip()
    if not phone:
        return None
    owner = whole(contact.get("user_id"))
    is_sender = owner is not None and owner == sender and bool(plain_phone(phone))
    emails = re.findall(r"^EMAIL[^:\r\n]*:([^\r\n]+)", text_of(contact, "vcard"), re.MULTILINE)
    return ContactCard(
        name=name_of(contact),
        phones=(plain_phone(phone) if is_sender else clean_text(phone),),
        emails=tuple(clean_text(email.strip()) for email in emails),
        is_sender=is_sender,
    )


def plain_phone(phone: str) -> str:
    """E.164 of a number of Telegram's, which may lack the plus; nothing where it is none."""
    digits = re.sub(r"[\s()+.-]", "", phone)
    return f"+{digits}" if re.fullmatch(r"[1-9][0-9]{6,14}", digits) else ""


def name_of(person: Object) -> str:
    names = (text_of(person, "first_name"), text_of(person, "last_name"))
    return clean_text(" ".join(name for name in names if name))


def read_place(item: Object) -> Parts | None:
    """A venue has a location too, within it and beside it."""
    venue = part_of(item, "venue")
    point = part_of(venue, "location") or part_of(item, "location")
    latitude, longitude = number(point.get("latitude")), number(point.get("longitude"))
    if latitude is None or longitude is None:
        return None
    name, address = (clean_text(text_of(venue, key)) for key in ("title", "address"))
    return {"place": Place(latitude=latitude, longitude=longitude, name=name, address=address)}


def read_web_app(item: Object) -> Parts | None:
    """What a Mini App opened by a keyboard's button brings back."""
    data = part_of(item, "web_app_data")
    id, title = text_of(data, "data"), clean_text(text_of(data, "button_text"))
    return {"choice": Choice(type="postback", id=id, title=title), "text": title} if id else None


def read_story(item: Object) -> Parts | None:
    url = story_url(part_of(item, "story"))
    return {"share": Share(url=url, type="story")} if url else None


def story_url(story: Object) -> str:
    """The public address of a story; who has no username has none."""
    who, number = text_of(part_of(story, "chat"), "username"), whole(story.get("id"))
    return f"https://t.me/{who}/s/{number}" if who and number is not None else ""


def read_dice(item: Object) -> Parts | None:
    """An emoji that Telegram rolls, sent as the customer sent it."""
    emoji = text_of(part_of(item, "dice"), "emoji")
    return {"text": emoji} if emoji else None


def stray_text(item: Object) -> str:
    """What can be read of a kind that the hub has no words for, so that agents see some of it."""
    lines = [text_of(item, "caption")]
    for name in ("poll", "game", "checklist", "invoice"):
        part = part_of(item, name)
        lines += [text_of(part, "question"), text_of(part, "title"), text_of(part, "description")]
        lines += [f"- {text_of(one, 'text')}" for one in parts_of(part, "options")]
        lines += [f"- {text_of(one, 'text')}" for one in parts_of(part, "tasks")]
    return "\n".join(line for line in lines if line)
