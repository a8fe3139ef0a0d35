"""Trying again what ended badly, or dropping it: see store.dead for what there is.

Whoever asks, a command or the API, writes the wish down here and is done. The running hub does
it: sends and attachments are due in their own tables then, hooks by their dead letter.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.dead import MENDABLE, DeadKind, RawHook
from hub.store.schema import (
    addresses,
    changes,
    channels,
    conversations,
    dead_letters,
    hooks,
    media,
    messages,
)

Row = dict[str, Any]


class Refusal(NamedTuple):
    """Why it cannot be tried again: `code` for programs, `reason` for people."""

    code: str
    reason: str


class Wish(NamedTuple):
    """Try it again from `at` on. `expires_at`: when a send is given up. `channels`: the names of
    those in the settings now."""

    at: Micros
    expires_at: Micros
    channels: Collection[str]


class Retried(NamedTuple):
    """It is tried again, or was going to be already. `address_id`: whose outbox may go on."""

    kind: DeadKind
    address_id: bytes | None = None


def retry(conn: sa.Connection, id: bytes, wish: Wish) -> Retried | Refusal | None:
    """Have one dead letter tried again; asked twice it is done once. None: there is none of that
    id, or it is settled by now."""
    letter = _lock(conn, sa.select(dead_letters).where(dead_letters.c.id == id))
    if letter is None:
        return _retry_send(conn, id, wish)
    if letter["resolved_at"] is not None or letter["kind"] == "send":
        return None
    if letter["kind"] == "signal":
        return Refusal("not_retryable", "It is kept to be read; drop it when you have seen to it.")
    if letter["due_at"] is None:
        refused = (_check_hook if letter["kind"] == "hook" else _retry_media)(conn, letter, wish)
        if refused:
            return refused
        conn.execute(dead_letters.update().where(dead_letters.c.id == id).values(due_at=wish.at))
    return Retried(letter["kind"])


def drop(conn: sa.Connection, id: bytes, at: Micros) -> bool:
    """Take one off the list for good; False when it is not on it. What it is about stays: the raw
    hook for its days, the message with its state."""
    gone = conn.execute(
        dead_letters.delete().where(
            dead_letters.c.id == id,
            dead_letters.c.resolved_at.is_(None),
            dead_letters.c.kind != "send",
        )
    ).rowcount
    if gone:
        return True
    row = _lock(conn, sa.select(*SEND).where(messages.c.id == id, messages.c.direction == "out"))
    if row is None or row["state"] != "failed" or row["error_class"] not in MENDABLE:
        return False
    if conn.execute(sa.select(dead_letters.c.id).where(*_dropped(id))).first():
        return False
    conn.execute(
        dead_letters.insert().values(
            id=new_id(), kind="send", reference=id, reason="dropped", created_at=at, resolved_at=at
        )
    )
    return True


def retry_all(
    conn: sa.Connection, ids: Sequence[bytes], wish: Wish
) -> list[Retried | Refusal | None]:
    """`retry` of each; sorted, so that two at once do not wait for each other."""
    return [retry(conn, id, wish) for id in ids]


def drop_all(conn: sa.Connection, ids: Sequence[bytes], at: Micros) -> list[bool]:
    """`drop` of each; sorted as well."""
    return [drop(conn, id, at) for id in ids]


SEND = (
    messages.c.id,
    messages.c.conversation_id,
    messages.c.address_id,
    messages.c.channel_id,
    messages.c.author_kind,
    messages.c.kind,
    messages.c.state,
    messages.c.lane,
    messages.c.owner_epoch,
    messages.c.error_class,
    messages.c.error_reason,
    messages.c.part_group,
    messages.c.part_index,
)


def _lock(conn: sa.Connection, query: sa.Select[Any]) -> Row | None:
    row = conn.execute(query.with_for_update()).mappings().first()
    return dict(row) if row else None


def _dropped(id: bytes) -> tuple[sa.ColumnElement[bool], ...]:
    return dead_letters.c.reference == id, dead_letters.c.kind == "send"


def _name(conn: sa.Connection, channel_id: bytes) -> str | None:
    """The channel's name."""
    return conn.execute(sa.select(channels.c.name).where(channels.c.id == channel_id)).scalar()


