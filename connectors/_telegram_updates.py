"""Reads one update: a message, an edit, a tap, a reaction, who may be written to. Bot API 10.0.

Reads without PTB's models, which refuse an update that lacks a field they know as required.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors._telegram_content import name_of, plain_phone, read_content, story_url
from connectors._telegram_fields import Object, part_of, parts_of, text_of, whole
from connectors._telegram_ids import TAP, Peer
from hub.clock import Micros, from_epoch
from hub.message import Alias, Choice, Inbound, Message, Profile, Referral, ReplyTo, clean_text
from hub.signal import (
    Block,
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Parsed,
    Reaction,
    Unreadable,
    Unsend,
)

START = re.compile(r"/start(?:@\w+)?(?:\s+([A-Za-z0-9_-]{1,64}))?\s*", re.IGNORECASE)
STOP = re.compile(r"/?stop(?:@\w+)?[.!]?", re.IGNORECASE)

AWAY = frozenset({"kicked", "left"})
HERE = frozenset({"member", "administrator", "creator", "restricted"})


class Unusable(Exception):
    """An item without what it takes; the text names the field."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What an update's items have in common: the bot's id, and when it came."""

    account: str
    received_at: Micros


def read_update(update: Object, origin: Origin) -> list[Parsed]:
    """What an update says, by the one key that it has beside its id. One of a key that is not
    known, or not for a hub (a poll's answer, an inline query), says nothing."""
    for key, reader in READERS.items():
        if key in update:
            try:
                return reader(part_of(update, key), origin)
            except Unusable as error:
                return [Unreadable(origin.account, f"{key} without {error}", update)]
    return []


def peer_of(item: Object) -> Peer:
    """The chat of a message. Raises Unusable."""
    chat = whole(part_of(item, "chat").get("id"))
    if chat is None:
        raise Unusable("a chat's id")
    topic = whole(item.get("message_thread_id")) if item.get("is_topic_message") is True else None
    # In a private chat topics are the customer's own order; she has one thread.
    in_forum = topic is not None and topic > 0 and not is_private(item)
    return Peer(chat, topic if in_forum else None, text_of(item, "business_connection_id"))


def is_private(item: Object) -> bool:
    chat = part_of(item, "chat")
    kind = text_of(chat, "type")
    return kind == "private" or (not kind and (whole(chat.get("id")) or 0) > 0)


def number_of(item: Object) -> int:
    """The message's number in its chat. Raises Unusable."""
    found = whole(item.get("message_id"))
    if found is None or found <= 0:
        raise Unusable("a message's id")
    return found


def author_of(item: Object, peer: Peer) -> tuple[int, Object]:
    """Who wrote: the chat in whose name they did so, else the person, else the chat itself."""
    for person in (part_of(item, "sender_chat"), part_of(item, "from")):
        if (id := whole(person.get("id"))) is not None:
            return id, person
    return peer.chat, part_of(item, "chat")


def read_message(item: Object, origin: Origin) -> list[Parsed]:
    peer, number = peer_of(item), number_of(item)
    author, person = author_of(item, peer)
    found: list[Parsed] = list(moves(item, peer, origin))
    message, is_whole = read_content(item, whole(part_of(item, "from").get("id")))
    if message is None:
        return found
    at = from_epoch(item.get("date"), origin.received_at)
    private = is_private(item)
    if peer.business and author != peer.chat:
        bot = part_of(item, "sender_business_bot").get("id")
        if str(bot) == origin.account:
            return found  # what this hub sent
        key = peer.message(number)
        return [*found, Echo(origin.account, peer.address, at, key, message)]
    payload = START.fullmatch(message.text)
    found.append(
        Inbound(
            account=origin.account,
            sender=peer.address if private else str(author),
            external_id=peer.message(number),
            dedupe_key=peer.message(number),
            message=message,
            sent_at=at,
            reply_to=answered(item, peer),
            referral=referral_of(payload[1]) if payload and payload[1] else None,
            aliases=aliases_of(author, message) if private else (),
            profile=profile_of(item, person, private=private),
            group="" if private else peer.address,
            raw=None if is_whole else item,
        )
    )
    if private and (payload or STOP.fullmatch(message.text.strip())):
        found.append(OptOut(origin.account, peer.address, at, on=payload is None))
    return found


def moves(item: Object, peer: Peer, origin: Origin) -> list[Parsed]:
    """A group that became a supergroup has a new id; both chats tell of it."""
    at = from_epoch(item.get("date"), origin.received_at)
    new, old = whole(item.get("migrate_to_chat_id")), whole(item.get("migrate_from_chat_id"))
    if new:
        return [NumberChange(origin.account, str(peer.chat), at, str(new))]
    return [NumberChange(origin.account, str(old), at, str(peer.chat))] if old else []


def answered(item: Object, peer: Peer) -> ReplyTo | None:
    """What the message quotes; in a topic every message answers the note that opened it."""
    quote = clean_text(text_of(part_of(item, "quote"), "text"))
    reply = part_of(item, "reply_to_message")
    number = whole(reply.get("message_id"))
    if number and not ("forum_topic_created" in reply or number == peer.topic):
        return ReplyTo(external_id=peer.message(number), quote=quote)
    elsewhere = part_of(item, "external_reply")
    chat, number = whole(part_of(elsewhere, "chat").get("id")), whole(elsewhere.get("message_id"))
    key = Peer(chat).message(number) if chat is not None and number else ""
    story = story_url(part_of(item, "reply_to_story"))
    if key or quote or story:
        return ReplyTo(external_id=key, quote=quote, story_url=story)
    return None


