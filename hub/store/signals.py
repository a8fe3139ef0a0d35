"""One handler for each signal: edits, unsends, reactions, opt-outs, number changes, echoes."""

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from hub.clock import SECOND, Micros, new_id
from hub.message import Receipt, State
from hub.signal import (
    Block,
    DeliveredToCustomer,
    Echo,
    Edit,
    NumberChange,
    OptOut,
    Reaction,
    ReadByCustomer,
    Signal,
    TemplateChange,
    Typing,
    Unsend,
)
from hub.store.edits import amend
from hub.store.ownership import lock, park
from hub.store.receipts import apply_receipts, correlated
from hub.store.rows import content_of
from hub.store.schema import addresses, aliases, changes, conversations, dead_letters, messages
from hub.store.sql import insert_new
from hub.store.state import advance
from hub.store.templates import change_template

Row = dict[str, Any]

LONGEST_CALL = 10 * SECOND
KINDS = {"voice": "audio"}
"""What a kind that was sent is echoed as, where that is another."""


def apply_signal(conn: sa.Connection, channel_id: bytes, signal: Signal, at: Micros) -> set[bytes]:
    """Carry out one signal. One about a sender we do not know changes nothing, one that amends a
    message we do not know waits for it.
    Returns the conversations that have something to handle."""
    handler = HANDLERS[type(signal)]
    return handler(conn, channel_id, signal, at) or set()


def _find(conn: sa.Connection, channel_id: bytes, external_id: str) -> Row | None:
    found = (
        conn.execute(
            sa.select(messages.c.id, messages.c.conversation_id).where(
                messages.c.channel_id == channel_id,
                messages.c.external_id == external_id,
                messages.c.external_id.isnot(None),
            )
        )
        .mappings()
        .first()
    )
    return dict(found) if found else None


def _opt_out(conn: sa.Connection, channel_id: bytes, signal: OptOut, at: Micros) -> None:
    hers = [addresses.c.channel_id == channel_id, addresses.c.external_id == signal.sender]
    if signal.maybe:
        hers.append(addresses.c.opted_out_at.isnot(None))
        hers.append(sa.func.coalesce(addresses.c.opt_out_scope, "all") == "all")
    row = conn.execute(
        addresses.update()
        .where(*hers)
        .values(
            opted_out_at=signal.at if signal.on else None,
            opt_out_scope=signal.scope if signal.on else None,
        )
        .returning(addresses.c.conversation_id)
    ).first()
    if row:
        conn.execute(changes.insert().values(conversation_id=row[0], kind="customer", at=at))
    elif not signal.maybe:
        # Nobody to note it on: kept for whoever looks, since a wish not to be written to counts.
        conn.execute(
            dead_letters.insert().values(
                id=new_id(),
                kind="signal",
                reference=channel_id,
                reason="an opt-out or opt-in of someone who never wrote",
                raw={"sender": signal.sender, "on": signal.on, "scope": signal.scope},
                created_at=at,
            )
        )


def _block(conn: sa.Connection, channel_id: bytes, signal: Block, at: Micros) -> None:
    row = conn.execute(
        addresses.update()
        .where(addresses.c.channel_id == channel_id, addresses.c.external_id == signal.sender)
        .values(blocked_at=signal.at if signal.on else None)
        .returning(addresses.c.conversation_id)
    ).first()
    if row:
        conn.execute(changes.insert().values(conversation_id=row[0], kind="customer", at=at))


def _read(conn: sa.Connection, channel_id: bytes, signal: ReadByCustomer, at: Micros) -> None:
    _advance_up_to(conn, channel_id, signal, signal.external_id, at, "read")


def _deliver(
    conn: sa.Connection, channel_id: bytes, signal: DeliveredToCustomer, at: Micros
) -> None:
    _advance_up_to(conn, channel_id, signal, "", at, "delivered")


def _advance_up_to(
    conn: sa.Connection,
    channel_id: bytes,
    signal: Signal,
    external_id: str,
    at: Micros,
    state: State,
) -> None:
    """Move what was sent to an address up to a message, or up to the signal's time, forward."""
    address = conn.execute(
        sa.select(addresses.c.id, addresses.c.conversation_id).where(
            addresses.c.channel_id == channel_id, addresses.c.external_id == signal.sender
        )
    ).first()
    if address is None:
        return
    upto = signal.at
    # One that was written before that time and sent long after it cannot be meant.
    sent_by = signal.at + LONGEST_CALL
    if external_id:
        message = conn.execute(
            sa.select(messages.c.created_at).where(
                messages.c.channel_id == channel_id,
                messages.c.external_id == external_id,
                messages.c.external_id.isnot(None),
            )
        ).scalar()
        if message is None:
            return
        upto = message
    moved = conn.execute(
        messages.update()
        .where(
            messages.c.conversation_id == address[1],
            messages.c.address_id == address[0],
            messages.c.direction == "out",
            messages.c.state.in_([old for old in ("sent", "delivered") if advance(old, state)]),
            # What was sent elsewhere was stored after it was sent, ours before.
            (messages.c.created_at <= upto) | (messages.c.sent_at <= upto),
            sa.func.coalesce(messages.c.sent_at, messages.c.created_at) <= sent_by,
        )
        .values(state=state)
        .returning(messages.c.id)
    ).scalars()
    rows = [
        {"conversation_id": address[1], "kind": "receipt", "message_id": id, "at": at}
        for id in moved
    ]
    if rows:
        conn.execute(changes.insert(), rows)


