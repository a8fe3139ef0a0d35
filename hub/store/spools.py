"""Which processes have a spool, and until when what they had spooled is known to be stored.

A row of `idempotency` for each, which is thrown away with the others when it is old: `fingerprint`
is the time up to which everything is stored, `created_at` when the process was last heard of.
"""

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import idempotency
from hub.store.sql import insert_new, lease_now

SCOPE = "spool"


def report(conn: sa.Connection, name: str, stored_to: Micros | None) -> Micros:
    """Say that process `name` lives and, if given, up to when all it ever spooled is stored. The
    time by the database's clock."""
    now = lease_now(conn)
    values: dict[str, str | Micros] = {"created_at": now}
    if stored_to is not None:
        values["fingerprint"] = str(stored_to)
    if not conn.execute(idempotency.update().where(*_of(name)).values(values)).rowcount:
        row = {"scope": SCOPE, "key": name, "fingerprint": "0"}
        conn.execute(insert_new(conn, idempotency), row | values)
    return now


def leave(conn: sa.Connection, name: str) -> None:
    """Process `name` ends and leaves nothing behind."""
    conn.execute(idempotency.delete().where(*_of(name)))


def tell_time(conn: sa.Connection) -> Micros:
    return lease_now(conn)


def may_wait_elsewhere(conn: sa.Connection, own: str, since: Micros, heard: Micros) -> bool:
    """May another process than `own` have in its spool what came before `since`? One that was not
    heard of from `heard` on is gone."""
    others = sa.select(idempotency.c.fingerprint).where(
        idempotency.c.scope == SCOPE,
        idempotency.c.key != own,
        idempotency.c.created_at >= heard,
    )
    return any(int(stored_to) < since for stored_to in conn.scalars(others))


def _of(name: str) -> tuple[sa.ColumnElement[bool], ...]:
    return idempotency.c.scope == SCOPE, idempotency.c.key == name
