"""Reads the items of a webhook of Messenger or Instagram, each by itself.

Messenger Platform and Instagram messaging, webhooks of Graph API v25.0: `messaging` items, the
same under `standby` while another app owns the thread, and as `changes` (the dashboard's tests).
Nothing of a customer is dropped: what she sent in a form we do not know is a message of kind
`unsupported` with its raw item, and what cannot be told whose it is is `Unreadable`.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from connectors._meta_content import read_message, web_url
from connectors.graph import objects_of, part_of, text_of
from hub.clock import Micros, from_epoch
from hub.message import Choice, Inbound, Message, Receipt, Referral, ReplyTo, Share, clean_text
from hub.signal import (
    DeliveredToCustomer,
    Echo,
    Edit,
    OptOut,
    Parsed,
    Reaction,
    ReadByCustomer,
    Unreadable,
    Unsend,
)

REACTIONS = {
    "smile": "😆",
    "laugh": "😂",
    "haha": "😂",
    "angry": "😠",
    "sad": "😢",
    "wow": "😮",
    "love": "❤️",
    "like": "👍",
    "dislike": "👎",
}
UNNAMED = "❔"  # a reaction is known by neither its emoji nor its name

PUBLIC = frozenset(
    {
        "feed", "comments", "live_comments", "mention", "mentions", "story_insights", "ratings",
        "conversations", "live_videos", "videos", "name", "picture", "description", "leadgen",
    }
)  # fmt: skip
"""Fields of `changes` that are no messages. A hub of messages has no place for them."""

SILENT = (
    "pass_thread_control",
    "take_thread_control",
    "request_thread_control",
    "app_roles",
    "account_linking",
    "game_play",
)
"""What changes nothing here: who owns the thread shows in what comes as `standby`."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where an item was found: in an entry of `account`, who `sender` is the customer."""

    account: str
    sender: str
    at: Micros
    standby: bool
    ours: bool


Reader = Callable[[dict[str, Any], Where], Iterator[Parsed]]

STOP_WORDS = ("stop", "unsubscribe", "বন্ধ")
START_WORDS = ("subscribe", "unstop")  # "start" is what people say to begin a dialog


@dataclass(frozen=True, slots=True)
class Words:
    """What a customer writes to stop marketing messages and to have them again, in small
    letters: Meta has no such words of its own."""

    stop: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()

    def heard_in(self, found: Iterable[Parsed]) -> Iterator[Parsed]:
        """What was found, with an opt-out or opt-in after each message that is such a word. She
        is still answered: she may only have stopped a dialog."""
        for one in found:
            yield one
            if isinstance(one, Inbound) and one.message.kind == "text":
                word = one.message.text.strip().casefold()
                if word in self.stop:
                    yield OptOut(one.account, one.sender, one.sent_at, True, "marketing")
                elif word in self.start:
                    yield OptOut(one.account, one.sender, one.sent_at, False, "marketing")


def folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(clean_text(word).strip().casefold() for word in words)


def read_entry(entry: Any, received_at: Micros) -> Iterator[Parsed]:
    """Everything in one entry of the hook."""
    account = text_of(entry, "id")
    seen = False
    for name in ("messaging", "standby"):
        items = entry.get(name) if isinstance(entry, dict) else None
        if items is None or items == []:
            continue
        seen = True
        for item in items if isinstance(items, list) else [items]:
            yield from read_item(item, account, entry, received_at, standby=name == "standby")
    whole = [entry] if part_of(entry, "value") else []  # as some of Instagram's are documented
    for change in objects_of(entry, "changes") + whole:
        seen = True
        yield from read_change(change, account, entry, received_at)
    if not seen:
        yield Unreadable(account, "an entry with nothing in it that the hub reads", entry)


def read_change(
    change: dict[str, Any], account: str, entry: Any, received_at: Micros
) -> Iterator[Parsed]:
    field, value = text_of(change, "field"), part_of(change, "value")
    if part_of(value, "sender") and part_of(value, "recipient"):
        yield from read_item(value, account, entry, received_at, standby=field == "standby")
    elif field not in PUBLIC:
        shown = field if field.isascii() and field.isidentifier() and len(field) <= 60 else ""
        yield Unreadable(
            account, f"the hub does not read the field {shown or 'of no name'}", change
        )


def read_item(
    item: Any, account: str, entry: Any, received_at: Micros, *, standby: bool
) -> list[Parsed]:
    """One item. Whatever is wrong with it must not cost its siblings."""
    if not isinstance(item, dict):
        return [Unreadable(account, "an item is no object", item)]
    try:
        return list(read_known(item, account, entry, received_at, standby))
    except Exception as error:
        return [Unreadable(account, f"{type(error).__name__} in an item", item)]


