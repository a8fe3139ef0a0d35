"""Web-chat visitors: their sessions, and of their threads what they may see.

A visitor sees what was said to and from her own addresses on the site's channel: no notes, no
other channels, and of the hub's answers those that were sent.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import addresses, conversations, messages, visitors
from hub.store.schema import media as attachments
from hub.store.threads import MediaRow

SENT = ("sent", "delivered", "read")
IN_FLIGHT = ("queued", "sending", "unknown")
# How far behind her last seq a message that was sent late is looked for.
LATE = 200


class Session(NamedTuple):
    """One visit. `context` holds what the page and the visitor said of themselves."""

    id: bytes
    channel_id: bytes
    external_id: str
    origin: str
    context: dict[str, Any]
    read_seq: int
    expires_at: Micros

    @property
    def ids(self) -> tuple[str, ...]:
        """Her address's external id, and the one she had before she was identified."""
        return (self.external_id, *self.context.get("also", ()))


class Thread(NamedTuple):
    """Her conversation: her addresses in it and the seq up to which it is known."""

    conversation_id: bytes
    address_ids: tuple[bytes, ...]
    top: int
    blocked: bool


class Said(NamedTuple):
    """A message as far as a visitor may know it."""

    id: bytes
    seq: int
    direction: str
    author_kind: str
    author_name: str | None
    kind: str
    text: str
    content: dict[str, Any] | None
    reply_to: dict[str, Any] | None
    client_id: str | None
    state: str | None
    edited_at: Micros | None
    deleted_at: Micros | None
    sent_at: Micros | None
    created_at: Micros
    channel_id: bytes
    address: str


class Resumed(NamedTuple):
    """What a visitor missed, ascending; with `more` it is cut. `waiting` are seqs not sent yet
    that she has passed."""

    thread: Thread | None
    said: list[Said]
    more: bool
    media: dict[bytes, dict[int, MediaRow]]
    waiting: list[int]
    unread: int


_SESSION = sa.select(
    visitors.c.id,
    visitors.c.channel_id,
    visitors.c.external_id,
    visitors.c.origin,
    visitors.c.context,
    visitors.c.read_seq,
    visitors.c.expires_at,
)
_SAID = sa.select(
    messages.c.id,
    messages.c.seq,
    messages.c.direction,
    messages.c.author_kind,
    messages.c.author_name,
    messages.c.kind,
    messages.c.text,
    messages.c.content,
    messages.c.reply_to,
    messages.c.client_id,
    messages.c.state,
    messages.c.edited_at,
    messages.c.deleted_at,
    messages.c.sent_at,
    messages.c.created_at,
    addresses.c.channel_id,
    addresses.c.external_id,
).select_from(messages.join(addresses, addresses.c.id == messages.c.address_id))


def add_session(conn: sa.Connection, session: Session, refresh_hash: bytes, now: Micros) -> None:
    row = session._asdict() | {"hash": refresh_hash, "created_at": now}
    conn.execute(sa.insert(visitors).values(row))


def find_session(conn: sa.Connection, session_id: bytes, now: Micros) -> Session | None:
    v = visitors.c
    row = conn.execute(_SESSION.where(v.id == session_id, v.expires_at > now)).first()
    return Session._make(row) if row else None


def find_refreshed(
    conn: sa.Connection, channel_id: bytes, refresh_hash: bytes, now: Micros
) -> Session | None:
    v = visitors.c
    row = conn.execute(
        _SESSION.where(v.hash == refresh_hash, v.channel_id == channel_id, v.expires_at > now)
    ).first()
    return Session._make(row) if row else None


def end_session(conn: sa.Connection, session_id: bytes, now: Micros) -> None:
    conn.execute(sa.update(visitors).where(visitors.c.id == session_id).values(expires_at=now))


def change_session(
    conn: sa.Connection, session_id: bytes, context: dict[str, Any], expires_at: Micros
) -> None:
    conn.execute(
        sa.update(visitors)
        .where(visitors.c.id == session_id)
        .values(context=context, expires_at=expires_at)
    )


def find_thread(conn: sa.Connection, channel_id: bytes, ids: Sequence[str]) -> Thread | None:
    """The conversation of the first of these addresses that exists, with those in it."""
    rows = conn.execute(
        sa.select(
            addresses.c.id,
            addresses.c.external_id,
            addresses.c.conversation_id,
            addresses.c.blocked_at,
            conversations.c.next_seq,
        )
        .join(conversations, conversations.c.id == addresses.c.conversation_id)
        .where(addresses.c.channel_id == channel_id, addresses.c.external_id.in_(ids))
    ).all()
    if not rows:
        return None
    first = min(rows, key=lambda row: ids.index(row.external_id))
    mine = [row for row in rows if row.conversation_id == first.conversation_id]
    return Thread(
        first.conversation_id,
        tuple(row.id for row in mine),
        first.next_seq - 1,
        any(row.blocked_at is not None for row in mine),
    )


