"""Which processes have a spool, and until when what they had spooled is known to be stored."""

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import spools
from hub.store.sql import insert_new, lease_now


def report(conn: sa.Connection, process: str, stored_to: Micros | None) -> Micros:
    """Say that a process lives and, if given, up to when all it ever spooled is stored. The time
    by the database's clock."""
    now = lease_now(conn)
    values = {"heard_at": now}
    if stored_to is not None:
        values["stored_to"] = stored_to
    mine = spools.update().where(spools.c.process == process)
    if not conn.execute(mine.values(values)).rowcount:
        conn.execute(insert_new(conn, spools), {"process": process, "stored_to": 0} | values)
    return now


def leave(conn: sa.Connection, process: str) -> None:
    """A process ends and leaves nothing behind."""
    conn.execute(spools.delete().where(spools.c.process == process))


def may_wait_elsewhere(conn: sa.Connection, own: str, since: Micros, heard: Micros) -> bool:
    """May another process than `own` have in its spool what came before `since`? One that was not
    heard of from `heard` on is gone."""
    others = sa.select(sa.func.min(spools.c.stored_to)).where(
        spools.c.process != own, spools.c.heard_at >= heard
    )
    stored_to = conn.scalar(others)
    return stored_to is not None and stored_to < since
