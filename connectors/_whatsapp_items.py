"""Reads the items of a WhatsApp webhook: messages, statuses, echoes and the rest, each by itself.

Nothing is dropped: what a customer sent in a form we do not know is a message of kind
`unsupported` with its raw item, and what cannot even be told whose it is is `Unreadable`.
Any field may be missing, null or of another type.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from connectors._whatsapp_account import quality
from connectors._whatsapp_content import objects_of, part_of, read_content, text_of
from connectors._whatsapp_errors import CODES
from connectors._whatsapp_people import (
    People,
    Person,
    as_phone,
    people_of,
    person_of,
    phone_number,
    profile_of,
)
from connectors.graph import code_of, meaning
from hub.clock import Micros, from_epoch
from hub.message import (
    Alias,
    Inbound,
    Message,
    Receipt,
    ReceiptError,
    ReceiptStatus,
    Referral,
    ReplyTo,
    clean_text,
)
from hub.signal import (
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Parsed,
    Reaction,
    TemplateChange,
    Unreadable,
    Unsend,
)

STATUSES: dict[str, ReceiptStatus] = {
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Change:
    """What the items of one change share."""

    account: str
    people: People
    received_at: Micros


def read_entry(entry: Any, own: str, received_at: Micros) -> Iterator[Parsed]:
    """Everything in one entry. `own` is the account of what names none."""
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list) or not changes:
        yield Unreadable(own, "an entry without changes", entry)
        return
    for change in changes:
        value = part_of(change, "value")
        if not value:
            yield Unreadable(own, "a change without a value", change)
        else:
            yield from read_change(change, value, own, received_at, text_of(entry, "id"))


def read_change(
    raw: dict[str, Any], value: dict[str, Any], own: str, received_at: Micros, waba_id: str
) -> Iterator[Parsed]:
    account = text_of(part_of(value, "metadata"), "phone_number_id")
    if judged := read_template(value, account or own, waba_id or own, received_at):
        yield judged
        return
    change = Change(account or own, people_of(value), received_at)
    seen = False
    for name, items in value.items():
        reader = READERS.get(name)
        if not items or (reader is None and (name == "contacts" or not isinstance(items, list))):
            continue
        if name == "errors" and ("messages" in value or "statuses" in value):
            continue
        seen = True
        if reader is None:
            yield Unreadable(change.account, f"the hub does not read {shown(name)}", raw)
            continue
        if not isinstance(items, list):
            yield Unreadable(change.account, f"{name} is no list", raw)
            continue
        for item in items:
            if not account and name in ROUTED:
                yield Unreadable(own, f"{name} without metadata.phone_number_id", item)
            elif (found := read_item(reader, item, change, name)) is not None:
                yield found
    if not seen:
        field = shown(text_of(raw, "field"))
        yield Unreadable(change.account, f"field {field} holds nothing the hub reads", raw)


def read_item(reader: "Reader", item: Any, change: Change, name: str) -> Parsed | None:
    if not isinstance(item, dict):
        return Unreadable(change.account, f"an item of {name} is no object", item)
    try:
        return reader(item, change)
    except Exception as error:  # whatever it is, it must not cost the item's siblings
        return Unreadable(change.account, f"{type(error).__name__} in {name}", item)


def shown(name: str) -> str:
    """A provider's field name, safe to log."""
    return name if name.isascii() and name.isidentifier() and len(name) <= 60 else "of no name"


# Messages


def read_message(item: dict[str, Any], change: Change) -> Parsed:
    at = from_epoch(item.get("timestamp"), change.received_at)
    kind = text_of(item, "type")
    person = person_of(item, change.people, "from", "from_user_id")
    if kind == "system" and (moved := read_move(item, change, person, at)):
        return moved
    key = text_of(item, "id")
    if not key or not person.sender:
        missing = "a sender" if key else "an id"
        return Unreadable(change.account, f"a message without {missing}", item)
    if (signal := SIGNALS.get(kind)) and (said := signal(item, change.account, person.sender, at)):
        return said
    message, complete = read_content(item, kind)
    context = part_of(item, "context")
    quoted = text_of(context, "id")
    group = text_of(item, "group_id")
    return Inbound(
        account=change.account,
        sender=person.sender,
        external_id=key,
        dedupe_key=key,
        message=message,
        sent_at=at,
        reply_to=ReplyTo(external_id=quoted) if quoted else None,
        referral=referral_of(item),
        aliases=() if group else person.aliases or shared_number(item, message),
        also=() if group else person.also,
        profile=profile_of(person),
        group=group,
        raw=item if not complete or "referred_product" in context else None,
    )


