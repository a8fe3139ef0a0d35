"""What the customer said last, as courtesies to her need it."""

from typing import NamedTuple

import sqlalchemy as sa

from hub.store.schema import addresses, messages


class Heard(NamedTuple):
    """The customer's last message: its channel, her id there and the message's."""

    channel_id: bytes
    recipient: str
    external_id: str


def read_heard(conn: sa.Connection, conversation_id: bytes) -> Heard | None:
    m = messages.c
    row = conn.execute(
        sa.select(m.channel_id, addresses.c.external_id, m.external_id)
        .join(addresses, addresses.c.id == m.address_id)
        .where(m.conversation_id == conversation_id, m.direction == "in")
        .order_by(m.seq.desc())
        .limit(1)
    ).first()
    return Heard(row[0], row[1], row[2] or "") if row else None
