"""First answers to POSTs that carry an `Idempotency-Key`, kept to be given again."""

from typing import Literal, NamedTuple

import sqlalchemy as sa

from hub.clock import MINUTE, Micros
from hub.store.schema import idempotency
from hub.store.sql import insert_new

# A request still unanswered after this long died with its process.
ABANDONED = 2 * MINUTE


class Kept(NamedTuple):
    """What a key was used for: `running` now, a `changed` body, or `done` with its answer."""

    state: Literal["running", "changed", "done"]
    status: int = 0
    answer: bytes = b""


def claim_key(
    conn: sa.Connection, scope: str, key: str, fingerprint: str, now: Micros
) -> Kept | None:
    """Take the key for a request about to run (None), or say what it was used for."""
    t = idempotency
    mine = (t.c.scope == scope) & (t.c.key == key)
    row = {"scope": scope, "key": key, "fingerprint": fingerprint, "created_at": now}
    if conn.execute(insert_new(conn, t).values(row).returning(t.c.key)).first():
        return None
    used = conn.execute(sa.select(t.c.fingerprint, t.c.status, t.c.answer).where(mine)).one()
    if used.fingerprint != fingerprint:
        return Kept("changed")
    if used.status is not None:
        return Kept("done", used.status, used.answer or b"")
    taken_over = conn.execute(
        sa.update(t)
        .where(mine, t.c.status.is_(None), t.c.created_at < now - ABANDONED)
        .values(created_at=now)
    )
    return None if taken_over.rowcount else Kept("running")


def keep_answer(conn: sa.Connection, scope: str, key: str, status: int, answer: bytes) -> None:
    t = idempotency
    conn.execute(
        sa.update(t).where(t.c.scope == scope, t.c.key == key).values(status=status, answer=answer)
    )


def free_key(conn: sa.Connection, scope: str, key: str) -> None:
    """The request did nothing: the key may be used again."""
    t = idempotency
    conn.execute(sa.delete(t).where(t.c.scope == scope, t.c.key == key, t.c.status.is_(None)))
