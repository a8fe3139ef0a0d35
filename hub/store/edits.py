"""Edits, unsends and reactions: each changes the message it means.

One that comes before its message is kept in `early` and applied when that comes: by intake, or by
`apply_due` where the two crossed, or where the message is one of ours whose id was not known yet.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from hub.clock import DAY, Micros, new_id
from hub.message import Message
from hub.signal import Edit, Reaction, Unsend
from hub.store.attachments import discard
from hub.store.hub_tables import early
from hub.store.rows import content_of
from hub.store.schema import changes, media, messages
from hub.store.sql import insert_new

Row = dict[str, Any]
Amendment = Edit | Unsend | Reaction

KEPT_FOR = 7 * DAY
KINDS: dict[str, type[Amendment]] = {"edit": Edit, "unsend": Unsend, "reaction": Reaction}
NAMES = {type: name for name, type in KINDS.items()}
MEANT = sa.and_(
    messages.c.channel_id == early.c.channel_id,
    messages.c.external_id == early.c.external_id,
    messages.c.external_id.isnot(None),
)


def amend(conn: sa.Connection, channel_id: bytes, signal: Amendment, at: Micros) -> None:
    """Change the message that is meant, or keep what is to change of it until it comes."""
    if message := _find(conn, channel_id, signal.external_id):
        _apply(conn, message, signal, at)
    elif signal.external_id:
        _keep(conn, channel_id, signal, at)


def apply_early(conn: sa.Connection, channel_id: bytes, external_id: str, at: Micros) -> None:
    """Apply what came before this message, which is here now."""
    message = _find(conn, channel_id, external_id)
    if message is None:
        return
    taken = conn.execute(
        early.delete()
        .where(early.c.channel_id == channel_id, early.c.external_id == external_id)
        .returning(early.c.kind, early.c.signal)
    ).all()
    # An unsend is the last word, whatever came before it.
    for kind, given in sorted(taken, key=lambda row: row.kind == "unsend"):
        signal = _read(kind, given)
        message = _find(conn, channel_id, external_id) or message
        _apply(conn, message, signal, at)


def apply_due(conn: sa.Connection, at: Micros, most: int = 100) -> int:
    """Apply what waits for messages that are here; forget what waited too long. How many were
    applied."""
    query = sa.select(early.c.channel_id, early.c.external_id).join(messages, MEANT).distinct()
    found = conn.execute(query.limit(most)).all()
    for channel_id, external_id in sorted(map(tuple, found)):
        apply_early(conn, channel_id, external_id, at)
    conn.execute(early.delete().where(early.c.created_at < at - KEPT_FOR))
    return len(found)


def is_due(conn: sa.Connection, at: Micros) -> bool:
    """Is there anything for `apply_due` to do?"""
    old = sa.select(early.c.kind).where(early.c.created_at < at - KEPT_FOR)
    here = sa.select(early.c.kind).join(messages, MEANT)
    return any(conn.execute(query.limit(1)).first() for query in (here, old))


def _find(conn: sa.Connection, channel_id: bytes, external_id: str) -> Row | None:
    found = (
        conn.execute(
            sa.select(
                messages.c.id,
                messages.c.conversation_id,
                messages.c.channel_id,
                messages.c.kind,
                messages.c.text,
                messages.c.content,
                messages.c.reactions,
                messages.c.edited_at,
                messages.c.deleted_at,
            )
            .where(
                messages.c.channel_id == channel_id,
                messages.c.external_id == external_id,
                messages.c.external_id.isnot(None),
            )
            .with_for_update()
        )
        .mappings()
        .first()
    )
    return dict(found) if found else None


def _keep(conn: sa.Connection, channel_id: bytes, signal: Amendment, at: Micros) -> None:
    """Keep it in place of an older one of its kind."""
    given = asdict(signal)
    if isinstance(signal, Edit):
        given["message"] = signal.message.model_dump(mode="json", exclude_defaults=True)
    key = {
        "channel_id": channel_id,
        "external_id": signal.external_id,
        "kind": NAMES[type(signal)],
    }
    values = {"signal": given, "signal_at": signal.at, "created_at": at}
    if conn.execute(insert_new(conn, early).values(**key, **values)).rowcount:
        return
    same = [early.c[name] == value for name, value in key.items()]
    conn.execute(early.update().where(*same, early.c.signal_at <= signal.at).values(values))


def _read(kind: str, given: Row) -> Amendment:
    if kind == "edit":
        given = {**given, "message": Message.model_validate(given["message"])}
    return KINDS[kind](**given)


def _apply(conn: sa.Connection, message: Row, signal: Amendment, at: Micros) -> None:
    if isinstance(signal, Unsend):
        _unsend(conn, message, signal, at)
    elif message["deleted_at"] is None and isinstance(signal, Edit):
        _edit(conn, message, signal, at)
    elif message["deleted_at"] is None and isinstance(signal, Reaction):
        _react(conn, message, signal, at)


def _change(conn: sa.Connection, message: Row, values: Row, at: Micros) -> None:
    conn.execute(messages.update().where(messages.c.id == message["id"]).values(values))
    conn.execute(
        changes.insert().values(
            conversation_id=message["conversation_id"],
            kind="edit",
            message_id=message["id"],
            at=at,
        )
    )


def _edit(conn: sa.Connection, message: Row, signal: Edit, at: Micros) -> None:
    """An older edit than the last, or the same once more, changes nothing. One that says nothing
    of attachments leaves them."""
    said, content = signal.message, message["content"] or {}
    before = content.get("media", [])
    kind, new = said.kind, content_of(said)
    after = [one.model_dump(mode="json", exclude_defaults=True) for one in said.media]
    if before and not after:
        kind, new = message["kind"], {**(new or {}), "media": before}
    elif after:
        kept = [_same(before, item, given) or given for item, given in enumerate(after)]
        new = {**(new or {}), "media": kept}
    same = (message["text"], message["kind"], message["content"]) == (said.text, kind, new)
    last = message["edited_at"]
    if last is not None and (signal.at < last or (signal.at == last and same)):
        return
    if after:
        _exchange(conn, message, before, after, at)
    values = {"text": said.text, "kind": kind, "content": new, "edited_at": signal.at}
    _change(conn, message, values, at)


def _same(before: Sequence[Row], item: int, given: Row) -> Row | None:
    """What we have of an attachment that an edit names again."""
    old = before[item] if item < len(before) else {}
    named = [name for name in ("provider_id", "source_url") if given.get(name)]
    return old if any(old.get(name) == given[name] for name in named) else None


def _exchange(
    conn: sa.Connection, message: Row, before: list[Row], after: list[Row], at: Micros
) -> None:
    """Have the attachments fetched that an edit put in old ones' places, or added."""
    for item, given in enumerate(after):
        if _same(before, item, given) is not None:
            continue
        values = {"media": given, "state": "pending", "attempt": 0, "due_at": at, "created_at": at}
        place = {"message_id": message["id"], "item": item}
        same = [media.c[name] == value for name, value in place.items()]
        old = conn.execute(sa.select(media).where(*same).with_for_update()).mappings().first()
        if old is None:
            whose = {"id": new_id(), "channel_id": message["channel_id"]}
            conn.execute(media.insert().values(**whose, **place, **values))
        else:
            discard(conn, dict(old), old["media"], at)
            conn.execute(media.update().where(media.c.id == old["id"]).values(values))


