"""Following what changed: `changes.id` is the hub-wide cursor of live updates."""

from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import changes
from hub.store.threads import Conversations, Messages, load_conversations, load_messages


class Place(NamedTuple):
    """A place in the changes. Rows get thrown away and databases exchanged: the time of the
    row tells whether an id still means the same."""

    id: int
    at: Micros


START = Place(0, 0)


class Change(NamedTuple):
    id: int
    at: Micros
    conversation_id: bytes
    kind: str
    message_id: bytes | None

    @property
    def place(self) -> Place:
        return Place(self.id, self.at)


def newest_place(conn: sa.Connection) -> Place:
    c = changes.c
    row = conn.execute(sa.select(c.id, c.at).order_by(c.id.desc()).limit(1)).first()
    return Place._make(row) if row else START


def changes_after(conn: sa.Connection, after: int, limit: int) -> list[Change]:
    """The next changes in their order."""
    c = changes.c
    query = sa.select(c.id, c.at, c.conversation_id, c.kind, c.message_id)
    query = query.where(c.id > after).order_by(c.id).limit(limit)
    return [Change._make(row) for row in conn.execute(query)]


def is_kept(conn: sa.Connection, place: Place) -> bool:
    """Can it be followed from there without missing anything?"""
    if place == START:
        return conn.execute(sa.select(sa.func.min(changes.c.id))).scalar() in (None, 1)
    at = conn.execute(sa.select(changes.c.at).where(changes.c.id == place.id)).scalar()
    return at == place.at


def load_changed(conn: sa.Connection, found: Sequence[Change]) -> tuple[Messages, Conversations]:
    """The changed messages and conversations as they are now."""
    message_ids = dict.fromkeys(change.message_id for change in found if change.message_id)
    conversation_ids = {change.conversation_id for change in found}
    return load_messages(conn, list(message_ids)), load_conversations(conn, conversation_ids)