def read_known(
    item: dict[str, Any], account: str, entry: Any, received_at: Micros, standby: bool
) -> Iterator[Parsed]:
    sender = text_of(part_of(item, "sender"), "id")
    recipient = text_of(part_of(item, "recipient"), "id")
    message = part_of(item, "message")
    # An echo has the customer as its recipient. One that lost its mark must not be taken for
    # a customer's message either: a bot would answer itself.
    ours = message.get("is_echo") is True or (bool(account) and sender == account)
    account = account or (sender if ours else recipient)
    sender = recipient if ours else sender
    if not account:
        yield Unreadable("", "an item of no account", item)
        return
    if message.get("is_self") is True or (ours and sender == account):
        return  # the account's messages to itself
    at = from_epoch(item.get("timestamp"), from_epoch(entry.get("time"), received_at))
    place = Where(account, sender, at, standby, ours)
    for name, reader in READERS.items():
        if item.get(name) is not None:
            yield from reader(item, place)
            return
    if not any(name in item for name in SILENT):
        yield read_unknown(item, place)


def read_unknown(item: dict[str, Any], place: Where) -> Parsed:
    """Of an unknown kind: shown in the thread if it is a customer's message by its looks."""
    if place.sender and not place.ours and any(text_of(part, "mid") for part in item.values()):
        message = Message(kind="unsupported", standby=place.standby)
        return inbound(item, place, "", message, False)
    return Unreadable(place.account, "an item of a kind that the hub does not know", item)


def inbound(
    item: dict[str, Any], place: Where, key: str, message: Message, whole: bool, **more: Any
) -> Parsed:
    """A message of the customer. What has no id of its own is known by what it says."""
    if not place.sender:
        return Unreadable(place.account, "an item without a sender's id", item)
    return Inbound(
        account=place.account,
        sender=place.sender,
        external_id=key,
        dedupe_key=key or digest(item),
        message=message,
        sent_at=place.at,
        raw=None if whole else item,
        **more,
    )


