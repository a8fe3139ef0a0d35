"""A channel's pause: begun when its provider no longer takes the credentials, ended when they are
mended. The row is what all processes go by."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import HOUR, Micros
from hub.errors import Misconfigured, SendFailed
from hub.store.schema import changes, channels, messages

STEADY = HOUR
"""A pause that begins sooner after the last one is tried again as rarely as that was at its end."""
MOST = 500


class Pause(NamedTuple):
    """Why and since when a channel is paused; `tried_at`: when it was last tried, `trials` times
    since it last worked."""

    channel_id: bytes
    reason: str
    code: str
    at: Micros
    tried_at: Micros | None
    trials: int


def pause(conn: sa.Connection, channel_id: bytes, error: SendFailed, at: Micros) -> None:
    """Begin a pause, unless one is under way."""
    c = channels.c
    forgotten = sa.or_(c.resumed_at.is_(None), c.resumed_at < at - STEADY)
    begun = conn.execute(
        channels.update()
        .where(c.id == channel_id, c.paused_reason.is_(None))
        .values(
            paused_reason=error.reason or "misconfigured",
            paused_code=error.code or None,
            paused_at=at,
            tried_at=None,
            trials=sa.case((forgotten, 0), else_=c.trials),
        )
    )
    if begun.rowcount:
        _tell(conn, channel_id, at)


def resume(conn: sa.Connection, channel_id: bytes, at: Micros, *, forget: bool = False) -> bool:
    """End a pause; what it held up is due now. False: there was none. `forget` how often it was
    tried, as somebody has seen to it."""
    c = channels.c
    values = {"trials": 0} if forget else {}
    ended = conn.execute(
        channels.update()
        .where(c.id == channel_id, c.paused_reason.isnot(None))
        .values(
            paused_reason=None,
            paused_code=None,
            paused_at=None,
            resumed_at=at,
            expiry_asked_at=None,
            **values,
        )
    )
    if not ended.rowcount:
        return False
    release(conn, channel_id)
    _tell(conn, channel_id, at)
    return True


def release(conn: sa.Connection, channel_id: bytes) -> None:
    """Make due what was refused because of the credentials."""
    conn.execute(
        messages.update()
        .where(
            messages.c.lane.isnot(None),
            messages.c.channel_id == channel_id,
            messages.c.state == "queued",
            messages.c.error_class == Misconfigured.error_class,
        )
        .values(due_at=None)
    )


def waiting_addresses(conn: sa.Connection, channel_id: bytes, most: int = MOST) -> list[bytes]:
    """Whose messages wait on a channel, those with the oldest first."""
    m = messages.c
    rows = conn.execute(
        sa.select(m.address_id)
        .where(m.lane.isnot(None), m.channel_id == channel_id, m.state == "queued")
        .group_by(m.address_id)
        .order_by(sa.func.min(m.id))
        .limit(most)
    )
    return list(rows.scalars())


def list_pauses(conn: sa.Connection, channel_ids: Collection[bytes]) -> dict[bytes, Pause]:
    """Which of the channels are paused."""
    c = channels.c
    rows = conn.execute(
        sa.select(c.id, c.paused_reason, c.paused_code, c.paused_at, c.tried_at, c.trials).where(
            c.id.in_(channel_ids), c.paused_reason.isnot(None)
        )
    )
    found = (Pause(id, why, code or "", at or 0, last, n) for id, why, code, at, last, n in rows)
    return {one.channel_id: one for one in found}


def take_trial(conn: sa.Connection, seen: Pause, at: Micros) -> bool:
    """Be the one process that tries a channel now; False: another did, or the pause is over."""
    c = channels.c
    taken = conn.execute(
        channels.update()
        .where(c.id == seen.channel_id, c.paused_reason.isnot(None), c.trials == seen.trials)
        .values(tried_at=at, trials=seen.trials + 1)
    )
    return bool(taken.rowcount)


def _tell(conn: sa.Connection, channel_id: bytes, at: Micros) -> None:
    # No conversation changed: its place holds the channel's own id.
    conn.execute(changes.insert().values(conversation_id=channel_id, kind="channel", at=at))
