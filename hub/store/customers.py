"""Customers as the API shows them: their addresses, aliases and conversation, and the profile's
few fields that can be edited."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros
from hub.store.schema import addresses, aliases, changes, channels, conversations, customers
from hub.store.threads import MERGES, search_customers


class CustomerRow(NamedTuple):
    id: bytes
    name: str
    language: str | None
    timezone: str | None
    traits: dict[str, Any] | None
    created_at: Micros
    conversation_id: bytes | None


class AddressRow(NamedTuple):
    customer_id: bytes
    channel: str
    kind: str
    external_id: str
    last_seen_at: Micros | None
    blocked_at: Micros | None


class AliasRow(NamedTuple):
    customer_id: bytes
    kind: str
    value: str
    verified_at: Micros | None


@dataclass(slots=True)
class Customers:
    """Customers in the order asked for, with what belongs to each."""

    rows: list[CustomerRow]
    addresses: dict[bytes, list[AddressRow]] = field(default_factory=dict)
    aliases: dict[bytes, list[AliasRow]] = field(default_factory=dict)


_CUSTOMER = sa.select(
    customers.c.id,
    customers.c.name,
    customers.c.language,
    customers.c.timezone,
    customers.c.traits,
    customers.c.created_at,
    conversations.c.id.label("conversation_id"),
).select_from(customers.outerjoin(conversations, conversations.c.customer_id == customers.c.id))


def list_customers(
    conn: sa.Connection,
    before: bytes | None,
    limit: int,
    *,
    alias: str | None = None,
    address: str | None = None,
    search: str | None = None,
) -> Customers:
    """The newest first, from the id `before` on. `alias` and `address` are exact values."""
    query = _CUSTOMER.where(customers.c.merged_into.is_(None))
    if alias is not None:
        kinds = ("phone", "email", "external")
        owners = sa.select(aliases.c.customer_id).where(
            aliases.c.kind.in_(kinds), aliases.c.value == alias
        )
        query = query.where(customers.c.id.in_(owners))
    if address is not None:
        owners = sa.select(addresses.c.customer_id).where(
            addresses.c.channel_id.in_(sa.select(channels.c.id)),
            addresses.c.external_id == address,
        )
        query = query.where(customers.c.id.in_(owners))
    if search is not None:
        query = query.where(customers.c.id.in_(search_customers(search)))
    if before is not None:
        query = query.where(customers.c.id < before)
    query = query.order_by(customers.c.id.desc()).limit(limit)
    return _with_parts(conn, [CustomerRow._make(row) for row in conn.execute(query)])


def load_customers(conn: sa.Connection, ids: Collection[bytes]) -> Customers:
    """Those that exist, in no order."""
    rows = conn.execute(_CUSTOMER.where(customers.c.id.in_(ids)))
    return _with_parts(conn, [CustomerRow._make(row) for row in rows])


def find_customer(conn: sa.Connection, customer_id: bytes) -> bytes | None:
    """The id under which the customer lives now: merges are followed."""
    c = customers.c
    for _ in range(MERGES):
        row = conn.execute(sa.select(c.merged_into).where(c.id == customer_id)).first()
        if row is None or row.merged_into is None:
            return customer_id if row else None
        customer_id = row.merged_into
    return None


def update_customer(
    conn: sa.Connection, customer_id: bytes, values: dict[str, Any], now: Micros
) -> bool:
    """Set columns of the profile; False when there is no such customer. An entry of `traits`
    replaces the one of its name, and None removes it."""
    row = conn.execute(
        sa.select(customers.c.traits, conversations.c.id)
        .outerjoin(conversations, conversations.c.customer_id == customers.c.id)
        .where(customers.c.id == customer_id)
        .with_for_update(of=customers)
    ).first()
    if row is None:
        return False
    if "traits" in values:
        traits = {**(row.traits or {}), **values["traits"]}
        values = {**values, "traits": {k: v for k, v in traits.items() if v is not None} or None}
    conn.execute(sa.update(customers).where(customers.c.id == customer_id).values(values))
    if row.id is not None:
        conn.execute(sa.insert(changes).values(conversation_id=row.id, kind="customer", at=now))
    return True


def _with_parts(conn: sa.Connection, rows: list[CustomerRow]) -> Customers:
    found = Customers(rows)
    if not rows:
        return found
    ids = [row.id for row in rows]
    reached = conn.execute(
        sa.select(
            addresses.c.customer_id,
            channels.c.name,
            channels.c.kind,
            addresses.c.external_id,
            addresses.c.last_seen_at,
            addresses.c.blocked_at,
        )
        .join(channels, channels.c.id == addresses.c.channel_id)
        .where(addresses.c.customer_id.in_(ids))
        .order_by(addresses.c.created_at, addresses.c.id)
    )
    for address in map(AddressRow._make, reached):
        found.addresses.setdefault(address.customer_id, []).append(address)
    known = conn.execute(
        sa.select(aliases.c.customer_id, aliases.c.kind, aliases.c.value, aliases.c.verified_at)
        .where(aliases.c.customer_id.in_(ids))
        .order_by(aliases.c.created_at, aliases.c.value)
    )
    for alias in map(AliasRow._make, known):
        found.aliases.setdefault(alias.customer_id, []).append(alias)
    return found
