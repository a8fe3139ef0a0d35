"""Customers whom no webhook named, for the platform to be asked who they are."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros
from hub.message import Profile
from hub.store.identities import NAME_CUSTOMERS, profile_row
from hub.store.schema import addresses, changes

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Nameless:
    """An address that came without a name."""

    id: bytes
    channel_id: bytes
    external_id: str
    customer_id: bytes
    conversation_id: bytes


def is_nameless(conn: sa.Connection, channels: list[bytes], since: bytes) -> bool:
    """Is there anybody for `take_nameless`?"""
    return conn.execute(_nameless(channels, since, 1)).first() is not None


def take_nameless(
    conn: sa.Connection, channels: list[bytes], since: bytes, most: int
) -> list[Nameless]:
    """Take up to `most` addresses of these channels whose id is `since` or later and whom nobody
    has been asked about, in any process: an empty profile says that somebody has."""
    found = {row.id: Nameless(*row) for row in conn.execute(_nameless(channels, since, most))}
    if not found:
        return []
    taken = conn.execute(
        addresses.update()
        .where(addresses.c.id.in_(list(found)), addresses.c.profile.is_(None))
        .values(profile={})
        .returning(addresses.c.id)
    ).scalars()
    return [found[id] for id in taken]


def _nameless(channels: list[bytes], since: bytes, most: int) -> sa.Select[Any]:
    return (
        sa.select(
            addresses.c.id,
            addresses.c.channel_id,
            addresses.c.external_id,
            addresses.c.customer_id,
            addresses.c.conversation_id,
        )
        .where(
            addresses.c.id >= since,
            addresses.c.channel_id.in_(channels),
            addresses.c.profile.is_(None),
        )
        .order_by(addresses.c.id)
        .limit(most)
    )


def give_name(conn: sa.Connection, address: Nameless, profile: Profile, at: Micros) -> None:
    """Keep who somebody is. A customer who has a name by now keeps it."""
    known = profile_row(profile)
    if known is None:
        return
    conn.execute(addresses.update().where(addresses.c.id == address.id).values(profile=known))
    if name := profile.name or profile.username:
        conn.execute(NAME_CUSTOMERS, {"row_id": address.customer_id, "new_name": name})
    conn.execute(
        changes.insert().values(conversation_id=address.conversation_id, kind="customer", at=at)
    )


def ask_again(conn: sa.Connection, ids: list[bytes]) -> None:
    """Nobody could be asked about these just now."""
    conn.execute(addresses.update().where(addresses.c.id.in_(ids)).values(profile=sa.null()))
