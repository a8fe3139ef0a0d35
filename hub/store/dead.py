"""Dead letters: what ended badly and waits for somebody to try it again or to drop it.

Hooks, attachments and signals have a row in `dead_letters`. A failed send is its message, unless
a row of kind `send` says that somebody dropped it.
"""

from pathlib import Path
from typing import Literal, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.errors import ErrorClass, StoreUnavailable
from hub.store.migrate import revision
from hub.store.schema import channels, dead_letters, hooks, media, messages
from hub.store.sqlite import create_engine

DeadKind = Literal["hook", "send", "media", "signal"]

MENDABLE: tuple[ErrorClass, ...] = (
    "unreachable",
    "busy",
    "outcome_unknown",
    "window_closed",
    "refused",
    "media",
    "misconfigured",
    "expired",
)
"""Why a send failed, where another try may end better. Not in it is what the customer wants or
where she is."""


class Letter(NamedTuple):
    """`at`: when it ended badly; of a send, when it was written. `due_at`: somebody asked to try
    it again. `attempt`: how often that was tried."""

    id: bytes
    kind: DeadKind
    at: Micros
    channel: str | None
    reason: str
    error_class: ErrorClass | None
    error_code: str | None
    due_at: Micros | None
    attempt: int
    conversation_id: bytes | None
    message_id: bytes | None
    reference: bytes | None


class RawHook(NamedTuple):
    """What is kept of a webhook. `signature`: the header lines that signed it."""

    method: str
    query: str
    content_type: str
    body: bytes
    signature: str
    received_at: Micros


_d, _m = dead_letters.c, messages.c
_OF_MEDIA = sa.case((_d.kind == "media", _d.reference))
_OF_CHANNEL = sa.case((_d.kind == "signal", _d.reference), else_=media.c.channel_id)
_LETTERS = (
    sa.select(
        _d.id,
        _d.kind,
        _d.created_at,
        sa.func.coalesce(_d.channel, channels.c.name),
        _d.reason,
        sa.null().label("error_class"),
        sa.null().label("error_code"),
        _d.due_at,
        _d.attempt,
        _m.conversation_id,
        media.c.message_id,
        _d.reference,
    )
    .select_from(
        dead_letters.outerjoin(media, media.c.id == _OF_MEDIA)
        .outerjoin(messages, _m.id == media.c.message_id)
        .outerjoin(channels, channels.c.id == _OF_CHANNEL)
    )
    .where(_d.resolved_at.is_(None), _d.kind != "send")
)
_DROPPED = sa.exists().where(_d.reference == _m.id, _d.kind == "send")
_SENDS = (
    sa.select(
        _m.id,
        sa.literal("send").label("kind"),
        _m.created_at,
        channels.c.name,
        sa.func.coalesce(_m.error_reason, ""),
        _m.error_class,
        _m.error_code,
        sa.null().label("due_at"),
        _m.attempt,
        _m.conversation_id,
        _m.id.label("message_id"),
        sa.null().label("reference"),
    )
    .select_from(messages.outerjoin(channels, channels.c.id == _m.channel_id))
    .where(
        _m.error_class.isnot(None),
        _m.error_class.in_(MENDABLE),
        _m.state == "failed",
        _m.direction == "out",
        sa.not_(_DROPPED),
    )
)


def count_letters(conn: sa.Connection, most: int) -> dict[str, int]:
    """How many wait, by kind. Only the last `most` of letters and of failed messages are looked
    at."""
    letters = (
        sa.select(_d.kind, _d.resolved_at).order_by(_d.created_at.desc()).limit(most).subquery()
    )
    unresolved = (
        sa.select(letters.c.kind, sa.func.count())
        .where(letters.c.resolved_at.is_(None), letters.c.kind != "send")
        .group_by(letters.c.kind)
    )
    found: dict[str, int] = dict(conn.execute(unresolved).all())
    failed = (
        sa.select(_m.id, _m.error_class, _m.state, _m.direction)
        .where(_m.error_class.isnot(None))
        .order_by(_m.id.desc())
        .limit(most)
        .subquery()
    )
    dropped = sa.exists().where(_d.reference == failed.c.id, _d.kind == "send")
    sends = sa.select(sa.func.count()).where(
        failed.c.error_class.in_(MENDABLE),
        failed.c.state == "failed",
        failed.c.direction == "out",
        sa.not_(dropped),
    )
    found["send"] = conn.execute(sends.select_from(failed)).scalar_one()
    return found


def list_letters(
    conn: sa.Connection,
    before: bytes | None,
    limit: int,
    *,
    kind: DeadKind | None = None,
    channel: str | None = None,
) -> list[Letter]:
    """The newest first, from the id `before` on."""
    found: list[Letter] = []
    if kind != "send":
        query = _LETTERS.where(_d.kind == kind) if kind else _LETTERS
        if channel is not None:
            query = query.where(sa.func.coalesce(_d.channel, channels.c.name) == channel)
        found += _page(conn, query, _d.id, before, limit)
    if kind in (None, "send"):
        query = _SENDS if channel is None else _SENDS.where(channels.c.name == channel)
        found += _page(conn, query, _m.id, before, limit)
    return sorted(found, key=lambda letter: letter.id, reverse=True)[:limit]


def _page(
    conn: sa.Connection,
    query: sa.Select[tuple[object, ...]],
    id: sa.Column[bytes],
    before: bytes | None,
    limit: int,
) -> list[Letter]:
    if before is not None:
        query = query.where(id < before)
    rows = conn.execute(query.order_by(id.desc()).limit(limit))
    return [Letter._make(row) for row in rows]


def load_letter(conn: sa.Connection, id: bytes) -> Letter | None:
    for query in (_LETTERS.where(_d.id == id), _SENDS.where(_m.id == id)):
        row = conn.execute(query).first()
        if row is not None:
            return Letter._make(row)
    return None


def load_hook(conn: sa.Connection, hook_id: bytes) -> RawHook | None:
    """The webhook as it came, while it is kept."""
    row = conn.execute(RAW.where(hooks.c.id == hook_id)).first()
    return RawHook._make(row) if row else None


RAW = sa.select(
    hooks.c.method,
    hooks.c.query,
    hooks.c.content_type,
    hooks.c.body,
    hooks.c.signature,
    hooks.c.received_at,
)


def unknown_accounts_of(path: Path) -> list[tuple[str, str, int]]:
    """`unknown_accounts` of a SQLite file no matter who uses it. Raises StoreUnavailable."""
    engine = create_engine(path, readonly=True)
    try:
        with engine.begin() as conn:
            return unknown_accounts(conn) if revision(conn) else []
    except sa.exc.DatabaseError as error:
        raise StoreUnavailable(f"{path}: {error.orig}") from error
    finally:
        engine.dispose()


def unknown_accounts(conn: sa.Connection) -> list[tuple[str, str, int]]:
    """(channel, reason, how many) of the hooks' dead letters that nobody has resolved."""
    rows = conn.execute(
        sa.select(dead_letters.c.channel, dead_letters.c.reason, sa.func.count())
        .where(dead_letters.c.kind == "hook", dead_letters.c.resolved_at.is_(None))
        .group_by(dead_letters.c.channel, dead_letters.c.reason)
        .order_by(sa.func.count().desc())
        .limit(20)
    )
    return [(channel or "", reason, count) for channel, reason, count in rows]
