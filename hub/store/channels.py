"""Reading the rows of channels and what passes through them: for those who watch."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import HOUR, Micros, new_id
from hub.errors import StoreUnavailable
from hub.store.migrate import HEAD, revision
from hub.store.schema import channels, messages
from hub.store.sqlite import create_engine

MOST = 10_000
"""How many messages are looked at, at most, however many there are."""


class ChannelRow(NamedTuple):
    id: bytes
    paused_reason: str | None
    paused_code: str | None
    paused_at: Micros | None
    tried_at: Micros | None
    trials: int
    last_inbound_at: Micros | None
    last_send_at: Micros | None
    expires_at: Micros | None


@dataclass(slots=True)
class Traffic:
    """`waiting` to be sent now, at most MOST of all channels together. Of the messages written in
    the last hour, the last MOST of all channels: how many were `tried`, and how many of these are
    not accepted by the provider (`failing`)."""

    waiting: int = 0
    tried: int = 0
    failing: int = 0

    @property
    def error_rate(self) -> float | None:
        return self.failing / self.tried if self.tried else None


def load_channels(conn: sa.Connection, ids: Collection[bytes]) -> dict[bytes, ChannelRow]:
    query = sa.select(*(channels.c[name] for name in ChannelRow._fields))
    rows = map(ChannelRow._make, conn.execute(query.where(channels.c.id.in_(ids))))
    return {row.id: row for row in rows}


def find_channels(conn: sa.Connection) -> dict[tuple[str, str], ChannelRow]:
    """The rows of all accounts there ever were, by kind and account."""
    c = channels.c
    names = [c[name] for name in ChannelRow._fields]
    rows = conn.execute(sa.select(c.kind, c.account, *names))
    return {(kind, account): ChannelRow._make(row) for kind, account, *row in rows}


def load_traffic(conn: sa.Connection) -> dict[bytes, Traffic]:
    """What waits and what goes wrong, by channel; a channel with neither is not in it."""
    m = messages.c
    found: dict[bytes, Traffic] = {}
    open_rows = (
        sa.select(m.channel_id.label("channel_id")).where(m.lane.isnot(None)).limit(MOST).subquery()
    )
    waiting = sa.select(open_rows.c.channel_id, sa.func.count()).group_by(open_rows.c.channel_id)
    for id, count in conn.execute(waiting):
        found.setdefault(id, Traffic()).waiting = count
    recent = (
        sa.select(m.channel_id, m.direction, m.attempt, m.error_class)
        .where(m.id >= _an_hour_ago())
        .order_by(m.id.desc())
        .limit(MOST)
        .subquery()
    )
    r = recent.c
    tried = (
        sa.select(r.channel_id, sa.func.count(), sa.func.count(r.error_class))
        .where(r.direction == "out", r.attempt > 0)
        .group_by(r.channel_id)
    )
    for id, count, failing in conn.execute(tried):
        one = found.setdefault(id, Traffic())
        one.tried, one.failing = count, failing
    return found


def _an_hour_ago() -> bytes:
    """The least id of the last hour. Ids tell real time, whatever the hub's clock says."""
    return (int.from_bytes(new_id()[:6]) - HOUR // 1000).to_bytes(6) + bytes(10)


def note_use(
    conn: sa.Connection, used: Mapping[bytes, tuple[Micros | None, Micros | None]]
) -> None:
    """Note when channels last brought a message and last sent one, unless later is known."""
    c = channels.c
    for id, times in sorted(used.items()):
        for column, at in zip((c.last_inbound_at, c.last_send_at), times, strict=True):
            if at is not None:
                older = sa.or_(column.is_(None), column < at)
                conn.execute(channels.update().where(c.id == id, older).values({column.name: at}))


def take_expiry(conn: sa.Connection, channel_id: bytes, at: Micros, before: Micros) -> bool:
    """Be the one process that asks when a channel's credentials end; False: that was done at or
    after `before`."""
    c = channels.c
    due = sa.or_(c.expiry_asked_at.is_(None), c.expiry_asked_at < before)
    values = channels.update().where(c.id == channel_id, due).values(expiry_asked_at=at)
    return bool(conn.execute(values).rowcount)


def note_expiry(conn: sa.Connection, channel_id: bytes, expires_at: Micros | None) -> None:
    conn.execute(channels.update().where(channels.c.id == channel_id).values(expires_at=expires_at))


State = tuple[dict[tuple[str, str], ChannelRow], dict[bytes, Traffic]]


def read_state(conn: sa.Connection) -> State:
    """All there is to say of channels; nothing of a database that another release has."""
    if revision(conn) != HEAD:
        return {}, {}
    return find_channels(conn), load_traffic(conn)


def read_state_of(path: Path) -> State:
    """`read_state` of a SQLite file no matter who uses it. Raises StoreUnavailable."""
    engine = create_engine(path, readonly=True)
    try:
        with engine.begin() as conn:
            return read_state(conn)
    except sa.exc.DatabaseError as error:
        raise StoreUnavailable(f"{path}: {error.orig}") from error
    finally:
        engine.dispose()
