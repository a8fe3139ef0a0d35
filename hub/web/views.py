"""Rows as the public JSON: messages, conversations and customers in the shapes of shapes.py."""

from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

from hub.clock import HOUR, Micros, id_text, iso
from hub.store.customers import Customers
from hub.store.threads import Conversations, MediaRow, MessageRow, Messages
from hub.web.shapes import (
    AddressJson,
    ButtonJson,
    ChoiceJson,
    ContactJson,
    ConversationJson,
    CustomerJson,
    ErrorJson,
    FormatJson,
    MediaJson,
    MessageJson,
    PartJson,
    PlaceJson,
    ReferralJson,
    ReplyToJson,
)
from hub.web.sign import Signer

MEDIA_LINK = 24 * HOUR
PUBLIC = b"public"


class MediaLinks:
    """Makes the signed links under which stored attachments are served."""

    def __init__(self, signer: Signer, now: Callable[[], Micros]) -> None:
        self._signer = signer
        self._now = now

    def link(self, media_id: bytes) -> str:
        # The expiry is rounded up, so that pages loaded within an hour share cached copies.
        until = (self._now() // HOUR + 1) * HOUR + MEDIA_LINK
        return f"/media/{id_text(media_id)}?s={self._signer.sign(media_id, until)}"

    def public(self, media_id: bytes, days: int) -> str:
        """A link for those who are not our pages: a provider, or a customer. There the file has
        its own type."""
        until = self._now() + days * 24 * HOUR
        return f"/media/{id_text(media_id)}?s={self._signer.sign(media_id + PUBLIC, until)}"

    def is_public(self, media_id: bytes, signature: str) -> bool:
        return self._signer.open(signature, self._now()) == media_id + PUBLIC

    def allows(self, media_id: bytes, signature: str) -> bool:
        return self._signer.open(signature, self._now()) == media_id


LINKS: web.AppKey[MediaLinks] = web.AppKey("links", MediaLinks)


def time_text(at: Micros | None) -> str | None:
    return None if at is None else iso(at)


def _id_text(value: bytes | None) -> str | None:
    return None if value is None else id_text(value)


def message_json(row: MessageRow, loaded: Messages, links: MediaLinks) -> MessageJson:
    content: dict[str, Any] = row.content or {}
    return {
        "id": id_text(row.id),
        "seq": row.seq,
        "conversation_id": id_text(row.conversation_id),
        "direction": row.direction,  # type: ignore[typeddict-item]  # the column's closed set
        "author": {
            "kind": row.author_kind,  # type: ignore[typeddict-item]  # the column's closed set
            "id": _id_text(row.author_id),
            "name": row.author_name,
        },
        "channel": row.channel,
        "address": _address(row),
        "kind": row.kind,  # type: ignore[typeddict-item]  # the column's closed set
        "text": row.text,
        "media": media_json(content, loaded.media.get(row.id, {}), links),
        "buttons": buttons_json(content),
        "choice": _choice(content.get("choice")),
        "place": _place(content.get("place")),
        "contacts": [_contact(card) for card in content.get("contacts", ())],
        "template": content.get("template"),
        "order": content.get("order"),
        "share": content.get("share"),
        "referral": _referral(row.referral),
        "reply_to": _reply_to(row, loaded),
        "reactions": [
            {"emoji": r.get("emoji", ""), "by": r.get("by", "")}
            for r in row.reactions or ()
            if r.get("emoji")
        ],
        "forwarded": bool(content.get("forwarded")),
        "standby": bool(content.get("standby")),
        "subject": content.get("subject", ""),
        "formats": [_format(span) for span in content.get("formats", ())],
        "html": content.get("html", ""),
        "album": content.get("album", ""),
        "edited_at": time_text(row.edited_at),
        "deleted_at": time_text(row.deleted_at),
        "external_id": row.external_id,
        "client_id": row.client_id,
        "part": _part(row),
        "state": row.state,  # type: ignore[typeddict-item]  # the column's closed set
        "held_until": time_text(row.due_at) if row.state == "held" else None,
        "error": _error(row),
        "receipts": [
            {"status": status, "at": iso(at)}  # type: ignore[typeddict-item]  # closed set
            for status, at in loaded.receipts.get(row.id, ())
        ],
        "sent_at": time_text(row.sent_at),
        "created_at": iso(row.created_at),
    }


def _format(span: dict[str, Any]) -> FormatJson:
    return {
        "type": span["type"],
        "start": span["start"],
        "length": span["length"],
        "url": span.get("url", ""),
    }


def messages_json(found: Messages, links: MediaLinks) -> list[MessageJson]:
    return [message_json(row, found, links) for row in found.rows]


def _address(row: MessageRow) -> AddressJson | None:
    if row.address is None:
        return None
    return {"channel": row.channel or "", "external_id": row.address}


def media_json(
    content: dict[str, Any], stored: dict[int, MediaRow], links: MediaLinks
) -> list[MediaJson]:
    """A link of ours for each attachment we hold; for one we were only given a link to, when it
    goes out, that link."""
    items: list[MediaJson] = []
    for index, item in enumerate(content.get("media", ())):
        row = stored.get(index)
        media = {**item, **row.media} if row else item
        state: Any = row.state if row else media.get("state", "pending")
        items.append(
            {
                "id": id_text(row.id) if row and state == "stored" else None,
                "kind": media["kind"],
                "mime": media.get("mime", ""),
                "name": media.get("name", ""),
                "size": media.get("size"),
                "url": links.link(row.id) if row and state == "stored" else None,
                "provider_id": media.get("provider_id", ""),
                "source_url": media.get("source_url", ""),
                "voice": bool(media.get("voice")),
                "inline": bool(media.get("inline")),
                "content_id": media.get("content_id", ""),
                "state": state,
            }
        )
    return items


def buttons_json(content: dict[str, Any]) -> list[ButtonJson]:
    buttons: list[ButtonJson] = []
    for item in content.get("buttons", ()):
        button: ButtonJson = {"id": item["id"], "title": item["title"]}
        if item.get("url"):
            button["url"] = item["url"]
        buttons.append(button)
    return buttons


def _choice(item: dict[str, Any] | None) -> ChoiceJson | None:
    if item is None:
        return None
    return {"type": item["type"], "id": item["id"], "title": item.get("title", "")}


def _place(item: dict[str, Any] | None) -> PlaceJson | None:
    if item is None:
        return None
    return {
        "latitude": item["latitude"],
        "longitude": item["longitude"],
        "name": item.get("name", ""),
        "address": item.get("address", ""),
        "url": item.get("url", ""),
    }


def _contact(item: dict[str, Any]) -> ContactJson:
    return {
        "name": item.get("name", ""),
        "phones": list(item.get("phones", ())),
        "emails": list(item.get("emails", ())),
        "is_sender": bool(item.get("is_sender")),
    }


def _referral(item: dict[str, Any] | None) -> ReferralJson | None:
    if not item:
        return None
    return {
        "ref": item.get("ref", ""),
        "source": item.get("source", ""),
        "type": item.get("type", ""),
        "ad_id": item.get("ad_id", ""),
        "headline": item.get("headline", ""),
        "body": item.get("body", ""),
        "url": item.get("url", ""),
        "click_id": item.get("click_id", ""),
        "utm": item.get("utm", {}),
    }


def _reply_to(row: MessageRow, loaded: Messages) -> ReplyToJson | None:
    item = row.reply_to
    if not item:
        return None
    external_id = item.get("external_id", "")
    quoted = loaded.quoted.get((row.channel_id or b"", external_id))
    if quoted is None and "message_id" in item:
        quoted = bytes.fromhex(item["message_id"])
    return {
        "external_id": external_id,
        "message_id": _id_text(quoted),
        "quote": item.get("quote", ""),
        "story_url": item.get("story_url", ""),
    }


def _part(row: MessageRow) -> PartJson | None:
    if row.part_group is None:
        return None
    return {
        "group": id_text(row.part_group),
        "index": row.part_index or 0,
        "count": row.part_count or 1,
    }


def _error(row: MessageRow) -> ErrorJson | None:
    if row.error_class is None:
        return None
    error: ErrorJson = {
        "code": row.error_code or "",
        "class": row.error_class,  # type: ignore[typeddict-item]  # the column's closed set
        "reason": row.error_reason or "",
    }
    return error


def conversations_json(found: Conversations, links: MediaLinks) -> list[ConversationJson]:
    last = {row.id: message_json(row, found.last, links) for row in found.last.rows}
    return [
        {
            "id": id_text(row.id),
            "customer": {"id": id_text(row.customer_id), "name": row.customer_name},
            "status": row.status,  # type: ignore[typeddict-item]  # the column's closed set
            "snoozed_until": time_text(row.snoozed_until),
            "owner": {
                "kind": row.owner_kind,  # type: ignore[typeddict-item]  # closed set
                "id": _id_text(row.owner_id),
                "name": row.owner_name,
            },
            "team": row.team or None,
            "tags": row.tags or [],
            "unread": row.unread,
            "last_message_at": time_text(row.last_message_at),
            "channels": found.channels.get(row.id, []),
            "last_message": last.get(row.last_message_id) if row.last_message_id else None,
        }
        for row in found.rows
    ]


def customers_json(found: Customers) -> Iterable[CustomerJson]:
    for row in found.rows:
        yield {
            "id": id_text(row.id),
            "name": row.name,
            "language": row.language,
            "timezone": row.timezone,
            "created_at": iso(row.created_at),
            "traits": row.traits or {},
            "addresses": [
                {
                    "channel": address.channel,
                    "kind": address.kind,
                    "external_id": address.external_id,
                    "last_seen_at": time_text(address.last_seen_at),
                    "blocked": address.blocked_at is not None,
                }
                for address in found.addresses.get(row.id, ())
            ],
            "aliases": [
                {
                    "kind": alias.kind,
                    "value": alias.value,
                    "verified": alias.verified_at is not None,
                }
                for alias in found.aliases.get(row.id, ())
            ],
            "conversation_id": _id_text(row.conversation_id),
        }
