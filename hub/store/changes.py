"""Following what changed: `changes.id` is the hub-wide cursor of live updates."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import changes
from hub.store.sql import has_row_locks
from hub.store.threads import Conversations, Messages, load_conversations, load_messages


class Place(NamedTuple):
    """A place in the changes; a later one is greater. Rows get thrown away and databases
    exchanged: the time of the row tells whether an id still means the same."""

    tx: int
    id: int
    at: Micros


START = Place(0, 0, 0)


class Change(NamedTuple):
    tx: int
    id: int
    at: Micros
    conversation_id: bytes
    kind: str
    message_id: bytes | None

    @property
    def place(self) -> Place:
        return Place(self.tx, self.id, self.at)


_COLUMNS = (
    changes.c.tx,
    changes.c.id,
    changes.c.at,
    changes.c.conversation_id,
    changes.c.kind,
    changes.c.message_id,
)


def newest_place(conn: sa.Connection) -> Place:
    c = changes.c
    query = _settled(conn, sa.select(c.tx, c.id, c.at))
    row = conn.execute(query.order_by(*_order(conn, newest_first=True)).limit(1)).first()
    return Place._make(row) if row else START


def changes_after(conn: sa.Connection, after: Place, limit: int) -> list[Change]:
    """The next changes in their order."""
    if has_row_locks(conn):
        later = sa.tuple_(changes.c.tx, changes.c.id) > sa.tuple_(after.tx, after.id)
    else:
        later = changes.c.id > after.id
    query = _settled(conn, sa.select(*_COLUMNS)).where(later)
    query = query.order_by(*_order(conn)).limit(limit)
    return [Change._make(row) for row in conn.execute(query)]


def _settled(conn: sa.Connection, query: sa.Select[Any]) -> sa.Select[Any]:
    """Without what transactions wrote before which another, still running, may have its rows."""
    if not has_row_locks(conn):
        return query
    oldest = sa.func.pg_snapshot_xmin(sa.func.pg_current_snapshot())
    return query.where(changes.c.tx < sa.cast(sa.cast(oldest, sa.Text), sa.BigInteger))


def _order(conn: sa.Connection, *, newest_first: bool = False) -> list[sa.ColumnElement[Any]]:
    """On SQLite, where one writes, ids are the order by themselves."""
    columns = [changes.c.tx, changes.c.id] if has_row_locks(conn) else [changes.c.id]
    return [column.desc() if newest_first else column.asc() for column in columns]


def is_kept(conn: sa.Connection, place: Place) -> bool:
    """Can it be followed from there without missing anything? Not where it seems to lie ahead: a
    dump was restored into another server, whose transactions have lower numbers."""
    if place == START:
        return conn.execute(sa.select(sa.func.min(changes.c.id))).scalar() in (None, 1)
    query = sa.select(changes.c.tx, changes.c.id, changes.c.at).where(changes.c.id == place.id)
    row = conn.execute(_settled(conn, query)).first()
    return row is not None and Place._make(row) == place


def load_changed(conn: sa.Connection, found: Sequence[Change]) -> tuple[Messages, Conversations]:
    """The changed messages and conversations as they are now."""
    message_ids = dict.fromkeys(change.message_id for change in found if change.message_id)
    conversation_ids = {change.conversation_id for change in found}
    return load_messages(conn, list(message_ids)), load_conversations(conn, conversation_ids)
