"""New rows of `messages`: every writer fills the same columns, so that many fit one statement."""

from typing import Any

from hub.clock import Micros, new_id
from hub.message import Message, Word

Row = dict[str, Any]


def content_of(message: Message) -> Row | None:
    """What of a message has no column of its own."""
    if message.kind == "text" and not any(
        (
            message.buttons,
            message.forwarded,
            message.standby,
            message.subject,
            message.formats,
            message.html,
            message.album,
        )
    ):
        return None
    return message.model_dump(mode="json", exclude_defaults=True, exclude=_OWN_COLUMNS) or None


_OWN_COLUMNS = {"text", "kind"}


def message_of(row: Row) -> Message:
    """The message a row holds."""
    content = row["content"]
    if not content:
        return Message(text=row["text"], kind=row["kind"])
    return Message.model_validate({"text": row["text"], "kind": row["kind"], **content})


def as_json(word: Word | None) -> Row | None:
    return word.model_dump(mode="json", exclude_defaults=True) if word else None


def inbound_row(message: Message, *, channel_id: bytes, at: Micros, sent_at: Micros) -> Row:
    """A message from a customer, but for its place in a thread. One that comes later than a
    live one would is shown at the time it was sent."""
    return {
        "id": new_id(),
        "position": sent_at if at - sent_at > _LIVE else at,
        "direction": "in",
        "channel_id": channel_id,
        "author_kind": "customer",
        "kind": message.kind,
        "text": message.text,
        "content": content_of(message),
        "state": "received",
        "handled_at": None,
        "sent_at": sent_at,
        "created_at": at,
    }


_LIVE = 30_000_000


def outbound_row(
    message: Message,
    *,
    channel_id: bytes,
    address_id: bytes,
    at: Micros,
    expires_at: Micros,
    author_kind: str,
    author_id: bytes | None = None,
    author_name: str | None = None,
    run_id: bytes | None = None,
    reply_to: Row | None = None,
    group: bytes | None = None,
    index: int | None = None,
    count: int | None = None,
) -> Row:
    """A reply in the outbox, but for its place in a thread."""
    return {
        "id": new_id(),
        "position": at,
        "direction": "out",
        "channel_id": channel_id,
        "address_id": address_id,
        "author_kind": author_kind,
        "author_id": author_id,
        "author_name": author_name,
        "kind": message.kind,
        "text": message.text,
        "content": content_of(message),
        "reply_to": reply_to,
        "part_group": group,
        "part_index": index,
        "part_count": count,
        "state": "queued",
        "lane": 1,
        "due_at": None,
        "expires_at": expires_at,
        "run_id": run_id,
        "handled_at": at,
        "created_at": at,
    }


def outbound_rows(parts: list[Message], *, reply_to: Row | None = None, **common: Any) -> list[Row]:
    """The rows of one message that was split: they share a group, and the first one quotes."""
    if len(parts) == 1:
        return [outbound_row(parts[0], reply_to=reply_to, **common)]
    group = new_id()
    return [
        outbound_row(
            part,
            reply_to=None if index else reply_to,
            group=group,
            index=index,
            count=len(parts),
            **common,
        )
        for index, part in enumerate(parts)
    ]


def wait_for_files(row: Row) -> Row:
    """A new row of the outbox of a channel that uploads: one with attachments that lie elsewhere
    waits until they are fetched."""
    items = (row["content"] or {}).get("media", ())
    if row["state"] != "queued" or all(item.get("path") for item in items):
        return row
    return row | {"due_at": row["expires_at"]}


def note_row(
    text: str,
    *,
    at: Micros,
    author_kind: str,
    author_id: bytes | None = None,
    author_name: str | None = None,
) -> Row:
    """An agents' private note, with the columns of a reply."""
    row = outbound_row(
        Message(text=text),
        channel_id=b"",
        address_id=b"",
        at=at,
        expires_at=at,
        author_kind=author_kind,
        author_id=author_id,
        author_name=author_name,
    )
    return row | {
        "direction": "note",
        "channel_id": None,
        "address_id": None,
        "state": None,
        "lane": None,
        "expires_at": None,
    }
