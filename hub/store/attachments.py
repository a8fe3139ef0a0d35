"""Attachments to fetch: which are due, and what became of each."""

from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.schema import changes, dead_letters, media, messages

Row = dict[str, Any]


def due(conn: sa.Connection, at: Micros, until: Micros, most: int = 8) -> list[Row]:
    """Take up to `most` attachments that are due; they are due again at `until` unless settled
    before, so that a process that dies loses none."""
    rows = [
        dict(row)
        for row in conn.execute(
            sa.select(
                media, messages.c.conversation_id, messages.c.channel_id.label("message_channel")
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
    with `due_at` it is tried again. A final failure becomes a dead letter; the message stays."""
    if due_at is None:
        _settle_letter(conn, row["id"], reason, at)
    conn.execute(
        media.update()
        .where(media.c.id == row["id"])
        .values(media=attachment, state=attachment.get("state", "pending"), due_at=due_at)
    )
    if due_at is not None:
        return
    content = conn.execute(
        sa.select(messages.c.content).where(messages.c.id == row["message_id"]).with_for_update()
    ).scalar()
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