def _change_number(
    conn: sa.Connection, channel_id: bytes, signal: NumberChange, at: Micros
) -> None:
    """Re-link: the new id becomes an address of the same customer, and the old one is blocked
    since nothing reaches it any more."""
    old = (
        conn.execute(
            sa.select(addresses).where(
                addresses.c.channel_id == channel_id, addresses.c.external_id == signal.sender
            )
        )
        .mappings()
        .first()
    )
    if old is None or not signal.new_sender:
        return
    conn.execute(
        insert_new(conn, addresses).values(
            id=new_id(),
            channel_id=channel_id,
            external_id=signal.new_sender,
            customer_id=old["customer_id"],
            conversation_id=old["conversation_id"],
            profile=old["profile"],
            last_seen_at=old["last_seen_at"],
            created_at=at,
        )
    )
    conn.execute(addresses.update().where(addresses.c.id == old["id"]).values(blocked_at=signal.at))
    for alias in signal.aliases:
        conn.execute(
            insert_new(conn, aliases).values(
                kind=alias.kind,
                value=alias.value,
                customer_id=old["customer_id"],
                verified_at=at if alias.verified else None,
                created_at=at,
            )
        )
    conn.execute(
        changes.insert().values(conversation_id=old["conversation_id"], kind="customer", at=at)
    )


def _echo(conn: sa.Connection, channel_id: bytes, signal: Echo, at: Micros) -> None:
    """A reply the business wrote elsewhere: shown in the thread, and it takes over as an
    agent's reply does. One that is an echo of our own send is already here."""
    if _find(conn, channel_id, signal.external_id):
        return
    address = conn.execute(
        sa.select(addresses.c.id, addresses.c.conversation_id).where(
            addresses.c.channel_id == channel_id, addresses.c.external_id == signal.sender
        )
    ).first()
    if own := _own_send(conn, channel_id, signal, address[0] if address else None):
        receipt = Receipt(signal.account, signal.external_id, "sent", signal.at, own.hex())
        apply_receipts(conn, [(channel_id, receipt, at)])
        return
    if address is None:
        return
    address_id, conversation_id = address
    if lock(conn, conversation_id)["owner_kind"] != "agent":
        park(conn, conversation_id, owner_kind="agent", owner_id=None, owner_name=None, at=at)
    seq = conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id)
        .values(next_seq=conversations.c.next_seq + 1, last_message_at=at)
        .returning(conversations.c.next_seq)
    ).scalar_one()
    message_id = new_id()
    conn.execute(
        messages.insert().values(
            id=message_id,
            conversation_id=conversation_id,
            seq=seq - 1,
            position=signal.at,
            direction="out",
            channel_id=channel_id,
            address_id=address_id,
            author_kind="agent",
            kind=signal.message.kind,
            text=signal.message.text,
            content=content_of(signal.message),
            external_id=signal.external_id,
            dedupe_key=signal.external_id,
            state="sent",
            handled_at=at,
            sent_at=signal.at,
            created_at=at,
        )
    )
    conn.execute(
        conversations.update()
        .where(conversations.c.id == conversation_id)
        .values(last_message_id=message_id)
    )
    conn.execute(
        changes.insert().values(
            conversation_id=conversation_id, kind="message", message_id=message_id, at=at
        )
    )


def _own_send(
    conn: sa.Connection, channel_id: bytes, signal: Echo, address_id: bytes | None
) -> bytes | None:
    """The message of ours that an echo shows to be accepted: by our correlation id, else by its
    words among those whose answer has not come, since the echo may come first."""
    if known := correlated(signal.correlation_id):
        wanted = messages.c.id == known
        found = sa.select(messages.c.id).where(wanted, messages.c.channel_id == channel_id)
        return conn.execute(found).scalar()
    if address_id is None:
        return None
    in_flight = conn.execute(
        sa.select(messages.c.id, messages.c.text, messages.c.kind)
        .where(
            messages.c.address_id == address_id,
            messages.c.lane.isnot(None),
            messages.c.state.in_(("sending", "unknown")),
        )
        .order_by(messages.c.seq)
    )
    said = signal.message
    for id, text, kind in in_flight:
        words = (text or "").strip()
        if words == said.text.strip() and (words or KINDS.get(kind, kind) == said.kind):
            return bytes(id)
    return None


def _change_template(
    conn: sa.Connection, channel_id: bytes, signal: TemplateChange, at: Micros
) -> None:
    news = {"status": signal.status, "quality": signal.quality, "category": signal.category}
    change_template(conn, channel_id, signal.name, signal.language, news)


def _ignore(conn: sa.Connection, channel_id: bytes, signal: Typing, at: Micros) -> None:
    """Typing is shown, never stored: intake hands it to the bus."""


HANDLERS: dict[type[Signal], Callable[[sa.Connection, bytes, Any, Micros], set[bytes] | None]] = {
    Edit: amend,
    Unsend: amend,
    Reaction: amend,
    OptOut: _opt_out,
    Block: _block,
    ReadByCustomer: _read,
    DeliveredToCustomer: _deliver,
    NumberChange: _change_number,
    Echo: _echo,
    TemplateChange: _change_template,
    Typing: _ignore,
}