def shared_number(item: dict[str, Any], message: Message) -> tuple[Alias, ...]:
    """The number a customer without one shared when asked for it by WhatsApp's own button."""
    if not any(card.is_sender for card in message.contacts):
        return ()
    cards = [c for c in objects_of(item, "contacts") if text_of(c, "origin") == "contact_request"]
    phones = [phone for card in cards for phone in objects_of(card, "phones")]
    wa_ids = (as_phone(text_of(phone, "wa_id")) for phone in phones)
    return tuple(Alias("phone", phone_number(wa_id)) for wa_id in wa_ids if wa_id)[:1]


def referral_of(item: dict[str, Any]) -> Referral | None:
    """The advertisement or post whose button opened the chat."""
    if not (referral := part_of(item, "referral")):
        return None
    source, origin = text_of(referral, "source_type"), text_of(referral, "source_id")
    return Referral(
        ref="" if source == "ad" else origin,
        source=source,
        type=text_of(referral, "media_type"),
        ad_id=origin if source == "ad" else "",
        headline=clean_text(text_of(referral, "headline")),
        body=clean_text(text_of(referral, "body")),
        url=text_of(referral, "source_url"),
        click_id=text_of(referral, "ctwa_clid"),
    )


def read_move(
    item: dict[str, Any], change: Change, person: Person, at: Micros
) -> NumberChange | None:
    """A system message by which a customer's number or user id became another."""
    system = part_of(item, "system")
    kind = text_of(system, "type")
    if kind in ("user_changed_number", "customer_changed_number"):
        old = person.sender or text_of(system, "customer")
        new = text_of(system, "wa_id") or text_of(system, "new_wa_id")
    elif kind == "user_changed_user_id":
        new = text_of(system, "user_id")
        old = text_of(system, "previous_user_id") or left_id(text_of(system, "body"), new)
        old = old or person.user_id
    else:
        return None
    return moved(change.account, at, old, new) if old and new and old != new else None


def left_id(body: str, new: str) -> str:
    """The user id that "User ... changed from BD.77aa to MY.88bb" names beside the new one."""
    ids = re.findall(r"\b[A-Z]{2}\.[A-Za-z0-9]{1,128}\b", body)
    return ids[-2] if len(ids) > 1 and ids[-1] == new else ""


def moved(account: str, at: Micros, old: str, new: str) -> NumberChange:
    aliases = (Alias("phone", phone_number(new)),) if as_phone(new) else ()
    return NumberChange(account, old, at, new, aliases)


def read_reaction(item: dict[str, Any], account: str, sender: str, at: Micros) -> Parsed | None:
    reaction = part_of(item, "reaction")
    target = text_of(reaction, "message_id")
    emoji = text_of(reaction, "emoji")
    return Reaction(account, sender, at, target, emoji) if target else None


def read_edit(item: dict[str, Any], account: str, sender: str, at: Micros) -> Parsed | None:
    edit = part_of(item, "edit")
    target, inner = text_of(edit, "original_message_id"), part_of(edit, "message")
    if not target or not inner:
        return None
    message, complete = read_content(inner, text_of(inner, "type"))
    return Edit(account, sender, at, target, message) if complete else None


def read_revoke(item: dict[str, Any], account: str, sender: str, at: Micros) -> Parsed | None:
    target = text_of(part_of(item, "revoke"), "original_message_id")
    return Unsend(account, sender, at, target) if target else None


SIGNALS: dict[str, Callable[[dict[str, Any], str, str, Micros], Parsed | None]] = {
    "reaction": read_reaction,
    "edit": read_edit,
    "revoke": read_revoke,
}


# What is no message of a customer


