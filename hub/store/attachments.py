"""Attachments: those of outbound messages, which are to be fetched, and what became of each."""

import uuid
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.errors import MediaFailed
from hub.message import Media
from hub.store.bulk import execute_many
from hub.store.schema import MEDIA_PATH, changes, dead_letters, media, messages
from hub.store.sends import note_changes

Row = dict[str, Any]

INSERT = media.insert()


def attachment_id(message_id: bytes, item: int) -> bytes:
    """The id of an outbound message's attachment: derived, so that a send knows it unasked."""
    return uuid.uuid5(uuid.UUID(bytes=message_id), f"attachment {item}").bytes


def enclose(conn: sa.Connection, rows: list[Row], at: Micros) -> None:
    """Note the attachments of messages just written: those we keep, and those to be fetched
    before their message goes (`rows.wait_for_files`)."""
    found = []
    for row in rows:
        waits = row["due_at"] is not None and row["state"] == "queued"
        for item, attachment in enumerate((row["content"] or {}).get("media", ())):
            kept = bool(attachment.get("path"))
            if row["direction"] == "out" and (kept or waits):
                found.append(
                    {
                        "id": attachment_id(row["id"], item),
                        "message_id": row["id"],
                        "item": item,
                        "channel_id": row["channel_id"],
                        "media": attachment,
                        "state": "stored" if kept else "pending",
                        "due_at": None if kept else at,
                        "created_at": at,
                    }
                )
    if found:
        execute_many(conn, INSERT, found)


def find_kept(conn: sa.Connection, conversation_id: bytes, ids: list[bytes]) -> dict[bytes, Media]:
    """Those of these attachments that a message of this conversation has, with their state."""
    rows = conn.execute(
        sa.select(media.c.id, media.c.media, media.c.state)
        .join(messages, messages.c.id == media.c.message_id)
        .where(
            media.c.id.in_(ids),
            messages.c.conversation_id == conversation_id,
            messages.c.deleted_at.is_(None),
        )
    )
    return {id: Media.model_validate({**kept, "state": state}) for id, kept, state in rows}


def due(conn: sa.Connection, at: Micros, until: Micros, most: int = 8) -> list[Row]:
    """Take up to `most` attachments that are due; they are due again at `until` unless settled
    before, so that a process that dies loses none."""
    rows = [
        dict(row)
        for row in conn.execute(
            sa.select(
                media,
                messages.c.conversation_id,
                messages.c.channel_id.label("message_channel"),
                messages.c.direction,
                messages.c.address_id,
            )
            .join(messages, messages.c.id == media.c.message_id)
            .where(media.c.due_at <= at)
            .order_by(media.c.due_at)
            .limit(most)
            .with_for_update(of=media, skip_locked=True)
        ).mappings()
    ]
    if rows:
        conn.execute(
            media.update()
            .where(media.c.id.in_([row["id"] for row in rows]))
            .values(due_at=until, attempt=media.c.attempt + 1)
        )
    return rows


