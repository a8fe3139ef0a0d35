"""Reading the rows of channels: when they were last used, and whether they are paused."""

from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import channels


class ChannelRow(NamedTuple):
    id: bytes
    paused_reason: str | None
    last_inbound_at: Micros | None
    last_send_at: Micros | None


def load_channels(conn: sa.Connection, ids: Collection[bytes]) -> dict[bytes, ChannelRow]:
    c = channels.c
    query = sa.select(c.id, c.paused_reason, c.last_inbound_at, c.last_send_at)
    rows = map(ChannelRow._make, conn.execute(query.where(c.id.in_(ids))))
    return {row.id: row for row in rows}