def referral_of(payload: str) -> Referral:
    return Referral(ref=payload, source="telegram", type="start")


def aliases_of(user: int, message: Message) -> tuple[Alias, ...]:
    """A user's id is the same for every bot and business account. A number is proven only by
    the sender's own contact."""
    own = [card.phones[0] for card in message.contacts if card.is_sender]
    phones = [Alias("phone", phone) for phone in map(plain_phone, own) if phone]
    return (Alias("external", f"telegram:{user}"), *phones)


def profile_of(item: Object, person: Object, *, private: bool) -> Profile:
    """The customer's, who in a group is the group."""
    who = person if private else part_of(item, "chat")
    return Profile(
        name=name_of(who) or clean_text(text_of(who, "title")),
        username=clean_text(text_of(who, "username")),
        language=clean_text(text_of(who, "language_code")) if private else "",
    )


def read_edit(item: Object, origin: Origin) -> list[Parsed]:
    peer, number = peer_of(item), number_of(item)
    message, _ = read_content(item, whole(part_of(item, "from").get("id")))
    if message is None:
        return []
    at = from_epoch(item.get("edit_date") or item.get("date"), origin.received_at)
    return [Edit(origin.account, peer.address, at, peer.message(number), message)]


def read_tap(query: Object, origin: Origin) -> list[Parsed]:
    """A tapped button. The message it stands under may be too old to be shown, or have been
    sent through an inline query, which names no chat: then the person is all there is."""
    id, user = text_of(query, "id"), whole(part_of(query, "from").get("id"))
    if not id or user is None:
        raise Unusable("an id and who tapped")
    item = part_of(query, "message")
    known = whole(part_of(item, "chat").get("id")) is not None
    peer = peer_of(item) if known else Peer(user)
    private = not known or is_private(item)
    number = whole(item.get("message_id"))
    choice, is_whole = choice_of(query, item)
    person = part_of(query, "from")
    message = Message.of(choice.title, choice=choice) if is_whole else Message(kind="unsupported")
    return [
        Inbound(
            account=origin.account,
            sender=peer.address if private else str(user),
            external_id=TAP + id,
            dedupe_key=TAP + id,
            message=message,
            sent_at=origin.received_at,
            reply_to=ReplyTo(external_id=peer.message(number)) if known and number else None,
            aliases=aliases_of(user, message) if private else (),
            profile=profile_of(item, person, private=private),
            group="" if private else peer.address,
            raw=None if is_whole else query,
        )
    ]


def choice_of(query: Object, item: Object) -> tuple[Choice, bool]:
    """What was tapped, with the title that the message's own keyboard gives it."""
    data = clean_text(text_of(query, "data"))
    id = data or text_of(query, "game_short_name")
    keyboard = part_of(item, "reply_markup").get("inline_keyboard")
    rows = keyboard if isinstance(keyboard, list) else []
    buttons = [one for row in rows if isinstance(row, list) for one in row if isinstance(one, dict)]
    titles = [
        text_of(one, "text") for one in buttons if data and text_of(one, "callback_data") == data
    ]
    title = clean_text(titles[0]) if titles else ""
    return Choice(type="button" if data else "postback", id=id, title=title), bool(id)


PAID, CUSTOM = "⭐", "custom emoji"


def read_reaction(item: Object, origin: Origin) -> list[Parsed]:
    peer, number = peer_of(item), number_of(item)
    given = [shown(one) for one in parts_of(item, "new_reaction")]
    at = from_epoch(item.get("date"), origin.received_at)
    emoji = " ".join(one for one in given if one)
    return [Reaction(origin.account, peer.address, at, peer.message(number), emoji)]


def shown(reaction: Object) -> str:
    """A reaction as text; what a custom emoji looks like is not told."""
    if text_of(reaction, "type") == "emoji":
        return clean_text(text_of(reaction, "emoji"))
    return {"custom_emoji": CUSTOM, "paid": PAID}.get(text_of(reaction, "type"), "")


def read_member(item: Object, origin: Origin) -> list[Parsed]:
    """The customer blocked the bot or let it write again; a group took it out or in."""
    peer = peer_of(item)
    status = text_of(part_of(item, "new_chat_member"), "status")
    if status not in AWAY | HERE:
        return []
    at = from_epoch(item.get("date"), origin.received_at)
    return [Block(origin.account, peer.address, at, on=status in AWAY)]


def read_deleted(item: Object, origin: Origin) -> list[Parsed]:
    peer = peer_of(item)
    numbers = item.get("message_ids")
    keys = [
        peer.message(number)
        for number in (numbers if isinstance(numbers, list) else ())
        if whole(number) is not None
    ]
    at = origin.received_at
    return [Unsend(origin.account, peer.address, at, key) for key in keys]


READERS: dict[str, Callable[[Object, Origin], list[Parsed]]] = {
    "message": read_message,
    "edited_message": read_edit,
    "channel_post": read_message,
    "edited_channel_post": read_edit,
    "business_message": read_message,
    "edited_business_message": read_edit,
    "deleted_business_messages": read_deleted,
    "callback_query": read_tap,
    "message_reaction": read_reaction,
    "my_chat_member": read_member,
}

WANTED: tuple[Any, ...] = (*READERS, "business_connection")
"""The kinds of updates to ask Telegram for; without a list it leaves reactions out."""