def read_echo(item: dict[str, Any], change: Change) -> Parsed:
    """A message the business sent from its phone app."""
    at = from_epoch(item.get("timestamp"), change.received_at)
    key, kind = text_of(item, "id"), text_of(item, "type")
    customer = person_of(item, change.people, "to", "to_user_id").sender
    if not key or not customer:
        return Unreadable(change.account, "an echo without an id or a recipient", item)
    if kind == "reaction":
        # A Reaction is the customer's; the business's own has no place in the thread.
        return Unreadable(change.account, "the business's own reaction", item)
    if (signal := SIGNALS.get(kind)) and (said := signal(item, change.account, customer, at)):
        return said
    message, complete = read_content(item, kind)
    if not complete:
        return Unreadable(change.account, f"an echo of type {shown(kind)}", item)
    return Echo(change.account, customer, at, key, message)


def read_status(item: dict[str, Any], change: Change) -> Parsed | None:
    key, name = text_of(item, "id"), text_of(item, "status")
    status = STATUSES.get(name)
    if not key:
        return Unreadable(change.account, f"a status {shown(name)} without the message's id", item)
    if status is None and (not name or item.get("errors")):
        return Unreadable(change.account, f"a status {shown(name)} the hub does not know", item)
    if status is None:
        return None
    recipients = ("recipient_participant_id", "recipient_id", "recipient_participant_user_id")
    return Receipt(
        account=change.account,
        external_id=key,
        status=status,
        at=from_epoch(item.get("timestamp"), change.received_at),
        correlation_id=text_of(item, "biz_opaque_callback_data"),
        error=receipt_error(item) if status == "failed" else None,
        recipient=next(
            (
                found
                for name in (*recipients, "recipient_user_id")
                if (found := text_of(item, name))
            ),
            "",
        ),
    )


def receipt_error(item: dict[str, Any]) -> ReceiptError:
    error = next(iter(objects_of(item, "errors")), {})
    code = code_of(error)
    named, words = meaning(code, CODES)
    if named is None:
        words = text_of(error, "title") or "WhatsApp gives no reason"
    return ReceiptError(
        code="" if code is None else str(code),
        error_class=named.error_class if named else "refused",
        reason=words,
    )


def read_preference(item: dict[str, Any], change: Change) -> Parsed:
    person = person_of(item, change.people, "wa_id", "user_id")
    value = text_of(item, "value")
    known = text_of(item, "category") == "marketing_messages"
    if not known or value not in ("stop", "resume", "signup") or not person.sender:
        return Unreadable(change.account, "a user preference the hub does not know", item)
    at = from_epoch(item.get("timestamp"), change.received_at)
    return OptOut(change.account, person.sender, at, value == "stop", "marketing")


def read_user_id_update(item: dict[str, Any], change: Change) -> Parsed:
    ids = part_of(item, "user_id")
    old, new = text_of(ids, "previous"), text_of(ids, "current")
    if not old or not new:
        return Unreadable(change.account, "a user id update without both ids", item)
    at = from_epoch(item.get("timestamp"), change.received_at)
    return moved(change.account, at, old, new)


def read_template(
    value: dict[str, Any], account: str, waba_id: str, at: Micros
) -> TemplateChange | None:
    """What WhatsApp thinks of a template now, told by fields of several names."""
    name = text_of(value, "message_template_name")
    if not name:
        return None
    language = text_of(value, "message_template_language")
    status = text_of(value, "event").lower()
    score = quality(text_of(value, "new_quality_score"))
    category = text_of(value, "new_category") or text_of(value, "message_template_category")
    if not (language and (status or score or category)):
        return None
    status = STATUS_EVENTS.get(status, status)
    return TemplateChange(account, waba_id, at, name, language, status, score, category.lower())


STATUS_EVENTS = {"reinstated": "approved", "unlocked": "approved", "unarchived": "approved"}


def read_account_error(item: dict[str, Any], change: Change) -> Parsed:
    code = code_of(item)
    words = meaning(code, CODES)[1] or "unknown to the hub"
    return Unreadable(change.account, f"WhatsApp reports error {code}: {words}", item)


Reader = Callable[[dict[str, Any], Change], Parsed | None]
READERS: dict[str, Reader] = {
    "messages": read_message,
    "statuses": read_status,
    "message_echoes": read_echo,
    "user_preferences": read_preference,
    "user_id_update": read_user_id_update,
    "errors": read_account_error,
}
ROUTED = frozenset({"messages", "statuses", "message_echoes"})
"""What is of one of our numbers, so that guessing which could show it to the wrong people."""
