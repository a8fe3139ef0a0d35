"""An agent's words: replies, notes, and what else she does to a conversation."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from hub.clock import Micros, new_id
from hub.store.attachments import enclose
from hub.store.held import unhold, wrote_since
from hub.store.ownership import end_run, keep_bot_rows, lock, park
from hub.store.schema import (
    addresses,
    cases,
    changes,
    channels,
    conversations,
    customers,
    messages,
)

Row = dict[str, Any]


@dataclass(slots=True)
class Reach:
    """A conversation's facts for an answer: its row and each of its customer's addresses."""

    conversation: Row
    language: str | None
    addresses: list[Row]

    def last_seen(self, address_id: bytes) -> Micros | None:
        """When the customer last wrote there, as it was read."""
        seen: Micros | None = None
        for row in self.addresses:
            if row["id"] == address_id:
                seen = row["last_seen_at"]
        return seen


def reach(conn: sa.Connection, conversation_id: bytes) -> Reach:
    """How the customer can be reached. Raises KeyError."""
    row = (
        conn.execute(
            sa.select(conversations, customers.c.language)
            .join(customers, customers.c.id == conversations.c.customer_id)
            .where(conversations.c.id == conversation_id)
        )
        .mappings()
        .first()
    )
    if row is None:
        raise KeyError(conversation_id)
    found = conn.execute(
        sa.select(addresses, channels.c.name.label("channel_name"), channels.c.paused_reason)
        .join(channels, channels.c.id == addresses.c.channel_id)
        .where(addresses.c.conversation_id == conversation_id)
        .order_by(addresses.c.last_seen_at.desc())
    ).mappings()
    return Reach(dict(row), row["language"], [dict(address) for address in found])


def external_id_of(conn: sa.Connection, conversation_id: bytes, message_id: bytes) -> Row | None:
    """The quoted message's own ids, if it belongs to this conversation."""
    row = (
        conn.execute(
            sa.select(messages.c.external_id, messages.c.address_id).where(
                messages.c.id == message_id, messages.c.conversation_id == conversation_id
            )
        )
        .mappings()
        .first()
    )
    return dict(row) if row else None


def said_before(conn: sa.Connection, conversation_id: bytes, client_id: str) -> list[bytes]:
    """The rows an earlier call with the same client id stored, in their order."""
    return list(
        conn.execute(
            sa.select(messages.c.id)
            .where(
                messages.c.conversation_id == conversation_id,
                messages.c.client_id == client_id,
                messages.c.direction != "in",
            )
            .order_by(messages.c.seq)
        ).scalars()
    )


def add(
    conn: sa.Connection,
    conversation_id: bytes,
    rows: list[Row],
    *,
    client_id: str | None,
    takes_over: tuple[bytes | None, str] | None,
    at: Micros,
    seen: Micros | None = None,
) -> list[bytes]:
    """Append an agent's message parts or note; a reply takes the conversation over, in the same
    transaction. A repeated client id stores nothing and answers as the first. What is to be held
    is not when the customer has written there after `seen`. Raises KeyError."""
    row = lock(conn, conversation_id)
    if client_id and (before := said_before(conn, conversation_id, client_id)):
        return before
    if rows[0]["state"] == "held" and wrote_since(conn, rows[0]["address_id"], seen):
        rows = [unhold(waiting, at) for waiting in rows]
    epoch = row["owner_epoch"]
    if takes_over:
        owner_id, owner_name = takes_over
        epoch = park(
            conn,
            conversation_id,
            owner_kind="agent",
            owner_id=owner_id,
            owner_name=owner_name,
            at=at,
        )
    for seq, message in enumerate(rows, row["next_seq"]):
        message |= {
            "conversation_id": conversation_id,
            "seq": seq,
            "owner_epoch": epoch,
            "client_id": client_id,
        }
    conn.execute(messages.insert(), rows)
    enclose(conn, rows, at)
    values: Row = {
        "next_seq": row["next_seq"] + len(rows),
        "held": row["held"] + sum(message["state"] == "held" for message in rows),
        "last_message_id": rows[-1]["id"],
        "last_message_at": at,
    }
    if takes_over and row["status"] != "open":
        values |= {"status": "open", "snoozed_until": None}
    if takes_over and row["status"] == "resolved":
        row["case_id"] = values["case_id"] = _open_case(conn, conversation_id, at)
    conn.execute(conversations.update().where(conversations.c.id == conversation_id).values(values))
    if takes_over:
        conn.execute(
            cases.update()
            .where(cases.c.id == row["case_id"], cases.c.first_response_at.is_(None))
            .values(first_response_at=at)
        )
    conn.execute(
        changes.insert(),
        [
            {
                "conversation_id": conversation_id,
                "kind": "message",
                "message_id": message["id"],
                "at": at,
            }
            for message in rows
        ],
    )
    return [message["id"] for message in rows]


def read(conn: sa.Connection, conversation_id: bytes, at: Micros) -> None:
    """Agents have read it all. Raises KeyError."""
    row = lock(conn, conversation_id)
    if row["unread"]:
        conn.execute(
            conversations.update().where(conversations.c.id == conversation_id).values(unread=0)
        )
        _note(conn, conversation_id, "status", at)


def update(conn: sa.Connection, conversation_id: bytes, values: Row, at: Micros) -> bool:
    """Change status, snooze, team or tags. Resolving closes the case and gives the conversation
    back to the bot, so that the next message is answered. True when the bot owns it now.
    Raises KeyError."""
    row = lock(conn, conversation_id)
    status = values.get("status", row["status"])
    if status != "snoozed":
        values["snoozed_until"] = None
    if status == "resolved" and row["status"] != "resolved":
        conn.execute(
            cases.update()
            .where(cases.c.id == row["case_id"], cases.c.resolved_at.is_(None))
            .values(resolved_at=at)
        )
        values |= {"run_id": None, "unread": 0}
        end_run(conn, row, "resolved", at)
        if row["owner_kind"] != "bot":
            epoch = row["owner_epoch"] + 1
            keep_bot_rows(conn, conversation_id, epoch)
            values |= {
                "owner_kind": "bot",
                "owner_id": None,
                "owner_name": None,
                "owner_epoch": epoch,
            }
    elif status != "resolved" and row["status"] == "resolved":
        values["case_id"] = _open_case(conn, conversation_id, at)
    conn.execute(conversations.update().where(conversations.c.id == conversation_id).values(values))
    _note(conn, conversation_id, "owner" if "owner_kind" in values else "status", at)
    return values.get("owner_kind", row["owner_kind"]) == "bot"


def _open_case(conn: sa.Connection, conversation_id: bytes, at: Micros) -> bytes:
    case_id = new_id()
    conn.execute(cases.insert().values(id=case_id, conversation_id=conversation_id, opened_at=at))
    return case_id


def _note(conn: sa.Connection, conversation_id: bytes, kind: str, at: Micros) -> None:
    conn.execute(changes.insert().values(conversation_id=conversation_id, kind=kind, at=at))
