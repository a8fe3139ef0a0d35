"""How far a channel is caught up with its provider, and which of its messages are here."""

from dataclasses import dataclass

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import channels, messages
from hub.store.sql import lease_now

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class CatchUp:
    """Leave to look for missed messages of a channel: what was sent to it before `since` is here
    already, what was sent before `enrolled` was not for this hub. Times of the hub's clock."""

    since: Micros
    enrolled: Micros


def begin_catch_up(
    conn: sa.Connection, channel_id: bytes, at: Micros, due: Micros, lease: Micros, *, alone: bool
) -> CatchUp | None:
    """Take a channel whose messages are known up to less than `due`; None when another process
    looks now (with `alone` there is none), or has looked. The first time it is taken to be known up
    to `at`."""
    one = channels.c.id == channel_id
    row = conn.execute(
        sa.select(channels.c.caught_up_to, channels.c.catching_until, channels.c.created_at)
        .where(one)
        .with_for_update()
    ).one_or_none()
    if row is None:
        return None
    now = lease_now(conn)
    if row.caught_up_to is None:
        conn.execute(channels.update().where(one).values(caught_up_to=at))
        return None
    if row.caught_up_to >= due or ((row.catching_until or 0) > now and not alone):
        return None
    conn.execute(channels.update().where(one).values(catching_until=now + lease))
    return CatchUp(row.caught_up_to, row.created_at)


def note_caught_up(conn: sa.Connection, channel_id: bytes, up_to: Micros) -> None:
    """All that was sent to the channel before `up_to` is here. Never goes back."""
    conn.execute(
        channels.update()
        .where(channels.c.id == channel_id, channels.c.caught_up_to < up_to)
        .values(caught_up_to=up_to)
    )


def end_catch_up(conn: sa.Connection, channel_id: bytes) -> None:
    """Let others look."""
    conn.execute(channels.update().where(channels.c.id == channel_id).values(catching_until=None))


def known_keys(conn: sa.Connection, channel_id: bytes, keys: list[str]) -> set[str]:
    """Which of these inbound messages are here, by their dedupe keys."""
    found: set[str] = set()
    for start in range(0, len(keys), AT_ONCE):
        found.update(
            conn.execute(
                sa.select(messages.c.dedupe_key).where(
                    messages.c.channel_id == channel_id,
                    messages.c.direction == "in",
                    messages.c.dedupe_key.in_(keys[start : start + AT_ONCE]),
                )
            ).scalars()
        )
    return found
