"""Reading conversations and their messages: each list is one statement, and what its rows need
besides is loaded for all of them at once, so that a page costs the same however long it is."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.message import Earlier
from hub.store.schema import (
    BY_PEOPLE,
    addresses,
    aliases,
    channels,
    conversations,
    customers,
    media,
    messages,
    receipts,
)
from hub.store.sql import json_contains

# A chain of merges is followed this far; each merge shortens the ones before it.
MERGES = 8


class MessageRow(NamedTuple):
    id: bytes
    conversation_id: bytes
    seq: int
    position: Micros
    direction: str
    channel_id: bytes | None
    channel: str | None
    address_id: bytes | None
    address: str | None
    author_kind: str
    author_id: bytes | None
    author_name: str | None
    kind: str
    text: str
    content: dict[str, Any] | None
    reply_to: dict[str, Any] | None
    referral: dict[str, Any] | None
    reactions: list[dict[str, Any]] | None
    external_id: str | None
    client_id: str | None
    part_group: bytes | None
    part_index: int | None
    part_count: int | None
    state: str | None
    due_at: Micros | None
    error_class: str | None
    error_code: str | None
    error_reason: str | None
    edited_at: Micros | None
    deleted_at: Micros | None
    sent_at: Micros | None
    created_at: Micros


class MediaRow(NamedTuple):
    id: bytes
    state: str
    media: dict[str, Any]


@dataclass(slots=True)
class Messages:
    """Messages in the order asked for. `quoted` maps (channel, external id) to a message's id."""

    rows: list[MessageRow]
    receipts: dict[bytes, list[tuple[str, Micros]]] = field(default_factory=dict)
    media: dict[bytes, dict[int, MediaRow]] = field(default_factory=dict)
    quoted: dict[tuple[bytes, str], bytes] = field(default_factory=dict)


class ConversationRow(NamedTuple):
    id: bytes
    customer_id: bytes
    customer_name: str
    status: str
    snoozed_until: Micros | None
    owner_kind: str
    owner_id: bytes | None
    owner_name: str | None
    team: str | None
    tags: list[str] | None
    unread: int
    last_message_id: bytes | None
    last_message_at: Micros | None