def resume(
    conn: sa.Connection, session: Session, last_seq: int, limit: int, *, late: bool
) -> Resumed:
    """What was said after `last_seq`, also what is still to be sent, at most `limit`. With
    `late`, also what comes before `last_seq` and was sent only after that was written."""
    thread = find_thread(conn, session.channel_id, session.ids)
    if thread is None:
        return Resumed(None, [], False, {}, [], 0)
    c = messages.c
    hers = (
        c.conversation_id == thread.conversation_id,
        c.address_id.in_(thread.address_ids),
        c.direction.in_(("in", "out")),
    )
    rows = [
        Said._make(row)
        for row in conn.execute(
            _SAID.where(*hers, c.seq > last_seq).order_by(c.seq).limit(limit + 1)
        )
    ]
    more = len(rows) > limit
    del rows[limit:]
    if late and last_seq:
        # An answer is given in its turn, so what was sent before it came before it; her own
        # message may have been acknowledged while an answer before it was still in flight.
        passed = sa.select(sa.case((c.direction == "out", c.sent_at), else_=c.created_at)).where(
            c.conversation_id == thread.conversation_id, c.seq == last_seq
        )
        rows[:0] = [
            Said._make(row)
            for row in conn.execute(
                _SAID.where(
                    *hers,
                    c.seq.between(last_seq - LATE, last_seq - 1),
                    c.direction == "out",
                    c.state.in_(SENT),
                    c.sent_at > passed.scalar_subquery(),
                ).order_by(c.seq)
            )
        ]
    waiting = conn.execute(
        sa.select(c.seq).where(*hers, c.lane.isnot(None), c.seq <= last_seq)
    ).scalars()
    media = load_media(conn, rows)
    return Resumed(thread, rows, more, media, list(waiting), _unread(conn, hers, session))


def _unread(conn: sa.Connection, hers: Sequence[Any], session: Session) -> int:
    c = messages.c
    read = (
        sa.select(sa.func.max(visitors.c.read_seq))
        .where(
            visitors.c.channel_id == session.channel_id,
            visitors.c.external_id == session.external_id,
        )
        .scalar_subquery()
    )
    count = sa.select(sa.func.count()).where(
        *hers, c.direction == "out", c.state.in_(SENT), c.seq > read
    )
    return conn.execute(count).scalar_one()


def earlier(
    conn: sa.Connection, session: Session, before_seq: int | None, limit: int
) -> tuple[Thread | None, list[Said], dict[bytes, dict[int, MediaRow]]]:
    """What she may see before `before_seq`, the latest first."""
    thread = find_thread(conn, session.channel_id, session.ids)
    if thread is None:
        return None, [], {}
    c = messages.c
    query = _SAID.where(
        c.conversation_id == thread.conversation_id,
        c.address_id.in_(thread.address_ids),
        sa.or_(c.direction == "in", sa.and_(c.direction == "out", c.state.in_(SENT))),
    )
    if before_seq is not None:
        query = query.where(c.seq < before_seq)
    rows = conn.execute(query.order_by(c.seq.desc()).limit(limit))
    found = [Said._make(row) for row in rows]
    return thread, found, load_media(conn, found)


def load_said(
    conn: sa.Connection, ids: Collection[bytes], channel_ids: Collection[bytes]
) -> tuple[dict[bytes, Said], dict[bytes, dict[int, MediaRow]]]:
    """Those of the messages that are on these channels."""
    rows = conn.execute(
        _SAID.where(
            messages.c.id.in_(ids),
            addresses.c.channel_id.in_(channel_ids),
            messages.c.direction.in_(("in", "out")),
        )
    )
    found = {row.id: Said._make(row) for row in rows}
    return found, load_media(conn, found.values())


def load_media(conn: sa.Connection, rows: Collection[Said]) -> dict[bytes, dict[int, MediaRow]]:
    found: dict[bytes, dict[int, MediaRow]] = {}
    ids = [row.id for row in rows if row.content and "media" in row.content]
    if ids:
        c = attachments.c
        for message_id, item, *rest in conn.execute(
            sa.select(c.message_id, c.item, c.id, c.state, c.media).where(c.message_id.in_(ids))
        ):
            found.setdefault(message_id, {})[item] = MediaRow._make(rest)
    return found


def mark_read(conn: sa.Connection, session: Session, up_to_seq: int) -> str | None:
    """She has read up to there; it never goes back. The external id of the last answer she
    read by this, if any is newly read."""
    v, c = visitors.c, messages.c
    moved = conn.execute(
        sa.update(visitors)
        .where(
            v.channel_id == session.channel_id,
            v.external_id == session.external_id,
            v.read_seq < up_to_seq,
        )
        .values(read_seq=up_to_seq)
    ).rowcount
    thread = find_thread(conn, session.channel_id, session.ids) if moved else None
    if thread is None:
        return None
    return conn.execute(
        sa.select(c.external_id)
        .where(
            c.conversation_id == thread.conversation_id,
            c.address_id.in_(thread.address_ids),
            c.direction == "out",
            c.state.in_(SENT),
            c.seq <= up_to_seq,
        )
        .order_by(c.seq.desc())
        .limit(1)
    ).scalar()