def digest(item: dict[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(item, option=orjson.OPT_SORT_KEYS)).hexdigest()


# Messages


def read_said(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    message = part_of(item, "message")
    key = text_of(message, "mid")
    if not key or not place.sender:
        missing = "a sender's id" if key else "an id"
        yield Unreadable(place.account, f"a message without {missing}", item)
        return
    if message.get("is_deleted") is True:
        yield Unsend(place.account, place.sender, place.at, key)
        return
    said, whole = read_message(message, place.standby)
    if place.ours:
        metadata = text_of(message, "metadata")
        yield Echo(place.account, place.sender, place.at, key, said, metadata)
        return
    referral = referral_of(part_of(message, "referral")) or referral_of(part_of(item, "referral"))
    whole = whole and not (referral and referral.source == "product")
    reply = quoted(part_of(message, "reply_to"))
    yield inbound(item, place, key, said, whole, reply_to=reply, referral=referral)


def quoted(reply: dict[str, Any]) -> ReplyTo | None:
    """What she answers: a message, or a story of the account."""
    story = part_of(reply, "story")
    found = ReplyTo(external_id=text_of(reply, "mid"), story_url=web_url(text_of(story, "url")))
    if story and not found.story_url:
        found = found.model_copy(update={"quote": "story"})
    return found if found != ReplyTo() else None


def read_postback(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """A tapped button, menu entry, ice breaker or Get Started; `standby` has no payload."""
    postback = part_of(item, "postback")
    title = clean_text(text_of(postback, "title"))
    payload = clean_text(text_of(postback, "payload")) or title
    if not payload:
        yield Unreadable(place.account, "a postback without a payload or a title", item)
        return
    choice = Choice(type="postback", id=payload, title=title)
    message = Message.of(title, choice=choice, standby=place.standby)
    referral = referral_of(part_of(postback, "referral")) or referral_of(part_of(item, "referral"))
    yield inbound(item, place, text_of(postback, "mid"), message, True, referral=referral)


def read_referral(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """She came by a link or an ad into a thread she has had before, and has said nothing yet.
    The words of the link are anybody's, so they are never taken for a tapped button."""
    referral = referral_of(part_of(item, "referral"))
    if referral is None:
        yield Unreadable(place.account, "a referral that tells nothing", item)
        return
    yield inbound(item, place, "", arrival(referral, place), True, referral=referral)


def arrival(referral: Referral, place: Where) -> Message:
    share = Share(url=referral.url, title=referral.headline, type="referral")
    return Message.of(share=share, standby=place.standby)


def referral_of(referral: dict[str, Any]) -> Referral | None:
    """What brought her here: an m.me or ig.me link, an ad, a shop's product, a plugin."""
    product = text_of(part_of(referral, "product"), "id")
    ad = part_of(referral, "ads_context_data")
    found = Referral(
        ref=text_of(referral, "ref") or product,
        source=text_of(referral, "source") or ("product" if product else ""),
        type=text_of(referral, "type"),
        ad_id=text_of(referral, "ad_id"),
        headline=clean_text(text_of(ad, "ad_title")),
        url=web_url(text_of(referral, "referer_uri")),
    )
    return found if found != Referral() else None


def read_optin(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """Marketing messages agreed to or stopped; else a plugin's box that she ticked."""
    optin = part_of(item, "optin")
    status = text_of(optin, "notification_messages_status") or text_of(optin, "user_token_status")
    if text_of(optin, "type") == "notification_messages" or status:
        if not place.sender:
            yield Unreadable(place.account, "an opt-in without a sender's id", item)
            return
        stopped = status.upper().startswith("STOP")
        yield OptOut(place.account, place.sender, place.at, stopped, "marketing")
        return
    referral = Referral(ref=text_of(optin, "ref"), source="optin", type=text_of(optin, "type"))
    yield inbound(item, place, "", arrival(referral, place), True, referral=referral)


def read_feedback(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """Her answers to a survey, which have no form here."""
    message = Message(kind="unsupported", standby=place.standby)
    yield inbound(item, place, "", message, False)


# What is said of a message


def read_reaction(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    reaction = part_of(item, "reaction")
    target, name = text_of(reaction, "mid"), text_of(reaction, "reaction").lower()
    if not target or not place.sender:
        yield Unreadable(place.account, "a reaction of nobody or to nothing", item)
    elif place.ours:
        yield Unreadable(place.account, "the business's own reaction", item)
    else:
        emoji = clean_text(text_of(reaction, "emoji")) or REACTIONS.get(name, UNNAMED)
        removed = text_of(reaction, "action") == "unreact"
        yield Reaction(place.account, place.sender, place.at, target, "" if removed else emoji)


def read_edit(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """A new text. One without a text has been seen for new messages: it must blank nothing."""
    edit = part_of(item, "message_edit")
    target, text = text_of(edit, "mid"), edit.get("text")
    if not target or not place.sender or not isinstance(text, str) or not text:
        yield Unreadable(place.account, "an edit without a text or of nothing", item)
        return
    yield Edit(place.account, place.sender, place.at, target, Message.of(text))


def read_delivery(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """Messages that arrived, by their ids or as all up to a time."""
    delivery = part_of(item, "delivery")
    mids = delivery.get("mids")
    named = [mid for mid in mids if isinstance(mid, str) and mid] if isinstance(mids, list) else []
    upto = from_epoch(delivery.get("watermark"), 0)
    for mid in named:
        yield Receipt(place.account, mid, "delivered", upto or place.at, recipient=place.sender)
    if not named and place.sender and upto:
        yield DeliveredToCustomer(place.account, place.sender, upto)
    elif not named:
        yield Unreadable(place.account, "a delivery of nothing", item)


def read_seen(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    """All up to a time were read (Messenger), or a message and all before it (Instagram)."""
    read = part_of(item, "read")
    mid, upto = text_of(read, "mid"), from_epoch(read.get("watermark"), 0)
    if not place.sender or not (mid or upto):
        yield Unreadable(place.account, "a read of nothing or by nobody", item)
        return
    if mid:
        # It may come before the answer to the send, and then it waits as a receipt does.
        yield Receipt(place.account, mid, "read", place.at, recipient=place.sender)
        yield ReadByCustomer(place.account, place.sender, place.at, mid)
    else:
        yield ReadByCustomer(place.account, place.sender, upto)


# Of the account


def read_policy(item: dict[str, Any], place: Where) -> Iterator[Parsed]:
    policy = part_of(item, "policy-enforcement") or part_of(item, "policy_enforcement")
    action = text_of(policy, "action")
    shown = action if action in ("warning", "block", "unblock") else "something"
    yield Unreadable(place.account, f"Meta enforces its policy on the account: {shown}", item)


READERS: dict[str, Reader] = {
    "message": read_said,
    "message_edit": read_edit,
    "postback": read_postback,
    "reaction": read_reaction,
    "delivery": read_delivery,
    "read": read_seen,
    "optin": read_optin,
    "referral": read_referral,
    "messaging_feedback": read_feedback,
    "policy-enforcement": read_policy,
    "policy_enforcement": read_policy,
}