@dataclass(slots=True)
class Conversations:
    """Conversations in the order asked for, with the channels of each and the last messages."""

    rows: list[ConversationRow]
    channels: dict[bytes, list[str]] = field(default_factory=dict)
    last: Messages = field(default_factory=lambda: Messages([]))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which conversations to list. `owner` is a kind or an agent's id; `search` is what the
    docs of the API say of `q`."""

    status: str | None = None
    owner: str | bytes | None = None
    channel: str | None = None
    team: str | None = None
    tag: str | None = None
    search: str | None = None


_MESSAGE = sa.select(
    messages.c.id,
    messages.c.conversation_id,
    messages.c.seq,
    messages.c.position,
    messages.c.direction,
    messages.c.channel_id,
    channels.c.name,
    messages.c.address_id,
    addresses.c.external_id.label("address"),
    messages.c.author_kind,
    messages.c.author_id,
    messages.c.author_name,
    messages.c.kind,
    messages.c.text,
    messages.c.content,
    messages.c.reply_to,
    messages.c.referral,
    messages.c.reactions,
    messages.c.external_id,
    messages.c.client_id,
    messages.c.part_group,
    messages.c.part_index,
    messages.c.part_count,
    messages.c.state,
    messages.c.due_at,
    messages.c.error_class,
    messages.c.error_code,
    messages.c.error_reason,
    messages.c.edited_at,
    messages.c.deleted_at,
    messages.c.sent_at,
    messages.c.created_at,
).select_from(
    messages.outerjoin(channels, channels.c.id == messages.c.channel_id).outerjoin(
        addresses, addresses.c.id == messages.c.address_id
    )
)

_CONVERSATION = sa.select(
    conversations.c.id,
    conversations.c.customer_id,
    customers.c.name,
    conversations.c.status,
    conversations.c.snoozed_until,
    conversations.c.owner_kind,
    conversations.c.owner_id,
    conversations.c.owner_name,
    conversations.c.team,
    conversations.c.tags,
    conversations.c.unread,
    conversations.c.last_message_id,
    conversations.c.last_message_at,
).select_from(conversations.join(customers, customers.c.id == conversations.c.customer_id))


def list_conversations(
    conn: sa.Connection, wanted: Wanted, before: tuple[Micros, bytes] | None, limit: int
) -> Conversations:
    """Those in which something was said, latest activity first, from `before` (last_message_at,
    id) on."""
    c = conversations.c
    query = _CONVERSATION.where(c.last_message_at.isnot(None), c.merged_into.is_(None))
    if wanted.status is not None:
        query = query.where(c.status == wanted.status)
    if isinstance(wanted.owner, bytes):
        query = query.where(c.owner_kind == "agent", c.owner_id == wanted.owner)
    elif wanted.owner is not None:
        query = query.where(c.owner_kind == wanted.owner)
        if wanted.owner != "bot":
            query = query.where(BY_PEOPLE)
    if wanted.team is not None:
        query = query.where(c.team == wanted.team)
    if wanted.tag is not None:
        query = query.where(c.tags.isnot(None), json_contains(conn, c.tags, wanted.tag))
    if wanted.channel is not None:
        query = query.where(_uses_channel(wanted.channel))
    if wanted.search is not None:
        query = query.where(c.customer_id.in_(search_customers(wanted.search)))
    if before is not None:
        query = query.where(
            sa.tuple_(c.last_message_at, c.id) < sa.tuple_(*map(sa.literal, before))
        )
    query = query.order_by(c.last_message_at.desc(), c.id.desc()).limit(limit)
    return _with_parts(conn, [ConversationRow._make(row) for row in conn.execute(query)])


def load_conversations(conn: sa.Connection, ids: Collection[bytes]) -> Conversations:
    """Those that exist, in no order."""
    query = _CONVERSATION.where(conversations.c.id.in_(ids))
    return _with_parts(conn, [ConversationRow._make(row) for row in conn.execute(query)])


def find_conversation(conn: sa.Connection, conversation_id: bytes) -> bytes | None:
    """The id under which the conversation lives now: merges are followed."""
    c = conversations.c
    for _ in range(MERGES):
        row = conn.execute(sa.select(c.merged_into).where(c.id == conversation_id)).first()
        if row is None or row.merged_into is None:
            return conversation_id if row else None
        conversation_id = row.merged_into
    return None


def list_messages(
    conn: sa.Connection, conversation_id: bytes, before: tuple[Micros, bytes] | None, limit: int
) -> Messages:
    """The thread backwards, latest first, from `before` (position, id) on."""
    c = messages.c
    query = _MESSAGE.where(c.conversation_id == conversation_id)
    if before is not None:
        query = query.where(sa.tuple_(c.position, c.id) < sa.tuple_(*map(sa.literal, before)))
    query = query.order_by(c.position.desc(), c.id.desc()).limit(limit)
    return _with_details(conn, [MessageRow._make(row) for row in conn.execute(query)])


def messages_after(conn: sa.Connection, conversation_id: bytes, seq: int, limit: int) -> Messages:
    """What was added after `seq`, in the order of adding."""
    c = messages.c
    query = _MESSAGE.where(c.conversation_id == conversation_id, c.seq > seq)
    query = query.order_by(c.seq).limit(limit)
    return _with_details(conn, [MessageRow._make(row) for row in conn.execute(query)])


def load_messages(conn: sa.Connection, ids: Sequence[bytes]) -> Messages:
    """Those that exist, in the order of `ids`."""
    if not ids:
        return Messages([])
    found = {row.id: row for row in conn.execute(_MESSAGE.where(messages.c.id.in_(ids)))}
    return _with_details(conn, [MessageRow._make(found[i]) for i in ids if i in found])


def find_media(conn: sa.Connection, media_id: bytes) -> MediaRow | None:
    c = media.c
    row = conn.execute(sa.select(c.id, c.state, c.media).where(c.id == media_id)).first()
    return MediaRow._make(row) if row else None


def search_customers(search: str) -> Any:
    """Select the ids of customers whose name begins so (in any case), who have this alias or
    address, or who or whose conversation has this id."""
    text = search.strip()
    matches = [
        sa.select(customers.c.id).where(
            sa.func.lower(customers.c.name).startswith(text.lower(), autoescape=True)
        ),
        sa.select(aliases.c.customer_id).where(
            aliases.c.kind.in_(("phone", "email", "external")),
            aliases.c.value.in_({text, text.lower(), "+" + text}),
        ),
        sa.select(addresses.c.customer_id).where(
            addresses.c.channel_id.in_(sa.select(channels.c.id)), addresses.c.external_id == text
        ),
    ]
    if (as_id := _id(text)) is not None:
        matches.append(sa.select(customers.c.id).where(customers.c.id == as_id))
        matches.append(sa.select(conversations.c.customer_id).where(conversations.c.id == as_id))
    return sa.union_all(*matches)


def _id(text: str) -> bytes | None:
    try:
        value = bytes.fromhex(text.replace("-", ""))
    except ValueError:
        return None
    return value if len(value) == 16 else None


def _uses_channel(name: str) -> Any:
    return (
        sa.exists()
        .where(
            addresses.c.conversation_id == conversations.c.id,
            addresses.c.channel_id == channels.c.id,
            channels.c.name == name,
        )
        .correlate(conversations)
    )


def _with_parts(conn: sa.Connection, rows: list[ConversationRow]) -> Conversations:
    found = Conversations(rows)
    if not rows:
        return found
    used = conn.execute(
        sa.select(addresses.c.conversation_id, channels.c.name)
        .join(channels, channels.c.id == addresses.c.channel_id)
        .where(addresses.c.conversation_id.in_([row.id for row in rows]))
        .distinct()
        .order_by(channels.c.name)
    )
    for conversation_id, name in used:
        found.channels.setdefault(conversation_id, []).append(name)
    found.last = load_messages(conn, [row.last_message_id for row in rows if row.last_message_id])
    return found


def _with_details(conn: sa.Connection, rows: list[MessageRow]) -> Messages:
    found = Messages(rows)
    if not rows:
        return found
    ids = [row.id for row in rows]
    for message_id, status, at in conn.execute(
        sa.select(receipts.c.message_id, receipts.c.status, receipts.c.at)
        .where(receipts.c.message_id.in_(ids))
        .order_by(receipts.c.at, receipts.c.created_at)
    ):
        found.receipts.setdefault(message_id, []).append((status, at))
    for message_id, item, *rest in conn.execute(
        sa.select(media.c.message_id, media.c.item, media.c.id, media.c.state, media.c.media).where(
            media.c.message_id.in_(ids)
        )
    ):
        found.media.setdefault(message_id, {})[item] = MediaRow._make(rest)
    quotes = {
        (row.channel_id, row.reply_to["external_id"])
        for row in rows
        if row.channel_id and row.reply_to and row.reply_to.get("external_id")
    }
    if quotes:
        c = messages.c
        for channel_id, external_id, message_id in conn.execute(
            sa.select(c.channel_id, c.external_id, c.id).where(
                sa.tuple_(c.channel_id, c.external_id).in_(quotes)
            )
        ):
            found.quoted[channel_id, external_id] = message_id
    return found


def last_heard(conn: sa.Connection, conversation_id: bytes, address_id: bytes) -> Earlier | None:
    """The last message that came from an address."""
    query = (
        sa.select(messages.c.external_id, messages.c.content)
        .where(
            messages.c.conversation_id == conversation_id,
            messages.c.address_id == address_id,
            messages.c.direction == "in",
        )
        .order_by(messages.c.seq.desc())
        .limit(1)
    )
    found = conn.execute(query).first()
    if found is None:
        return None
    return Earlier(found.external_id or "", (found.content or {}).get("subject", ""))