def _no_channel(name: str | None) -> Refusal:
    return Refusal("no_such_channel", f"The settings have no channel {name} now.")


def _check_hook(conn: sa.Connection, letter: Row, wish: Wish) -> Refusal | None:
    if letter["channel"] not in wish.channels:
        return _no_channel(letter["channel"])
    kept = sa.select(hooks.c.id).where(hooks.c.id == letter["reference"])
    if conn.execute(kept).first() is None:
        return Refusal("raw_gone", "The webhook itself is past limits.raw_hooks_days and deleted.")
    return None


def _retry_media(conn: sa.Connection, letter: Row, wish: Wish) -> Refusal | None:
    row = _lock(conn, sa.select(media).where(media.c.id == letter["reference"]))
    if row is None:
        return Refusal("raw_gone", "The attachment's message has been erased.")
    if (name := _name(conn, row["channel_id"])) not in wish.channels:
        return _no_channel(name)
    told = row["media"] if isinstance(row["media"], dict) else {}
    again = {name: value for name, value in told.items() if name not in ("state", "error")}
    conn.execute(
        media.update()
        .where(media.c.id == row["id"])
        # How long it is tried counts from here.
        .values(state="pending", due_at=wish.at, attempt=0, created_at=wish.at, media=again)
    )
    return None


def _retry_send(conn: sa.Connection, id: bytes, wish: Wish) -> Retried | Refusal | None:
    row = _lock(conn, sa.select(*SEND).where(messages.c.id == id, messages.c.direction == "out"))
    if row is None:
        return None
    if row["lane"] is not None:
        return Retried("send")
    if row["state"] != "failed":
        return None
    epoch = _epoch(conn, row)
    if refused := _check_send(conn, row, epoch, wish):
        return refused
    conn.execute(dead_letters.delete().where(*_dropped(id)))
    ids = [id, *_later_parts(conn, row)]
    conn.execute(
        messages.update()
        .where(messages.c.id.in_(ids))
        .values(
            state="queued",
            lane=1,
            attempt=0,
            unknowns=0,
            due_at=None,
            sending_at=None,
            expires_at=wish.expires_at,
            owner_epoch=row["owner_epoch"] if epoch is None else epoch,
            external_id=None,  # a late word on the attempt that failed says nothing of this one
            error_class=None,
            error_code=None,
            error_reason=None,
        )
    )
    told = [
        {
            "conversation_id": row["conversation_id"],
            "kind": "receipt",
            "message_id": one,
            "at": wish.at,
        }
        for one in ids
    ]
    conn.execute(changes.insert(), told)
    return Retried("send", row["address_id"])


def _epoch(conn: sa.Connection, row: Row) -> int | None:
    """The owner's epoch under which it may be said now; None where an agent has cut it off."""
    c = conversations.c
    query = sa.select(c.owner_kind, c.owner_epoch).where(c.id == row["conversation_id"])
    owner = conn.execute(query).one()
    is_its_own = row["author_kind"] != "bot" or row["owner_epoch"] == owner.owner_epoch
    return int(owner.owner_epoch) if is_its_own or owner.owner_kind == "bot" else None


def _check_send(conn: sa.Connection, row: Row, epoch: int | None, wish: Wish) -> Refusal | None:
    if row["error_class"] not in MENDABLE:
        code = row["error_class"] or "failed"
        return Refusal(code, row["error_reason"] or "Trying the same again cannot help.")
    if (name := _name(conn, row["channel_id"])) not in wish.channels:
        return _no_channel(name)
    c = addresses.c
    wanted = sa.select(c.opted_out_at, c.opt_out_scope, c.blocked_at).where(
        c.id == row["address_id"]
    )
    address = conn.execute(wanted).one()
    everything = (address.opt_out_scope or "all") == "all"
    if address.opted_out_at is not None and (everything or row["kind"] == "template"):
        return Refusal("opted_out", "The customer has opted out here.")
    if address.blocked_at is not None:
        return Refusal("blocked", "The customer cannot be reached here.")
    if epoch is None:
        return Refusal("taken_over", "The bot said it, and the conversation is not the bot's now.")
    return None


