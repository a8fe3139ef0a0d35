"""Messages that wait until the customer writes: released in their order, cancelled, or given up.

A held message is in no lane, so that it holds nothing up. `conversations.held` counts them, so that
intake, which has the conversation's row locked anyway, need not look for any where there are none.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from hub.clock import DAY, Micros
from hub.store.ownership import lock, recount
from hub.store.schema import HELD, addresses, changes, messages

Row = dict[str, Any]


def hold(row: Row, until: Micros) -> Row:
    """A new row of the outbox as one that waits, at the longest until `until`."""
    return row | {"state": "held", "lane": None, "due_at": until, "expires_at": None}


def unhold(row: Row, at: Micros) -> Row:
    return row | {"state": "queued", "lane": 1, "due_at": None, "expires_at": at + DAY}


def wrote_since(conn: sa.Connection, address_id: bytes, seen: Micros | None) -> bool:
    """Has the customer written on this address after the time that was known?"""
    query = sa.select(addresses.c.last_seen_at).where(addresses.c.id == address_id)
    return bool(conn.execute(query).scalar() != seen)


def keep(
    conn: sa.Connection,
    conversation_id: bytes,
    address_id: bytes,
    seen: Micros | None,
    at: Micros,
) -> None:
    """Count the held rows just written to a conversation that the caller has locked; they go at
    once if the customer has written there after `seen`."""
    if wrote_since(conn, address_id, seen):
        release(conn, conversation_id, [address_id], at)
    else:
        recount(conn, conversation_id)


def release(
    conn: sa.Connection, conversation_id: bytes, address_ids: Sequence[bytes], at: Micros
) -> set[bytes]:
    """Let what waits for a word on these addresses go; the addresses that have something to send
    now. The conversation is locked by the caller."""
    gone = conn.execute(
        messages.update()
        .where(
            messages.c.conversation_id == conversation_id,
            HELD,
            messages.c.address_id.in_(address_ids),
        )
        .values(unhold({}, at))
        .returning(messages.c.id, messages.c.address_id)
    ).all()
    _tell(conn, [(conversation_id, row.id) for row in gone], at)
    recount(conn, conversation_id)
    return {row.address_id for row in gone}


def cancel(
    conn: sa.Connection, conversation_id: bytes, message_id: bytes, by: str, at: Micros
) -> bool:
    """Call a held message back, with the other parts of what was said. False when it is not held
    any more. Raises KeyError for a message that the conversation has not."""
    lock(conn, conversation_id)
    mine = messages.c.conversation_id == conversation_id
    found = conn.execute(
        sa.select(messages.c.state, messages.c.part_group).where(mine, messages.c.id == message_id)
    ).first()
    if found is None:
        raise KeyError(message_id)
    if found.state != "held":
        return False
    same = messages.c.id == message_id
    if found.part_group is not None:
        same = messages.c.part_group == found.part_group
    gone = conn.execute(
        messages.update()
        .where(mine, HELD, same)
        .values(state="cancelled", due_at=None, error_reason=f"cancelled by {by}")
        .returning(messages.c.id)
    ).scalars()
    _tell(conn, [(conversation_id, id) for id in gone], at)
    recount(conn, conversation_id)
    return True


def release_missed(conn: sa.Connection, at: Micros) -> set[bytes]:
    """Let go what waits although the customer has written there: to a process of a release that
    knows of no held messages, while a hub is upgraded. The addresses that have something to
    send."""
    missed = conn.execute(
        sa.select(messages.c.conversation_id, messages.c.address_id)
        .join(addresses, addresses.c.id == messages.c.address_id)
        .where(HELD, addresses.c.last_seen_at > messages.c.created_at)
        .distinct()
    ).all()
    woken: set[bytes] = set()
    for conversation_id, address_id in sorted(tuple(row) for row in missed):
        lock(conn, conversation_id)
        woken |= release(conn, conversation_id, [address_id], at)
    return woken


def give_up(conn: sa.Connection, at: Micros) -> int:
    """End what waited to the end of its time. Returns how many that were."""
    over = (HELD, messages.c.due_at <= at)
    threads = conn.execute(sa.select(messages.c.conversation_id).where(*over).distinct()).scalars()
    count = 0
    for conversation_id in sorted(threads):
        lock(conn, conversation_id)
        gone = list(
            conn.execute(
                messages.update()
                .where(messages.c.conversation_id == conversation_id, *over)
                .values(
                    state="failed",
                    due_at=None,
                    error_class="window_closed",
                    error_reason="the customer did not write in the time it could wait",
                )
                .returning(messages.c.id)
            ).scalars()
        )
        _tell(conn, [(conversation_id, id) for id in gone], at)
        recount(conn, conversation_id)
        count += len(gone)
    return count


def _tell(conn: sa.Connection, moved: Sequence[tuple[bytes, bytes]], at: Micros) -> None:
    rows = [
        {"conversation_id": thread, "kind": "receipt", "message_id": id, "at": at}
        for thread, id in moved
    ]
    if rows:
        conn.execute(changes.insert(), rows)
