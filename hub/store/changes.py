"""Following what changed: `changes.id` is the hub-wide cursor of live updates."""

from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import changes


class Change(NamedTuple):
    id: int
    conversation_id: bytes
    kind: str
    message_id: bytes | None


class Place(NamedTuple):
    """A place in the changes. Rows get thrown away and databases exchanged: the time of the
    row tells whether an id still means the same."""

    id: int
    at: Micros


START = Place(0, 0)


def newest_place(conn: sa.Connection) -> Place:
    row = conn.execute(
        sa.select(changes.c.id, changes.c.at).order_by(changes.c.id.desc()).limit(1)
    ).first()
    return Place._make(row) if row else START


def changes_after(conn: sa.Connection, after: int, limit: int) -> tuple[list[Change], Place | None]:
    """The next changes in their order, and the place of the last one."""
    c = changes.c
    rows = conn.execute(
        sa.select(c.id, c.conversation_id, c.kind, c.message_id, c.at)
        .where(c.id > after)
        .order_by(c.id)
        .limit(limit)
    ).all()
    place = Place(rows[-1].id, rows[-1].at) if rows else None
    return [Change(row.id, row.conversation_id, row.kind, row.message_id) for row in rows], place


def is_kept(conn: sa.Connection, place: Place) -> bool:
    """Can it be followed from there without missing anything?"""
    if place == START:
        return conn.execute(sa.select(sa.func.min(changes.c.id))).scalar() in (None, 1)
    at = conn.execute(sa.select(changes.c.at).where(changes.c.id == place.id)).scalar()
    return at == place.at