def _unsend(conn: sa.Connection, message: Row, signal: Unsend, at: Micros) -> None:
    """What was said goes with it, its files too, as platforms demand; and what waits to answer it
    need not."""
    if message["deleted_at"] is not None:
        return
    gone = {"deleted_at": signal.at, "text": "", "content": None, "raw": None, "reactions": None}
    handled_at = sa.func.coalesce(messages.c.handled_at, at)
    erase_files(conn, message["id"], at)
    _change(conn, message, {**gone, "handled_at": handled_at}, at)


def erase_files(conn: sa.Connection, message_id: bytes, at: Micros) -> None:
    """Have a message's files erased. One that is being fetched is waited for."""
    found = conn.execute(
        sa.select(media.c.id, media.c.media, media.c.due_at)
        .where(media.c.message_id == message_id)
        .with_for_update()
    ).all()
    for id, kept, due_at in found:
        left = {name: kept[name] for name in ("kind", "path") if name in kept}
        conn.execute(
            media.update()
            .where(media.c.id == id)
            .values(media=left, state="erased", due_at=max(due_at or at, at))
        )


def _react(conn: sa.Connection, message: Row, signal: Reaction, at: Micros) -> None:
    """A reaction older than the one shown changes nothing; one taken back is kept as empty."""
    before = message["reactions"] or []
    hers: Row = next((one for one in before if one["by"] == "customer"), {})
    if hers.get("at", 0) > signal.at or (
        (hers.get("at"), hers.get("emoji")) == (signal.at, signal.emoji)
    ):
        return
    kept = [one for one in before if one["by"] != "customer"]
    kept.append({"emoji": signal.emoji, "by": "customer", "at": signal.at})
    _change(conn, message, {"reactions": kept}, at)