def _later_parts(conn: sa.Connection, row: Row) -> list[bytes]:
    """The parts of the same message that were cancelled because this one failed."""
    if row["part_group"] is None:
        return []
    query = (
        sa.select(messages.c.id)
        .where(
            messages.c.conversation_id == row["conversation_id"],
            messages.c.address_id == row["address_id"],
            messages.c.part_group == row["part_group"],
            messages.c.part_index > row["part_index"],
            messages.c.state == "cancelled",
            messages.c.error_class == "earlier_part_failed",
        )
        .order_by(messages.c.id)
        .with_for_update()
    )
    return list(conn.execute(query).scalars())


class DueHook(NamedTuple):
    """A hook that is to be read again; `raw` is None where it is deleted by now."""

    id: bytes
    channel: str
    raw: RawHook | None


def is_due(conn: sa.Connection, at: Micros) -> bool:
    """Does any hook wait to be read again?"""
    return conn.execute(sa.select(dead_letters.c.id).where(*_due(at)).limit(1)).first() is not None


def _due(at: Micros) -> tuple[sa.ColumnElement[bool], ...]:
    c = dead_letters.c
    return c.due_at.isnot(None), c.due_at <= at, c.kind == "hook", c.reference.isnot(None)


def take_due(conn: sa.Connection, at: Micros, until: Micros, most: int) -> list[DueHook]:
    """Take up to `most` that are due; they are due again at `until` unless they are settled."""
    c = dead_letters.c
    query = (
        sa.select(c.id, c.reference, c.channel)
        .where(*_due(at))
        .order_by(c.due_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    rows = conn.execute(query).all()
    if not rows:
        return []
    conn.execute(
        dead_letters.update()
        .where(c.id.in_([row.id for row in rows]))
        .values(due_at=until, attempt=c.attempt + 1)
    )
    wanted = {row.reference: row.channel or "" for row in rows}
    h = hooks.c
    found = conn.execute(
        sa.select(
            h.id, h.method, h.query, h.content_type, h.body, h.signature, h.received_at
        ).where(h.id.in_(wanted))
    )
    raw = {row[0]: RawHook._make(row[1:]) for row in found}
    return [DueHook(id, channel, raw.get(id)) for id, channel in wanted.items()]


def fail_again(conn: sa.Connection, hook_id: bytes, reason: str) -> None:
    """It was tried again in vain, and waits for the next wish."""
    conn.execute(
        dead_letters.update()
        .where(dead_letters.c.reference == hook_id, dead_letters.c.kind == "hook")
        .values(due_at=None, reason=reason)
    )


def settle_hook(conn: sa.Connection, hook_id: bytes, dead: list[Row], at: Micros) -> list[Row]:
    """A hook was read again: its letters say what is still dead of it, under their old ids as far
    as they go. Returns what of `dead` is to be added."""
    c = dead_letters.c
    own = sa.select(c.id).where(c.reference == hook_id, c.kind == "hook", c.resolved_at.is_(None))
    ids = conn.execute(own.order_by(c.id).with_for_update()).scalars().all()
    for id, row in zip(ids, dead, strict=False):
        values = {"reason": row["reason"], "raw": row["raw"], "created_at": at, "due_at": None}
        conn.execute(dead_letters.update().where(c.id == id).values(values))
    if rest := ids[len(dead) :]:
        conn.execute(dead_letters.delete().where(c.id.in_(rest)))
    return dead[len(ids) :]