def settle(
    conn: sa.Connection,
    row: Row,
    attachment: Row,
    at: Micros,
    *,
    due_at: Micros | None = None,
    reason: str = "",
) -> None:
    """Record what became of a fetch: `attachment` is the Media as JSON with its new state;
    with `due_at` it is tried again. A final failure becomes a dead letter; the message stays. One
    that an outbound message waited for lets it go, or fail. What was fetched for an attachment in
    whose place an edit has put another changes nothing."""
    mine = media.c.id == row["id"]
    # The message before its attachments, as an edit or unsend locks them.
    content = conn.execute(
        sa.select(messages.c.content).where(messages.c.id == row["message_id"]).with_for_update()
    ).scalar()
    done = conn.execute(
        media.update()
        .where(mine, media.c.state != "erased", media.c.created_at == row["created_at"])
        .values(media=attachment, state=attachment.get("state", "pending"), due_at=due_at)
    )
    if not done.rowcount:
        # Taken back while it was fetched: what came must go.
        left = {name: attachment[name] for name in ("kind", "path") if name in attachment}
        erased = media.update().where(mine, media.c.state == "erased")
        if not conn.execute(erased.values(media=left, due_at=at)).rowcount:
            discard(conn, row, attachment, at)
        return
    if due_at is not None:
        return
    if row["direction"] == "in":
        _settle_letter(conn, row["id"], reason, at)
    items = list(content["media"]) if content and "media" in content else []
    if content and row["item"] < len(items):
        items[row["item"]] = attachment
        conn.execute(
            messages.update()
            .where(messages.c.id == row["message_id"])
            .values(content={**content, "media": items})
        )
    conn.execute(
        changes.insert().values(
            conversation_id=row["conversation_id"],
            kind="edit",
            message_id=row["message_id"],
            at=at,
        )
    )
    if row["direction"] == "out":
        _let_go(conn, row["message_id"], reason, at)


def discard(conn: sa.Connection, row: Row, attachment: Row, at: Micros) -> None:
    """Have the file erased of an attachment in whose place, an item of media, another is now."""
    if not attachment.get("path"):
        return
    lowest = sa.select(sa.func.min(media.c.item)).where(media.c.message_id == row["message_id"])
    values = {
        "id": new_id(),
        "message_id": row["message_id"],
        # No item of the message: those count from 0.
        "item": min(conn.execute(lowest).scalar() or 0, 0) - 1,
        "channel_id": row["channel_id"],
        "media": {name: attachment[name] for name in ("kind", "path") if name in attachment},
        "state": "erased",
        "due_at": at,
        "created_at": at,
    }
    conn.execute(media.insert().values(**values))


def is_shared(conn: sa.Connection, id: bytes, path: str) -> bool:
    """Does another attachment have the same file?"""
    others = sa.select(media.c.id).where(
        media.c.id != id,
        MEDIA_PATH == path,  # noqa: SIM300  # a str on the left would be Python's equality
        media.c.state == "stored",
    )
    return conn.execute(others.limit(1)).first() is not None


def forget(conn: sa.Connection, id: bytes) -> None:
    """Drop the row of an attachment whose file is erased."""
    conn.execute(media.delete().where(media.c.id == id, media.c.state == "erased"))


def _let_go(conn: sa.Connection, message_id: bytes, reason: str, at: Micros) -> None:
    """Let a message go whose last attachment is here, or fail with the first that cannot be
    had."""
    found = (
        conn.execute(
            sa.select(messages).where(messages.c.id == message_id, messages.c.state == "queued")
        )
        .mappings()
        .first()
    )
    if found is None:
        return
    if reason:
        row = dict(found)
        conn.execute(
            messages.update()
            .where(messages.c.id == message_id)
            .values(
                state="failed",
                lane=None,
                due_at=None,
                error_class=MediaFailed.error_class,
                error_code="",
                error_reason=reason,
            )
        )
        note_changes(conn, [(row, at)], [(row, at)])
        return
    waiting = sa.exists().where(media.c.message_id == message_id, media.c.state == "pending")
    conn.execute(messages.update().where(messages.c.id == message_id, ~waiting).values(due_at=None))


def _settle_letter(conn: sa.Connection, id: bytes, reason: str, at: Micros) -> None:
    """The attachment's one dead letter: gone with success, else it says why it failed last."""
    own = (dead_letters.c.reference == id, dead_letters.c.kind == "media")
    if not reason:
        conn.execute(dead_letters.delete().where(*own))
        return
    values = {"reason": reason, "created_at": at, "due_at": None}
    again = dead_letters.update().where(*own)
    if not conn.execute(again.values(**values, attempt=dead_letters.c.attempt + 1)).rowcount:
        conn.execute(
            dead_letters.insert().values(id=new_id(), kind="media", reference=id, **values)
        )
