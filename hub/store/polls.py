"""Which process asks a provider for a channel's messages: a lease on the channel's row, the same
that keeps two processes from listing what was missed.

The end of a lease is also what its holder is known by: no later one can end at the same
microsecond.
"""

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import channels
from hub.store.sql import lease_now


def take_poll(conn: sa.Connection, channel_id: bytes, lease: Micros) -> Micros | None:
    """Begin a lease and give its end by the database's clock; None while another holds it."""
    now, until = lease_now(conn), channels.c.catching_until
    is_free = sa.or_(until.is_(None), until <= now)
    return _extend(conn, sa.and_(channels.c.id == channel_id, is_free), now + lease)


def keep_poll(conn: sa.Connection, channel_id: bytes, held: Micros, lease: Micros) -> Micros | None:
    """Extend the lease that ends at `held` and give its new end; None when it was lost."""
    mine = sa.and_(channels.c.id == channel_id, channels.c.catching_until == held)
    return _extend(conn, mine, max(lease_now(conn) + lease, held + 1))


def _extend(conn: sa.Connection, where: sa.ColumnElement[bool], until: Micros) -> Micros | None:
    changed = channels.update().where(where).values(catching_until=until)
    return until if conn.execute(changed).rowcount else None


def end_poll(conn: sa.Connection, channel_id: bytes, held: Micros) -> None:
    """Let others ask, if the lease that ends at `held` is still there."""
    mine = sa.and_(channels.c.id == channel_id, channels.c.catching_until == held)
    conn.execute(channels.update().where(mine).values(catching_until=None))
