"""What waiters ask when nobody poked them: where is work, and what may be thrown away."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hub.clock import DAY, Micros
from hub.store.schema import (
    addresses,
    changes,
    conversations,
    dead_letters,
    hooks,
    idempotency,
    messages,
    spools,
    timers,
    visitors,
)
from hub.store.sends import note_changes
from hub.store.sql import lease_now

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Pending:
    """Conversations with an event and addresses with something due, none of them leased now."""

    conversations: list[bytes]
    addresses: list[bytes]


def pending(conn: sa.Connection, at: Micros, paused: frozenset[bytes], most: int = 500) -> Pending:
    """Find work that may have been missed; `paused` are channels whose sends wait."""
    now = lease_now(conn)
    unhandled = (
        sa.select(messages.c.conversation_id)
        .join(conversations, conversations.c.id == messages.c.conversation_id)
        .where(messages.c.handled_at.is_(None), conversations.c.lease_until <= now)
        .distinct()
        .limit(most)
    )
    due = (
        sa.select(timers.c.conversation_id)
        .join(conversations, conversations.c.id == timers.c.conversation_id)
        .where(timers.c.due_at <= at, conversations.c.lease_until <= now)
        .distinct()
        .limit(most)
    )
    # What follows a row that waits for its next try waits with it: such an address would be
    # found at every look, and many of them would leave no place for those that can go on.
    head = messages.alias("head")
    held_up = sa.exists(
        sa.select(1).where(
            head.c.address_id == messages.c.address_id,
            sa.or_(
                head.c.lane < messages.c.lane,
                sa.and_(head.c.lane == messages.c.lane, head.c.seq < messages.c.seq),
            ),
            head.c.due_at > at,
        )
    )
    sends = (
        sa.select(messages.c.address_id)
        .join(addresses, addresses.c.id == messages.c.address_id)
        .where(
            messages.c.lane.isnot(None),
            sa.or_(messages.c.due_at.is_(None), messages.c.due_at <= at),
            sa.not_(held_up),
            addresses.c.lease_until <= now,
            addresses.c.channel_id.notin_(list(paused)) if paused else sa.true(),
        )
        .distinct()
        .limit(most)
    )
    turns = {*conn.execute(unhandled).scalars(), *conn.execute(due).scalars()}
    return Pending(list(turns), list(conn.execute(sends).scalars()))


def wake_snoozed(conn: sa.Connection, at: Micros) -> int:
    """Reopen conversations whose snooze is over."""
    woken = conn.execute(
        conversations.update()
        .where(conversations.c.snoozed_until <= at)
        .values(status="open", snoozed_until=None)
        .returning(conversations.c.id)
    ).scalars()
    rows = [{"conversation_id": id, "kind": "status", "at": at} for id in woken]
    if rows:
        conn.execute(changes.insert(), rows)
    return len(rows)


CUT_OFF = (
    messages.c.id,
    messages.c.conversation_id,
    messages.c.address_id,
    messages.c.part_group,
    messages.c.part_index,
    messages.c.unknowns,
)


def recover(conn: sa.Connection, at: Micros, unknown_for: Micros) -> int:
    """After a start as the only process of this database: nobody holds a lease, and what was
    being sent has an unknown outcome. Returns how many sends were cut off."""
    conn.execute(
        conversations.update().where(conversations.c.lease_until > 0).values(lease_until=0)
    )
    conn.execute(addresses.update().where(addresses.c.lease_until > 0).values(lease_until=0))
    cut = (messages.c.lane.isnot(None), messages.c.state == "sending")
    rows = [dict(row) for row in conn.execute(sa.select(*CUT_OFF).where(*cut)).mappings()]
    conn.execute(
        messages.update()
        .where(*cut, messages.c.unknowns >= 1)
        .values(
            state="failed",
            lane=None,
            unknowns=messages.c.unknowns + 1,
            error_class="outcome_unknown",
            error_reason="the outcome of the send is unknown",
        )
    )
    conn.execute(
        messages.update()
        .where(*cut)
        .values(state="unknown", unknowns=messages.c.unknowns + 1, due_at=at + unknown_for, lane=0)
    )
    failed = [row for row in rows if row["unknowns"] >= 1]
    note_changes(conn, [(row, at) for row in rows], [(row, at) for row in failed])
    return len(rows)


def throw_away(
    conn: sa.Connection, at: Micros, *, hooks_days: int, changes_days: int, most: int = 2000
) -> bool:
    """Delete what is past its time, about `most` rows a table. True: there may be more."""
    gone = 0
    for table, column, age in (
        (hooks, hooks.c.received_at, hooks_days * DAY),
        (changes, changes.c.at, changes_days * DAY),
    ):
        gone += _throw_away_oldest(conn, table, column, at - age, most)
    # A dead letter stays until someone resolves it; what a customer wrote in it does not.
    conn.execute(
        dead_letters.update()
        .where(dead_letters.c.created_at < at - hooks_days * DAY, dead_letters.c.raw.isnot(None))
        .values(raw=None)
    )
    repeated = idempotency.delete().where(idempotency.c.created_at < at - 2 * DAY)
    gone += conn.execute(repeated).rowcount
    gone += conn.execute(spools.delete().where(spools.c.heard_at < at - 2 * DAY)).rowcount
    gone += conn.execute(visitors.delete().where(visitors.c.expires_at < at - 30 * DAY)).rowcount
    return gone >= most


def _throw_away_oldest(
    conn: sa.Connection, table: sa.Table, column: sa.Column[int], before: Micros, most: int
) -> int:
    """Delete what of a table's first rows is too old. Keys grow with time, so that no index on
    the time itself is needed, which every message would pay for."""
    first = sa.select(table.c.id, column).order_by(table.c.id).limit(most).subquery()
    old = sa.select(first.c.id).where(first.c[column.name] < before)
    return conn.execute(table.delete().where(table.c.id.in_(old))).rowcount
